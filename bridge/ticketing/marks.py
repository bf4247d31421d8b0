"""Our marker in ticket text: `bridge-<run id>-<occasion>-<n>-<hex>`, lower-case letters, digits and hyphens.

It must not know where a text comes from.
"""

from typing import Final

import re2

from bridge.models import Occasion

_BEGINS: Final = "bridge-"
_OURS: Final = re2.compile(
    rf"(?:^|[^A-Za-z0-9-]){_BEGINS}[a-z0-9-]+-(?:{'|'.join(Occasion)})-[0-9]+(?:-[0-9a-f]+)?(?:$|[^A-Za-z0-9-])"
)
_MARKER: Final = re2.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def carries(text: str, marker: str) -> bool:
    """Say whether a text holds this marker as a whole word, so that `…-1` is not found in `…-12`."""
    at = text.find(marker)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(marker) : at + len(marker) + 1]
        if not _continues(before) and not _continues(after):
            return True
        at = text.find(marker, at + 1)
    return False


def holds_our_mark(text: str) -> bool:
    """Say whether a text holds a marker of any comment of ours (rule A3)."""
    return _BEGINS in text and _OURS.search(text) is not None


def broken_up(text: str) -> str:
    """Return foreign text in which no marker of ours can be found: it must not pass for another comment."""
    return text.replace(_BEGINS, "bridge\N{NON-BREAKING HYPHEN}") if holds_our_mark(text) else text


def required(marker: str) -> str:
    """Return a marker that is safe to stand unescaped in any markup and query."""
    if _MARKER.fullmatch(marker) is None:
        raise ValueError("a marker holds lower-case letters, digits and single hyphens only")
    return marker


def _continues(char: str) -> bool:
    return char == "-" or (char.isascii() and char.isalnum())
