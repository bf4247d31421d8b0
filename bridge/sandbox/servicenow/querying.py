"""Encoded queries, walks along references, and the shapes in which the Table API shows values.

It must not refuse an invalid query part: the real one leaves it out in silence, and then returns more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bridge.sandbox.servicenow.records import JOURNAL, TABLES, Instance, Record, Value, journal_text, plain


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
    ("IN", lambda seen, wanted: seen in wanted.split(",")),
    ("!=", lambda seen, wanted: seen != wanted),
    (">=", lambda seen, wanted: seen >= wanted),
    ("<=", lambda seen, wanted: seen <= wanted),
    ("=", lambda seen, wanted: seen == wanted),
)

_Condition = Callable[[Record], bool]


def select(rows: list[Record], query: str, instance: Instance) -> list[Record]:
    """Return the rows that an encoded query asks for; parts that are not valid are ignored."""
    columns = {name for row in rows for name in row.columns}
    every: list[list[_Condition]] = []
    for part in query.split("^"):
        condition = None if part.startswith("ORDERBY") else _condition(part, columns, instance)
        if condition is not None and part.startswith("OR") and every:
            every[-1].append(condition)
        elif condition is not None:
            every.append([condition])
    found = [row for row in rows if all(any(holds(row) for holds in one) for one in every)]
    return _ordered(found, query, columns)


def _condition(part: str, columns: set[str], instance: Instance) -> _Condition | None:
    for name, holds in _OPERATORS:
        column, found, wanted = part.partition(name)
        known = next((one for one in (column, column.removeprefix("OR")) if _first(one) in columns), None)
        if found and known is not None:
            return lambda row: holds(walked(row, known, instance).value, wanted)
    return None


def _first(column: str) -> str:
    return column.partition(".")[0]


def walked(record: Record, name: str, instance: Instance) -> Value:
    """Return a column, or one behind references such as caller_id.email; an empty one where there is none."""
    if name in record.columns:
        return record.columns[name]
    first, _, rest = name.partition(".")
    through = record.columns.get(first)
    if not rest or through is None or not through.reference or instance.is_hidden(through.reference):
        return plain("")
    tables = TABLES if through.reference == "task" else (through.reference,)
    found = (instance.record(table, through.value) for table in tables)
    target = next((one for one in found if one is not None), None)
    return plain("") if target is None else walked(target, rest, instance)


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
    if record.table in TABLES:
        # A journal has no value of its own, only a display value.
        for element in JOURNAL:
            entries = instance.journal(record, element)
            columns[element] = Value(value="", display=journal_text(entries, element))
    if not shape.fields:
        # A column of a referenced record (caller_id.email) is shown only where it is asked for.
        return {name: _shown(columns[name], shape) for name in sorted(columns) if "." not in name}
    return {
        name: _shown(columns[name] if name in columns else walked(record, name, instance), shape)
        for name in shape.fields
        if name in columns or _first(name) in columns
    }


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
