"""However long the past is, a page reads a bounded part of it, by an index.

The times on 1,000,000 runs are measured by `python -m bench.console`; a tenth of them shows the same plans,
and whether a page reads all of it.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text

from bench import past
from bridge.ledger import traffic
from bridge.ledger.listing import SCANNED
from bridge.models import RunState

ROWS = 100_000
# The rows that one step of a plan may read: what a page looks at, where what is looked for is rare.
MOST = SCANNED + 1_000
LARGE = ("runs", "deliveries", "history", "audit")

RECENT = f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%dT%H:%M}"
LISTS = [
    "/",
    "/runs",
    "/runs?source=jira",
    "/runs?source=elsewhere",
    "/runs?mapping=teams-cache-when-chosen-7",
    "/runs?mapping=no-such-mapping",
    "/runs?action=clear-teams-cache",
    "/runs?action=no-such-action",
    "/runs?device=WS-ABC-12345",
    "/runs?device=WS-NOWHERE",
    f"/runs?from={RECENT}",
    f"/runs?to={RECENT}",
    f"/runs?from={RECENT}&state=answered&source=jira&mapping=teams-cache-when-chosen-7",
    *(f"/runs?state={state}" for state in RunState),
    "/deliveries",
    "/deliveries?source=servicenow",
    "/deliveries?came=run",
    "/deliveries?came=no_mapping",
    "/deliveries?came=needless",
    "/deliveries?came=waiting",
    f"/deliveries?to={RECENT}",
]


class Asked:
    """What a web process asks its ledger, on either database, with the plans of it."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.statements: list[tuple[Any, Any]] = []
        self.sqlite = engine.dialect.name == "sqlite"
        event.listen(engine, "checkout", self._listen)

    def _listen(self, connection: Any, _record: Any, _proxy: Any) -> None:
        if self.sqlite:
            connection.set_trace_callback(lambda statement: self.statements.append((statement, None)))
            return
        statements = self.statements

        class Recording(psycopg.Cursor[Any]):
            def execute(self, query: Any, params: Any = None, **kept: Any) -> Any:
                statements.append((query, params))
                return super().execute(query, params, **kept)

        connection.cursor_factory = Recording

    def plans(self, ask: Callable[[], Any]) -> Iterator[tuple[str, str]]:
        """Ask, and yield every step of the plans of what was read, with what is wrong with it."""
        self.statements.clear()
        ask()
        asked = [each for each in self.statements if re.match(r"\s*(SELECT|WITH)\b", str(each[0]))]
        assert asked
        with self.engine.connect() as connection:
            driver = connection.connection.dbapi_connection
            for statement, values in {str(each): each for each in asked}.values():
                if self.sqlite:
                    for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}"):
                        yield row[3], statement
                else:
                    (found,) = driver.execute(
                        f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", values
                    ).fetchone()
                    for step in _steps(found[0]["Plan"]):
                        yield step, statement


def _steps(plan: dict[str, Any]) -> Iterator[str]:
    """Yield what each step of a plan of PostgreSQL's did."""
    read = sum(plan.get(name, 0) for name in ("Actual Rows", "Rows Removed by Filter"))
    yield f"{plan['Node Type']} {plan.get('Relation Name', '')} {int(read * plan['Actual Loops'])}"
    for each in plan.get("Plans", ()):
        yield from _steps(each)


def whole(step: str) -> bool:
    """Say whether a step reads all of a large table, or more rows of it than a page may."""
    scanned = re.match(r"SCAN (\w+)(?! USING| VIRTUAL)", step)
    if scanned:
        return scanned[1] in LARGE
    read = re.match(r"(?:Seq|Index|Index Only|Bitmap Heap) Scan (\w+) (\d+)", step)
    return read is not None and read[1] in LARGE and int(read[2]) > MOST


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def old(
    request: pytest.FixtureRequest,
    opened: Callable[..., AbstractContextManager[Any]],
    sender: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    """A web process on a ledger with a long past, and what it asks that ledger."""
    address = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("CREATE DATABASE long_past")
        address = server.replace("/postgres?", "/long_past?")
    with opened(tmp_path_factory.mktemp("old"), address, BRIDGE_CONSOLE="open") as web:
        fields = {"customfield_10050": {"value": "Clear Teams cache"}, "customfield_10051": "WS-ABC-12345"}
        web.post(sender.created(**fields)[1])
        _fill(web.ledger)
        if address is not None:
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")
        yield web, Asked(web.ledger.engine)


def _fill(ledger: Any) -> None:
    with ledger.alone() as tx:
        past.make_past(tx, count=ROWS, over=timedelta(days=7))


def test_a_read_of_everything_is_seen(old: Any) -> None:
    web, asked = old
    everything = text("SELECT count(*) FROM runs WHERE detail = 'nothing'")
    found = asked.plans(lambda: web.ledger.read(lambda tx: tx.connection.execute(everything).all()))
    assert any(whole(step) for step, _ in found)


@pytest.mark.parametrize("path", LISTS)
def test_a_page_reads_a_bounded_part_of_the_past(old: Any, path: str) -> None:
    web, asked = old
    answers: list[int] = []
    found = list(asked.plans(lambda: answers.append(web.get(path).status_code)))
    assert answers == [200]
    assert [(step, statement) for step, statement in found if whole(step)] == []


@pytest.mark.parametrize("list_", ["/runs", "/runs?source=jira", "/deliveries", "/deliveries?came=run"])
def test_the_next_page_begins_behind_the_last_row_however_far_back(old: Any, list_: str) -> None:
    web, asked = old
    path = list_
    seen: set[str] = set()
    for _ in range(3):
        page = web.get(path).text
        rows = set(re.findall(r'id="row-([^"]+)"', page))
        assert rows
        assert not rows & seen
        seen |= rows
        (further,) = re.findall(r'href="([^"]+)">(?:Older|Look further back)', page)
        path = further.replace("&amp;", "&")
        found = list(asked.plans(partial(web.get, path)))
        assert [step for step, _ in found if whole(step)] == []


def test_what_belongs_to_one_ticket_run_or_delivery_is_found_by_its_index(old: Any) -> None:
    web, asked = old
    (run,) = web.runs()[:1]
    for path in (f"/runs/{run.id}", f"/deliveries/{run.delivery}", f"/tickets/{run.ticket.key}"):
        found = list(asked.plans(partial(web.get, path)))
        assert [(step, statement) for step, statement in found if whole(step)] == [], path


def test_a_chart_is_counted_from_indexes_alone(old: Any) -> None:
    web, asked = old
    given = {"count": 24, "each": timedelta(hours=1)}
    found = list(asked.plans(lambda: web.ledger.read(traffic.count_steps, **given)))
    reading = [step for step, _ in found if re.search(r"\b(runs|deliveries)\b", step)]
    assert reading
    if asked.sqlite:
        assert [step for step in reading if not re.match(r"SEARCH \w+ USING (COVERING )?INDEX", step)] == []
        covered = [step for step in reading if "ix_runs_over" in step or "ix_deliveries_received" in step]
        assert covered
        assert all("COVERING" in step for step in covered)
    else:
        assert {step.split(" Scan ")[0] for step in reading} <= {"Index Only", "Index"}
