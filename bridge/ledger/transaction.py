"""One open transaction: its connection, its clock, its statements, and what it tells timeline, audit, totals.

It must not commit or roll back; the ledger does.
"""

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Executable, text

from bridge.ledger import pseudonyms
from bridge.ledger.prepared import INSERTS, Preparing, Row, Statement, locking, on_each
from bridge.ledger.pseudonyms import WHY, Deed
from bridge.ledger.tables import METADATA, audit, history, totals


def _adding(insert: Any) -> Any:
    """Build the statement that adds to a total, or begins it."""
    statement = insert(totals)
    return statement.on_conflict_do_update(
        index_elements=["kind", "name", "label"],
        set_={
            "count": totals.c.count + statement.excluded["count"],
            "last_at": statement.excluded.last_at,
        },
    )


# Statements, each with its rows.
Told: TypeAlias = Sequence[tuple[Statement, Sequence[Mapping[str, Any]]]]

# Built once: building a statement takes several times as long as running it.
_NOTE: Final = history.insert().inline()
_DEED: Final = audit.insert().inline()
_ADD: Final = on_each(_adding)
_ONE_AT_A_TIME: Final = text("SELECT pg_advisory_xact_lock(hashtext(:scope))")


@dataclass(slots=True)
class Tx:
    """One open transaction: its connection, the ledger's clock, and what it tells of what it does.

    What is built once and runs for every event goes through `run`, `value` and `run_many`, which take the
    statement straight to the driver; the rest goes through `connection`.
    """

    connection: Connection
    now: datetime
    _counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _notes: list[dict[str, object]] = field(default_factory=list)
    _deeds: list[Deed] = field(default_factory=list)
    _at_the_end: list[Executable] = field(default_factory=list)
    _driver: Any = field(init=False)
    _preparing: Preparing = field(init=False)

    def __post_init__(self) -> None:
        # SQLAlchemy begins with the first statement that it sees; the driver's own are none of these.
        if not self.connection.in_transaction():
            self.connection.begin()
        self._driver = self.connection.connection.dbapi_connection
        self._preparing = self.connection.get_execution_options()["preparing"]

    def run(self, statement: Statement, values: Mapping[str, Any]) -> list[Row]:
        """Run a statement that is built once, and return its rows; the driver's errors pass through."""
        prepared = self._preparing.of(statement, tuple(values))
        cursor = self._execute(prepared.sql, prepared.bound(values))
        return prepared.read(cursor.fetchall()) if prepared.results else []

    def value(self, statement: Statement, values: Mapping[str, Any]) -> Any:
        """Run such a statement and return the first column of its first row; None where there is no row."""
        rows = self.run(statement, values)
        return next(iter(rows[0].values())) if rows else None

    def run_many(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run such a statement once for each of the rows, which have the same names in the same order."""
        if len(rows) < 2:
            for row in rows:
                self.run(statement, row)
            return
        prepared = self._preparing.of(statement, tuple(rows[0]))
        with contextlib.closing(self._driver.cursor()) as cursor:
            cursor.executemany(prepared.sql, [prepared.bound(row) for row in rows])

    def run_each(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> list[list[Row]]:
        """Run such a statement once for each of the rows, and return what it returns each time.

        PostgreSQL gets them all in one message.
        """
        if len(rows) < 2 or self.connection.dialect.name == "sqlite":
            return [self.run(statement, row) for row in rows]
        prepared = self._preparing.of(statement, tuple(rows[0]))
        found: list[list[Row]] = []
        with contextlib.closing(self._driver.cursor()) as cursor:
            cursor.executemany(prepared.sql, [prepared.bound(row) for row in rows], returning=True)
            for _ in rows:
                found.append(prepared.read(cursor.fetchall()))
                cursor.nextset()
        return found

    def told(self) -> Told:
        """Return what the members of a group told timeline, audit and totals, each table's rows at once.

        Totals come in sorted order, so that writers cannot deadlock.
        """
        counts = [
            {"kind": kind, "name": name, "label": label, "count": count, "last_at": self.now}
            for (kind, name, label), count in sorted(self._counts.items())
        ]
        deeds = pseudonyms.rows_of(self.connection, self.now, self._deeds) if self._deeds else []
        return [(_NOTE, self._notes), (_DEED, deeds), (_ADD, counts)]

    def write_down(self, told: Told) -> None:
        """Write what was told, and what was left for the end."""
        for statement, rows in told:
            self.run_many(statement, rows)
        for statement in self._at_the_end:
            self.run(statement, {})

    def _execute(self, sql: str, values: Any) -> Any:
        return self._driver.execute(sql, values)

    def at_the_end(self, statement: Executable) -> None:
        """Run a statement that takes and returns nothing when all else is written, once for all who ask."""
        if statement not in self._at_the_end:
            self._at_the_end.append(statement)

    def insert(self, table: Any) -> Any:
        """Return an INSERT that knows ON CONFLICT on this database."""
        return INSERTS[self.connection.dialect.name](table)

    def note(
        self,
        *,
        run: str,
        event: str,
        detail: str | None = None,
        by: str | None = None,
        evidence: dict[str, Any] | None = None,
    ) -> None:
        """Add a line to the timeline of a run, and a row to the audit that says the same.

        Where `by` says who did it, `detail` is their own words. `evidence` is for the audit alone.
        """
        self._notes.append({"run": run, "at": self.now, "event": event, "by": by, "detail": detail})
        said = {} if detail is None else {"detail" if by is None else WHY: detail}
        self.audit(event, about=run, by=by, detail=said | (evidence or {}))

    def audit(
        self, event: str, *, about: str, by: str | None = None, detail: dict[str, Any] | None = None
    ) -> None:
        """Add a row to the audit; those of a whole group are written together.

        `about` is the id of a run or delivery, or a scope such as `portal:main`; `by` is a person. `detail`
        holds JSON values; a person's words stand in it as `why`. Both become digests.
        """
        self._deeds.append(Deed(event=event, about=about, by=by, detail=detail or {}))

    def count(self, kind: str, name: str, label: str, times: int = 1) -> None:
        """Add to a total."""
        self._counts[(kind, name, label)] += times

    def skip_locked(self, query: Any) -> Any:
        """Let a claim pass over rows that another claim holds (PostgreSQL); SQLite has one writer."""
        return query if self.connection.dialect.name == "sqlite" else query.with_for_update(skip_locked=True)

    def locking(self, query: Any) -> Any:
        """Let nobody change what a query reads until the transaction ends; SQLite has one writer."""
        return locking(query)[self.connection.dialect.name]

    def only_one(self, *scopes: str) -> None:
        """Let one transaction at a time into scopes until it commits (PostgreSQL); SQLite has one writer."""
        if self.connection.dialect.name == "postgresql":
            self.run_many(_ONE_AT_A_TIME, [{"scope": scope} for scope in scopes])

    def keep_others_out(self) -> None:
        """Let nobody else write before the transaction ends, which may take long; SQLite has one writer."""
        if self.connection.dialect.name == "postgresql":
            self.connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            names = ", ".join(table.name for table in METADATA.sorted_tables)
            self.connection.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
