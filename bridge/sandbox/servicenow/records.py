"""What the simulated instance holds: records with values and display values, the journal, and every change.

It must not speak HTTP, and must not decide who may see what.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import RLock
from uuid import uuid4

from bridge.sandbox import credentials as known

JOURNAL = ("work_notes", "comments")
TABLES = ("incident", "sc_request", "sc_req_item", "sc_task", "change_request", "change_task", "problem")
# Tables that are read with the others, and written by the instance alone.
KEPT = (
    "sys_user", "sys_user_grmember", "sys_user_group", "sys_journal_field", "sys_audit", "sys_history_set",
    "sys_history_line", "sysapproval_approver", "sc_item_option_mtom", "sys_choice",
)  # fmt: skip
# The choices of `state`: what a fresh instance has, as far as the bridge's documentation uses it.
STATES = {
    "incident": (
        ("1", "New"),
        ("2", "In Progress"),
        ("3", "On Hold"),
        ("6", "Resolved"),
        ("7", "Closed"),
        ("8", "Canceled"),
    ),
    "sc_req_item": (
        ("1", "Open"),
        ("2", "Work in Progress"),
        ("3", "Closed Complete"),
        ("4", "Closed Incomplete"),
    ),
}
GROUPS = ("Endpoint on call", "Service Desk")
BRIDGE_SYS_ID = "5a5ab0b1c0a8016500000000000000b1"
_CLOSED = {"incident": ("7", "8")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A column's value and how a person sees it; `reference` names the table that it points to."""

    value: str
    display: str
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    table: str
    sys_id: str
    columns: dict[str, Value]

    def text(self, column: str) -> str:
        """Return the value of a column, empty where it has none."""
        return self.columns[column].value if column in self.columns else ""


def plain(text: str) -> Value:
    """Return a value that looks to a person as it is stored."""
    return Value(value=text, display=text)


def reference(sys_id: str, table: str, *, display: str = "") -> Value:
    """Return a value that points to a record of another table."""
    return Value(value=sys_id, display=display or sys_id, reference=table)


def now(*, seconds_ago: float = 0.0) -> str:
    """Return the time as ServiceNow stores it: UTC without a zone."""
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%d %H:%M:%S")


@dataclass(slots=True, kw_only=True)
class Behaviour:
    """How the instance behaves on demand: a journal or tables that an ACL hides, forbidden writes.

    `history_unseen`: nobody looks at the history of a record, so no lines of it are made.
    """

    journal_hidden: bool = False
    hidden_tables: tuple[str, ...] = ()
    writes_forbidden: bool = False
    history_unseen: bool = False


@dataclass(slots=True, kw_only=True)
class Instance:
    """Every record of every table, behind one lock."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    _lock: RLock = field(default_factory=RLock)
    _records: dict[tuple[str, str], Record] = field(default_factory=dict)
    _order: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self._records = _first_records()

    def reset(self) -> None:
        """Forget every record but the users."""
        with self._lock:
            self._records = _first_records()
            self.behaviour = Behaviour()

    def has(self, table: str) -> bool:
        """Say whether a table exists."""
        return table in {*TABLES, *KEPT}

    def is_hidden(self, table: str) -> bool:
        """Say whether an ACL hides the rows of a table."""
        hides_journal = table == "sys_journal_field" and self.behaviour.journal_hidden
        return hides_journal or table in self.behaviour.hidden_tables

    def rows(self, table: str) -> list[Record]:
        """Return the records of a table in the order of their creation."""
        with self._lock:
            return [record for record in self._records.values() if record.table == table]

    def record(self, table: str, sys_id: str) -> Record | None:
        """Find a record."""
        with self._lock:
            return self._records.get((table, sys_id))

    def by_number(self, table: str, number: str) -> Record | None:
        """Find a record by its number."""
        return next((record for record in self.rows(table) if record.text("number") == number), None)

    def put(self, table: str, columns: Mapping[str, Value], *, by: str) -> Record:
        """Create a record, or replace one of the same number under its sys_id."""
        with self._lock:
            old = self.by_number(table, columns["number"].value) if "number" in columns else None
            sys_id = old.sys_id if old is not None else uuid4().hex
            head = {
                "sys_id": plain(sys_id),
                "sys_class_name": plain(table),
                "active": plain("true"),
                "sys_mod_count": plain("0"),
                "sys_created_on": plain(now()),
                "sys_created_by": plain(by),
                "sys_updated_on": plain(now()),
                "sys_updated_by": plain(by),
            }
            record = Record(table=table, sys_id=sys_id, columns=head | dict(columns))
            self._records[table, sys_id] = record
            return record

    def update(
        self, record: Record, columns: Mapping[str, Value], *, by: str, seconds_ago: float = 0.0
    ) -> Record:
        """Write columns and journal entries in one step of the modification count."""
        at = now(seconds_ago=seconds_ago)
        with self._lock:
            current = self._records[record.table, record.sys_id]
            for element in JOURNAL:
                if element in columns and columns[element].value:
                    self._write_journal(current, element, columns[element].value, by, at)
            head = {
                "sys_mod_count": plain(str(int(current.text("sys_mod_count") or "0") + 1)),
                "sys_updated_on": plain(at),
                "sys_updated_by": plain(by),
            }
            if "state" in columns and columns["state"].value in _CLOSED.get(record.table, ()):
                head["active"] = plain("false")
            kept = {name: value for name, value in columns.items() if name not in JOURNAL}
            updated = Record(
                table=current.table, sys_id=current.sys_id, columns=current.columns | kept | head
            )
            self._records[record.table, record.sys_id] = updated
            self._remember(current, updated, columns)
            return updated

    def add(self, table: str, columns: Mapping[str, Value]) -> Record:
        """Create a record of a table that the instance keeps."""
        with self._lock:
            sys_id = f"{next(self._order):032x}"
            record = Record(table=table, sys_id=sys_id, columns={"sys_id": plain(sys_id)} | dict(columns))
            self._records[table, sys_id] = record
            return record

    def user(self, user_name: str) -> Record | None:
        """Find a user by name."""
        return next((user for user in self.rows("sys_user") if user.text("user_name") == user_name), None)

    def delete(self, table: str, sys_id: str) -> bool:
        """Delete a record; its journal stays, as it does there."""
        with self._lock:
            return self._records.pop((table, sys_id), None) is not None

    def journal(self, record: Record, element: str) -> list[Record]:
        """Return the entries of one journal column, newest first."""
        entries = [e for e in self.rows("sys_journal_field") if e.text("element_id") == record.sys_id]
        return [entry for entry in reversed(entries) if entry.text("element") == element]

    def _remember(self, before: Record, after: Record, written: Mapping[str, Value]) -> None:
        """Write what changed into the audit, and into the history where somebody has looked at it."""
        by, at, count = (after.text(f"sys_{name}") for name in ("updated_by", "updated_on", "mod_count"))
        author = self.user(by)
        for name in written:
            old, new = before.text(name), written[name].value
            if name.startswith("sys_") or old == new:
                continue
            audited = {
                "tablename": after.table,
                "documentkey": after.sys_id,
                "fieldname": name,
                "oldvalue": old,
                "newvalue": new,
                "user": by,
                "record_checkpoint": count,
                "sys_created_on": at,
                "sys_created_by": by,
            }
            self.add("sys_audit", {name: plain(value) for name, value in audited.items()})
            if self.behaviour.history_unseen:
                continue
            line = {
                "field": name,
                "old_value": old,
                "new_value": new,
                "old": before.columns[name].display if name in before.columns else "",
                "new": written[name].display,
                "update": count,
                "update_time": at,
            }
            held = reference(self._history_set(after), "sys_history_set")
            who = reference(author.sys_id if author else "", "sys_user", display=by)
            lines = {name: plain(value) for name, value in line.items()}
            self.add("sys_history_line", lines | {"set": held, "user": who})

    def _history_set(self, record: Record) -> str:
        kept = (one for one in self.rows("sys_history_set") if one.text("id") == record.sys_id)
        found = next(kept, None) or self.add("sys_history_set", {"id": plain(record.sys_id)})
        return found.sys_id

    def _write_journal(self, record: Record, element: str, text: str, by: str, at: str) -> None:
        columns = {
            "name": record.table,
            "element": element,
            "element_id": record.sys_id,
            "value": text,
            "sys_created_on": at,
            "sys_created_by": by,
        }
        self.add("sys_journal_field", {name: plain(value) for name, value in columns.items()})


def journal_text(entries: list[Record], element: str) -> str:
    """Return a journal column as one long text, the way display values show it."""
    return "".join(
        _headed(entry.text("sys_created_on"), entry.text("sys_created_by"), element, entry.text("value"))
        for entry in entries
    )


def entry_text(record: Record, element: str, text: str) -> str:
    """Return the newest entry of a record as a script reads it: with its head."""
    return _headed(record.text("sys_updated_on"), record.text("sys_updated_by"), element, text)


def _headed(at: str, by: str, element: str, text: str) -> str:
    label = {"work_notes": "Work notes", "comments": "Additional comments"}[element]
    return f"{at} - {by} ({label})\n{text}\n\n"


def _first_records() -> dict[tuple[str, str], Record]:
    users = (
        (BRIDGE_SYS_ID, known.SERVICENOW_USERNAME, "Nexthink bridge", "svc.bridge@example.com"),
        ("5a5ab0b1c0a8016500000000000000a1", "ada", "Ada Example", "ada@example.com"),
        ("6816f79cc0a8016401c5a33be04be441", "bo.agent", "Bo Agent", "bo@example.com"),
    )
    records = [
        _row("sys_user", sys_id, user_name=login, name=name, email=mail)
        for sys_id, login, name, mail in users
    ]
    records += [_row("sys_user_group", f"{n:031x}a", name=name) for n, name in enumerate(GROUPS, 1)]
    choices = [(table, value, label) for table, states in STATES.items() for value, label in states]
    records += [
        _row("sys_choice", f"{n:031x}c", name=table, element="state", value=value, label=label)
        for n, (table, value, label) in enumerate(choices, 1)
    ]
    return {(record.table, record.sys_id): record for record in records}


def _row(table: str, sys_id: str, **columns: str) -> Record:
    """Return a record that a fresh instance has; like every choice, group and user there it is in use."""
    in_use = {"inactive": "false"} if table == "sys_choice" else {"active": "true"}
    head = {"sys_id": sys_id, **columns, **in_use}
    return Record(table=table, sys_id=sys_id, columns={key: plain(text) for key, text in head.items()})
