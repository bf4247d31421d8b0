"""Shows rows to people as columns.

It must not let a text from outside steer the terminal, nor cut what somebody may want to copy.
"""

import shutil
import sys
from collections.abc import Iterable, Sequence
from itertools import zip_longest

import click
from wcwidth import ljust, wcswidth, wrap

from bridge.cli.showing import clean

_GAP = "  "
# No column is narrower than a wide letter.
_NARROWEST = 2


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as columns: plain and unwrapped into a pipe, wrapped to the terminal's width on one."""
    cells = [[clean("-" if value is None else str(value)) for value in row] for row in rows]
    widths = [max(map(wcswidth, column)) for column in zip(headings, *cells, strict=True)]
    if not sys.stdout.isatty():
        _draw([headings, *cells], widths)
        return
    widths = _narrowed(widths, headings)
    _draw([headings], widths)
    click.echo(_GAP.join("-" * width for width in widths))
    _draw(cells, widths)


def _draw(rows: Iterable[Sequence[str]], widths: Sequence[int]) -> None:
    for row in rows:
        columns = (_lines(cell, width) for cell, width in zip(row, widths, strict=True))
        for parts in zip_longest(*columns, fillvalue=""):
            click.echo(_GAP.join(map(ljust, parts, widths)).rstrip())


def _lines(cell: str, width: int) -> list[str]:
    return [cell] if wcswidth(cell) <= width else wrap(cell, width)


def _narrowed(widths: Sequence[int], headings: Sequence[str]) -> list[int]:
    """Return widths that fit the terminal: the widest columns give way, but none to less than its heading.

    The first one is never wrapped: it is what people copy into the next command.
    """
    room = shutil.get_terminal_size().columns - len(_GAP) * (len(widths) - 1)
    narrowed = [widths[0], *(min(width, room) for width in widths[1:])]
    least = [max(len(heading), _NARROWEST) for heading in headings]
    while sum(narrowed) > room:
        wide = [column for column in range(1, len(widths)) if narrowed[column] > least[column]]
        if not wide:
            break
        narrowed[max(wide, key=narrowed.__getitem__)] -= 1
    return narrowed
