"""How messages to admins name things: the nearest known name, and values cut to one short line.

It must not know what a message is about.
"""

import difflib
from collections.abc import Iterable

_NAMED_AT_MOST = 20


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the way out for an unknown name: the nearest known one, or all of them."""
    names = sorted(known)
    by_folded = {candidate.casefold(): candidate for candidate in names}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{by_folded[close[0]]}'?"
    if not names:
        return "there are none"
    return "known: " + ", ".join(names[:_NAMED_AT_MOST]) + (", …" if len(names) > _NAMED_AT_MOST else "")


def shortened(value: str, limit: int = 80) -> str:
    """Return a value as one line of at most `limit` characters."""
    line = " ".join(value[: limit * 4].split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
