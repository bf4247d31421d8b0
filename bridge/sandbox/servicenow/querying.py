"""Encoded queries and the shapes in which the Table API shows values.

It must not refuse an invalid query part: the real one leaves it out in silence, and then returns more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bridge.sandbox.servicenow.records import JOURNAL, Instance, Record, Value, journal_text


class Display(StrEnum):
    """`sysparm_display_value`: values, display values, or both."""

    VALUES = "false"
    DISPLAY = "true"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How records are shown; `fields` empty means every column."""

    display: Display
    fields: tuple[str, ...]
    links: bool
    base_url: str


# Longer operators first: LIKE must not be read as a part of another.
_OPERATORS: tuple[tuple[str, Callable[[str, str], bool]], ...] = (
    ("STARTSWITH", lambda seen, wanted: seen.lower().startswith(wanted.lower())),
    ("LIKE", lambda seen, wanted: wanted.lower() in seen.lower()),
    ("!=", lambda seen, wanted: seen != wanted),
    ("=", lambda seen, wanted: seen == wanted),
)


def select(rows: list[Record], query: str) -> list[Record]:
    """Return the rows that an encoded query asks for; parts that are not valid are ignored."""
    columns = {name for row in rows for name in row.columns}
    for part in query.split("^"):
        if part.startswith("ORDERBY"):
            continue
        condition = _condition(part, columns)
        if condition is not None:
            column, holds, wanted = condition
            rows = [row for row in rows if holds(row.text(column), wanted)]
    return _ordered(rows, query, columns)


def _condition(part: str, columns: set[str]) -> tuple[str, Callable[[str, str], bool], str] | None:
    for name, holds in _OPERATORS:
        column, found, wanted = part.partition(name)
        if found and column in columns:
            return column, holds, wanted
    return None


def _ordered(rows: list[Record], query: str, columns: set[str]) -> list[Record]:
    for part in reversed(query.split("^")):
        descending = part.startswith("ORDERBYDESC")
        column = part.removeprefix("ORDERBYDESC" if descending else "ORDERBY")
        if part.startswith("ORDERBY") and column in columns:
            # Two entries of one second keep the order of their creation.
            ranked = sorted(
                enumerate(rows), key=lambda pair: (pair[1].text(column), pair[0]), reverse=descending
            )
            rows = [row for _, row in ranked]
    return rows


def show(record: Record, instance: Instance, shape: Shape) -> dict[str, Any]:
    """Return a record as the Table API shows it; fields that do not exist are left out in silence."""
    columns = dict(record.columns)
    if record.table not in {"sys_user", "sys_journal_field"}:
        # A journal has no value of its own, only a display value.
        for element in JOURNAL:
            entries = instance.journal(record, element)
            columns[element] = Value(value="", display=journal_text(entries, element))
    # A column of a referenced record (caller_id.email) is shown only where it is asked for.
    every = sorted(name for name in columns if "." not in name)
    names = [name for name in shape.fields if name in columns] if shape.fields else every
    return {name: _shown(columns[name], shape) for name in names}


def _shown(value: Value, shape: Shape) -> Any:
    link = f"{shape.base_url}/api/now/table/{value.reference}/{value.value}"
    linked = value.reference is not None and value.value and shape.links
    match shape.display:
        case Display.ALL:
            both = {"display_value": value.display, "value": value.value}
            return both | {"link": link} if linked else both
        case Display.DISPLAY:
            return {"display_value": value.display, "link": link} if linked else value.display
        case Display.VALUES:
            return {"link": link, "value": value.value} if linked else value.value
