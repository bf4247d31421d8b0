"""What all Nexthink dialects write and read alike: Basic authentication, guarded JSON, foreign text.

It must not know what an answer means.
"""

import base64
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import re2

from bridge import unambiguous
from bridge.errors import Reason
from bridge.models import HttpResponse, Json, NoResponse
from bridge.nexthink import LookupFailure
from bridge.retries import read_retry_after

_UID: Final = re2.compile("[0-9a-f]{32}")
_LONGEST_TEXT: Final = 2_000

_READ_FAILURES: Final = {
    401: Reason.UNAUTHORIZED,
    403: Reason.FORBIDDEN,
    404: Reason.NOT_FOUND,
    429: Reason.RATE_LIMITED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A body that is not JSON, with what it looks like instead."""

    detail: str


def basic_authorization(username: str, password: str) -> tuple[str, str]:
    """Return the Authorization header of Basic authentication, in UTF-8."""
    token = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
    return ("Authorization", f"Basic {token}")


def read_json(body: bytes) -> Json | Unreadable:
    """Parse a body as JSON in UTF-8; return Unreadable for whatever else it is.

    A key that stands twice makes it unreadable: two readers would take two answers from it.
    """
    if not body.strip():
        return Unreadable(detail="an empty answer")
    if body.lstrip()[:1] == b"<":
        return Unreadable(detail="an HTML page")
    try:
        return unambiguous.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return Unreadable(detail="an answer that is not JSON")


def clean(text: object, *, longest: int = _LONGEST_TEXT) -> str:
    """Return foreign text that every database and log can hold: no control characters, cut, one line.

    Anything that is not text becomes the empty text.
    """
    if not isinstance(text, str):
        return ""
    cut = text[:longest]
    if not cut.isprintable():
        cut = "".join(character if character.isprintable() else " " for character in cut)
    return " ".join(cut.split())


def uid(value: object) -> str | None:
    """Return a UID in lower case if the value is 32 hex digits, else None."""
    if not isinstance(value, str) or not value.isascii():
        return None
    lowered = value.lower()
    return lowered if _UID.fullmatch(lowered) else None


def read_failure(response: HttpResponse | NoResponse) -> LookupFailure | None:
    """Say why a read has no answer to look into; None for a 2xx."""
    if isinstance(response, NoResponse):
        return LookupFailure(reason=response.reason, detail=response.detail)
    status = response.status
    if 200 <= status < 300:
        return None
    wait: timedelta | None = None
    if status in (429, 503):
        wait = read_retry_after(response)
    return LookupFailure(
        reason=_READ_FAILURES.get(status) or _reason_of_class(status),
        detail=f"HTTP {status}",
        status=status,
        retry_after=wait,
    )


def _reason_of_class(status: int) -> Reason:
    if 300 <= status < 400:
        return Reason.REDIRECTED
    return Reason.REJECTED if 400 <= status < 500 else Reason.SERVER_ERROR
