"""Turn a text field into plain text, whether Jira sent wiki text or an ADF document.

It must not interpret wiki markup: what an author wrote is matched as written.
"""

from typing import Final

from bridge.models import Json
from bridge.ticketing.payloads import entries, members, text

_BLOCKS: Final = frozenset(
    {"paragraph", "heading", "codeBlock", "blockquote", "listItem", "tableRow", "panel", "rule", "expand"}
)
_NAMED_BY: Final = {
    "mention": "text",
    "emoji": "text",
    "status": "text",
    "inlineCard": "url",
    "blockCard": "url",
    "date": "timestamp",
}


def flatten(value: Json) -> str | None:
    """Return the text of a field, None where it has none."""
    if isinstance(value, str):
        return text(value)
    pieces: list[str] = []
    # A stack of our own: an answer may be nested deeper than Python's.
    waiting: list[Json] = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            pieces.append(node)
            continue
        about = members(node)
        pieces.append(_own_text(about))
        if text(about.get("type")) in _BLOCKS:
            waiting.append("\n")
        waiting.extend(child for child in reversed(entries(about.get("content"))) if isinstance(child, dict))
    lines = (line.strip() for line in "".join(pieces).split("\n"))
    return "\n".join(line for line in lines if line) or None


def _own_text(node: dict[str, Json]) -> str:
    kind = text(node.get("type"))
    if kind == "hardBreak":
        return "\n"
    if kind == "text":
        return text(node.get("text")) or (" " if node.get("text") else "")
    attribute = _NAMED_BY.get(kind) if kind else None
    return (text(members(node.get("attrs")).get(attribute)) or "") if attribute else ""
