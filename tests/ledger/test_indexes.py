"""What is asked every second reads what is unfinished, however much has ended."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from bridge.ledger import (
    Tx,
    approvals,
    claiming,
    mapping_use,
    outbox,
    pending,
    queries,
    sessions,
    stored,
    working,
)
from bridge.ledger.claiming import Allowance
from bridge.ledger.connecting import open_database
from bridge.ledger.migrating import migrate
from bridge.models import MappingId, PortalName, SessionId, SourceName

OURS = {"session": SessionId("s1")}
MAIN = PortalName("main")
ASKED_OFTEN = [
    (outbox.claim_comments, OURS | {"limit": 8, "rooms": {SourceName("jira"): 8}, "lasting": timedelta(1)}),
    (
        claiming.claim,
        OURS | {"allowances": (Allowance(portal=MAIN, runs=8),), "configured": (MAIN,)},
    ),
    (claiming.is_there_work, {}),
    (pending.due_sources, {"sources": (SourceName("jira"),)}),
    (pending.take_pending, {"source": SourceName("jira"), "limit": 8, "lease": timedelta(1)}),
    (working.due_held, {"limit": 20}),
    (approvals.due_sources, {}),
    (approvals.take_due, {"source": SourceName("jira"), "limit": 4, "lease": timedelta(1)}),
    (sessions.beat, OURS),
    (sessions.beats, {}),
    (sessions.take_back, {}),
    (sessions.bereaved, {}),
    (queries.figures, {}),
]
# What a page asks for: it is bounded by an index as well.
ASKED_BY_PAGES = [
    (mapping_use.mapping_use, {"since": datetime(2026, 1, 1, tzinfo=UTC)}),
    (mapping_use.last_sent, {"mappings": (MappingId("office"),)}),
    (stored.newest_since, {"since": datetime(2026, 1, 1, tzinfo=UTC), "most": 1_000}),
]


class Watched(Tx):
    """A transaction that says which statements it took straight to the driver."""

    __slots__ = ("statements",)

    def _execute(self, sql: str, values: Any) -> Any:
        self.statements.append((sql, values))
        return Tx._execute(self, sql, values)


@pytest.mark.parametrize(
    ("asked", "given"), [*ASKED_OFTEN, *ASKED_BY_PAGES], ids=lambda value: getattr(value, "__name__", "")
)
def test_no_scan_of_what_has_ended(asked: Any, given: dict[str, Any], tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/bridge.sqlite3")
    migrate(engine)
    statements: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        statements.append((statement, parameters))

    with engine.connect().execution_options(writing=True) as connection:
        sessions.open_session(Tx(connection, datetime.now(UTC)), host="h", pid=1, **OURS)
        statements.clear()
        watched = Watched(connection, datetime.now(UTC))
        watched.statements = statements
        asked(watched, **given)
        cursor: Any = connection.connection.cursor()
        plans = [
            (statement, row[3])
            for statement, parameters in tuple(statements)
            for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    engine.dispose()
    assert plans
    whole = {f"SCAN {table}" for table in ("deliveries", "runs", "calls", "comments", "older", "history")}
    assert [(statement, step) for statement, step in plans if step in whole] == []


@pytest.mark.parametrize(("asked", "given"), ASKED_OFTEN, ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_asked_often_is_planned_once(asked: Any, given: dict[str, Any], tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/bridge.sqlite3")
    migrate(engine)
    with engine.connect().execution_options(writing=True) as connection:
        sessions.open_session(Tx(connection, datetime.now(UTC)), host="h", pid=1, **OURS)
        for _ in range(3):
            asked(Tx(connection, datetime.now(UTC)), **given)
        cursor: Any = connection.connection.cursor()
        try:
            cursor.execute("SELECT sql, run, reprep FROM sqlite_stmt WHERE sql NOT LIKE 'PRAGMA %'")
        except sqlite3.OperationalError:
            pytest.skip("this build of SQLite does not tell how often it planned a statement (sqlite_stmt)")
        often = [(sql, planned) for sql, run, planned in cursor.fetchall() if run == 3]
    engine.dispose()
    assert often
    assert [sql for sql, planned in often if planned] == []
