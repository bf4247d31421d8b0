"""Shows values to people as text, and to programs as JSON.

It must not let a text from outside steer the terminal, nor cut what somebody may want to copy.
"""

import json
from datetime import UTC, datetime

import click
from pydantic_core import to_jsonable_python

from bridge.models import Json


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
