"""Read who changed what in a record since a time, from the table that the source names.

It must not guess what a stored value looks like: only one that the record still holds is shown as there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import re2

from bridge.models import Change, HistoryEntry, Json, NotRead, Person, TicketRef
from bridge.ticketing import Conversation
from bridge.ticketing.payloads import text
from bridge.ticketing.servicenow.config import ServiceNowConfig
from bridge.ticketing.servicenow.record import NO_CELL, Cell, is_sys_id, moment
from bridge.ticketing.servicenow.table_api import Listing, newest, sys_id

_COUNT: Final = re2.compile(r"[0-9]{1,10}")
# Notes are read from the journal; the others say only that something changed.
_NO_CHANGES: Final = frozenset(
    {
        "comments", "work_notes", "comments_and_work_notes", "approval_history", "sys_updated_on",
        "sys_updated_by", "sys_mod_count",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """The names of the columns of a history table; the first of `users` that is shown says who it was."""

    table: str
    record: str
    field: str
    before: str
    after: str
    users: tuple[str, ...]
    count: str
    at: str


_SHAPES: Final = {
    "sys_audit": _Shape(
        table="sys_audit",
        record="documentkey",
        field="fieldname",
        before="oldvalue",
        after="newvalue",
        users=("user",),
        count="record_checkpoint",
        at="sys_created_on",
    ),
    # One line stands in the set of every language and time zone in which somebody looked at the history.
    "sys_history_line": _Shape(
        table="sys_history_line",
        record="set.id",
        field="field",
        before="old_value",
        after="new_value",
        users=("user.user_name", "user_id"),
        count="update",
        at="update_time",
    ),
}


def fetch(
    config: ServiceNowConfig, ref: TicketRef, since: datetime, record: Mapping[str, Cell]
) -> Conversation[tuple[HistoryEntry, ...]]:
    """Ask for the changes since a time, the oldest first; nothing where the source keeps no history."""
    shape = _SHAPES.get(config.history)
    if shape is None:
        return ()
    listing = Listing(
        table=shape.table,
        conditions=(f"{shape.record}={sys_id(ref)}",),
        columns=(
            shape.record, shape.field, shape.before, shape.after, *shape.users, shape.count, shape.at
        ),
        at=shape.at,
    )  # fmt: skip
    rows = yield from newest(config, listing, since)
    if isinstance(rows, NotRead):
        return rows
    updates: dict[str, list[dict[str, Json]]] = {}
    for row in reversed(rows):
        if text(row.get(shape.record)) == ref.uid:
            updates.setdefault(_key(shape, row), []).append(row)
    return tuple(_entry(shape, key, lines, record) for key, lines in updates.items())


def _key(shape: _Shape, row: dict[str, Json]) -> str:
    """Return what names an update: the record's modification count, else who and when."""
    count = text(row.get(shape.count))
    if count is not None and _COUNT.fullmatch(count):
        return f"count:{count}"
    return f"at:{text(row.get(shape.at))}:{_user(shape, row)}"


def _user(shape: _Shape, row: dict[str, Json]) -> str | None:
    return next((user for user in (text(row.get(name)) for name in shape.users) if user), None)


def _entry(shape: _Shape, key: str, lines: list[dict[str, Json]], record: Mapping[str, Cell]) -> HistoryEntry:
    at = moment(lines[0].get(shape.at))
    assert at is not None  # a row without its time is not read
    changes = {
        name: Change(
            name=name,
            before=_shown(record, name, line.get(shape.before)),
            after=_shown(record, name, line.get(shape.after)),
        )
        for line in lines
        if (name := text(line.get(shape.field))) is not None and name not in _NO_CHANGES
    }
    return HistoryEntry(key=key, at=at, actor=_actor(shape, lines), changes=tuple(changes.values()))


def _actor(shape: _Shape, lines: list[dict[str, Json]]) -> Person:
    """Return who made an update; two names for one update would be two people, and then nobody is named."""
    users = {_user(shape, line) for line in lines}
    user = users.pop() if len(users) == 1 else None
    return Person(id=user) if user is not None and is_sys_id(user) else Person(login=user)


def _shown(record: Mapping[str, Cell], name: str, stored: Json) -> Json:
    """Return a value as the form shows it, where the record still holds it; else as it is stored."""
    column = record.get(name, NO_CELL)
    held = column.display is not None and text(stored) is not None and text(stored) == text(column.value)
    return column.display if held else stored
