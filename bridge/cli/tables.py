"""Shows rows to people as columns.

It must not let a text from outside steer the terminal, nor cut what somebody may want to copy.
"""

import shutil
import sys
from collections.abc import Iterable, Sequence

import click
from tabulate import tabulate
from wcwidth import wcswidth

from bridge.cli.showing import clean

# Between two columns stand so many spaces.
_GAP = 2


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as columns: plain and unwrapped into a pipe, wrapped to the terminal's width on one."""
    cells = [[clean("-" if value is None else str(value)) for value in row] for row in rows]
    on_terminal = sys.stdout.isatty()
    drawn = tabulate(
        cells,
        headings,
        tablefmt="simple" if on_terminal else "plain",
        disable_numparse=True,
        maxcolwidths=_widths(headings, cells) if on_terminal else None,
    )
    for text in drawn.splitlines():
        click.echo(text.rstrip())


def _widths(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    """Share the terminal's width out: columns get alike, and what one does not need the others get.

    The first one is never wrapped: it is what people copy into the next command.
    """
    widths = [max(map(wcswidth, column)) for column in zip(headings, *cells, strict=True)]
    left = shutil.get_terminal_size().columns - widths[0] - _GAP * (len(widths) - 1)
    others = sorted(range(1, len(widths)), key=widths.__getitem__)
    for number, column in enumerate(others):
        share = left // (len(others) - number)
        widths[column] = max(len(headings[column]), min(widths[column], share))
        left -= widths[column]
    return widths
