"""Cuts out of the text of a file what somebody wants to see of it, line by line.

It must not parse: a text that cannot be read has lines as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# Longer lines and entries are cut.
_WIDTH: Final = 400
_LINES: Final = 300
_AROUND: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line, counted from 1; `marked` says that it is the one that is meant."""

    number: int
    text: str
    marked: bool = False


def around(text: str, line: int) -> tuple[Line, ...]:
    """Return a line, marked, with those before and after it; none where there is no such line."""
    lines = text.split("\n")
    if not 1 <= line <= len(lines):
        return ()
    first = max(1, line - _AROUND)
    return tuple(
        _line(number, lines, marked=number == line)
        for number in range(first, min(len(lines), line + _AROUND) + 1)
    )


def entry(text: str, line: int) -> tuple[Line, ...]:
    """Return the entry of a list that a line stands in, in the form with a dash for each entry."""
    lines = text.split("\n")
    if not 1 <= line <= len(lines):
        return ()
    first = next((number for number in range(line, 0, -1) if _begins(lines, number, line)), line)
    dash = _indent(lines[first - 1])
    found = [first, *_below(lines, first, dash)]
    while found and not lines[found[-1] - 1].strip():
        found.pop()
    return tuple(_line(number, lines) for number in found)


def _begins(lines: list[str], number: int, line: int) -> bool:
    """Say whether the entry that a line stands in begins at another one: its dash stands further out."""
    text = lines[number - 1]
    return text.lstrip().startswith("- ") and (number == line or _indent(text) < _indent(lines[line - 1]))


def _below(lines: list[str], first: int, dash: int) -> Iterator[int]:
    """Yield the lines after the first of an entry that are indented deeper than its dash."""
    for number in range(first + 1, min(len(lines), first + _LINES) + 1):
        text = lines[number - 1]
        if text.strip() and _indent(text) <= dash:
            return
        yield number


def _line(number: int, lines: list[str], *, marked: bool = False) -> Line:
    text = lines[number - 1].rstrip("\r")
    return Line(number=number, text=text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…", marked=marked)


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())
