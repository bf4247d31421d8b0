"""Read the JSON of a webhook, refusing everything that two readers could understand differently.

It must not know what the JSON means, and must not be used for answers to our own requests.
"""

import re
from typing import Final, NoReturn

from bridge import unambiguous
from bridge.errors import Reason, WebhookRefused
from bridge.models import Json

MAX_DEPTH: Final = 64

# An object or list costs a hundred bytes of memory however few it has in the body. Real tickets have fewer.
_FEW: Final = 10_000
_BYTES_EACH: Final = 8
_JSON_TYPE: Final = re.compile(r"application/(?:[\w.-]+\+)?json", re.ASCII)


def parse(body: bytes, *, max_depth: int = MAX_DEPTH) -> Json:
    """Return the value of a UTF-8 JSON body, or raise WebhookRefused (400, NOT_JSON)."""
    if not body:
        _refuse("the body is empty")
    if body.startswith(b"\xef\xbb\xbf"):
        _refuse("the body starts with a byte order mark")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        _refuse("the body is not UTF-8")
    if body.count(b"[") + body.count(b"{") > max(_FEW, len(body) // _BYTES_EACH):
        _refuse("the body has more objects and lists than a ticket of its size")
    try:
        value = unambiguous.loads(text)
    except (ValueError, RecursionError):
        # The parser's own message may quote the body, which is never repeated to a log or a sender.
        _refuse("the body is not valid JSON, or is nested too deep")
    if _is_deeper(value, max_depth):
        _refuse(f"the body is nested deeper than {max_depth}")
    if "\\u" in text and not _storable(value):
        _refuse("the body has a NUL or half a surrogate pair in a text")
    return value


def require_json_type(headers: tuple[tuple[str, str], ...]) -> None:
    """Raise WebhookRefused (415) unless the headers announce plain UTF-8 JSON."""
    types = [value for name, value in headers if name == "content-type"]
    encodings = [value for name, value in headers if name == "content-encoding"]
    if len(types) != 1 or any(value.strip().lower() != "identity" for value in encodings):
        _refuse_type()
    media_type, *parameters = (part.strip().lower() for part in types[0].split(";"))
    charsets = [
        value.strip().strip('"')
        for name, _, value in (p.partition("=") for p in parameters)
        if name.strip() == "charset"
    ]
    if not _JSON_TYPE.fullmatch(media_type) or any(charset not in {"utf-8", "utf8"} for charset in charsets):
        _refuse_type()


def _is_deeper(value: Json, depth: int) -> bool:
    """Say whether objects and lists stand more than so many deep in one another."""
    level = [value]
    for _ in range(depth):
        inside: list[Json] = []
        for each in level:
            if isinstance(each, dict):
                inside.extend(each.values())
            elif isinstance(each, list):
                inside.extend(each)
        level = inside
    return any(isinstance(each, dict | list) for each in level)


def _storable(value: Json) -> bool:
    """Say whether every key and text can be stored and logged: no NUL, no half of a surrogate pair."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if "\x00" in item or any("\ud800" <= char <= "\udfff" for char in item):
                return False
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
    return True


def _refuse(detail: str) -> NoReturn:
    raise WebhookRefused(400, Reason.NOT_JSON, detail) from None


def _refuse_type() -> NoReturn:
    raise WebhookRefused(415, Reason.WRONG_TYPE, "send application/json in UTF-8, not compressed")
