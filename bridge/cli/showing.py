"""Shows values to people as text and tables, and to programs as JSON.

It must not let a text from outside steer the terminal, nor cut what somebody may want to copy.
"""

import io
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click
from pydantic_core import to_jsonable_python
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.models import Json

# What is read by another program, or stored, is never wrapped.
_UNBOUNDED = 100_000


def clean(text: str) -> str:
    """Return a text on one line that cannot steer a terminal: what cannot be seen is written out."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def line(text: str = "", *, indent: int = 0, err: bool = False) -> None:
    """Print one line of cleaned text."""
    click.echo(" " * indent + clean(text), err=err)


def note(text: str) -> None:
    """Print a line for people beside what a program may read."""
    line(f"note: {text}", err=True)


def as_json(value: object) -> None:
    """Print a value as JSON in printable ASCII."""
    # JSON escapes every control character of ASCII but the last.
    click.echo(json.dumps(jsonable(value), indent=2).replace("\x7f", "\\u007f"))


def jsonable(value: object) -> Json:
    """Return frozen values, enumerations and times as JSON."""
    return to_jsonable_python(value)


def moment(at: datetime | None) -> str:
    """Return a time in UTC to the second, as it stands in logs; a dash for none."""
    return "-" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def instant(at: datetime) -> str:
    """Return a time in UTC to the millisecond, for what follows closely upon each other."""
    return f"{at.astimezone(UTC).isoformat(sep=' ', timespec='milliseconds').removesuffix('+00:00')}Z"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as columns: plain and unwrapped into a pipe, wrapped to the terminal's width on one."""
    on_terminal = sys.stdout.isatty()
    drawn = Table(box=box.SIMPLE_HEAD if on_terminal else None, pad_edge=False, header_style="bold")
    for number, heading in enumerate(headings):
        # The first column is what people copy into the next command.
        drawn.add_column(heading, no_wrap=number == 0, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(clean("-" if value is None else str(value))) for value in row))
    if on_terminal:
        Console().print(drawn)
        return
    plain = io.StringIO()
    Console(file=plain, width=_UNBOUNDED, force_terminal=False, color_system=None).print(drawn)
    for text in plain.getvalue().splitlines():
        click.echo(text.rstrip())
