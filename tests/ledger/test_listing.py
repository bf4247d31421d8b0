"""Pages of long lists: complete, nothing twice, and each with an end, however rare what is looked for."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from bridge.errors import Reason
from bridge.ledger import Ledger, Tx
from bridge.ledger.accepting import Verdict
from bridge.ledger.accepting import accept as accept_delivery
from bridge.ledger.connecting import open_database
from bridge.ledger.listing import (
    SCANNED,
    Came,
    Place,
    Span,
    WantedDeliveries,
    WantedRuns,
    page_of_deliveries,
    page_of_runs,
)
from bridge.ledger.migrating import migrate
from bridge.ledger.starting import NewRun
from bridge.ledger.tables import runs
from bridge.models import Delivery, DeliveryId, MappingId, RunId, RunState


@pytest.fixture
def fill(accept: Callable[..., Any], make_run: Callable[..., NewRun], clock: Any) -> Any:
    """Make runs, a batch of them at the same moment, the next batch a minute later."""
    numbers = count(1)

    def do(*batches: int, **given: Any) -> None:
        for size in batches:
            made = []
            for _ in range(size):
                number = next(numbers)
                made.append(make_run(f"r{number:04}", key=f"k{number}", **given))
            accept(*made)
            clock.move(minutes=1)

    return do


def walk(ledger: Ledger, wanted: WantedRuns, limit: int) -> tuple[list[str], list[bool]]:
    """Return all runs of all pages in order, and of each page whether it stopped looking before the end."""
    found, stopped = [], []
    behind: Place | None = None
    while True:
        page = ledger.read(page_of_runs, wanted=wanted, limit=limit, behind=behind)
        found += [run.id for run in page.runs]
        stopped.append(page.looked_to is not None)
        if page.further is None:
            return found, stopped
        behind = page.further


@pytest.mark.parametrize("limit", [1, 7, 50])
def test_every_run_stands_on_one_page_the_newest_first(ledger: Ledger, fill: Any, limit: int) -> None:
    fill(3, 20, 1, 9)
    found, stopped = walk(ledger, WantedRuns(), limit)
    assert sorted(found) == [f"r{number:04}" for number in range(1, 34)]
    made = {run.id: run.created_at for run in ledger.read(page_of_runs, wanted=WantedRuns(), limit=99).runs}
    assert found == sorted(found, key=lambda run: (made[RunId(run)], run), reverse=True)
    assert not any(stopped)


def copy_run(tx: Tx, *, run: str, times: int) -> None:
    """Make a run so many times more, all a moment later than itself."""
    others = ", ".join(column.name for column in runs.columns if column.name not in {"id", "key", "mapping"})
    tx.connection.execute(
        text(
            f"INSERT INTO runs (id, key, mapping, {others}) "
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :times) "
            f"SELECT 's' || n.i, 's' || n.i, 'usual', {others} FROM n, runs WHERE id = :run"
        ),
        {"run": run, "times": times},
    )


def test_what_is_rare_is_found_behind_thousands_and_each_page_has_an_end(ledger: Ledger, fill: Any) -> None:
    fill(1, mapping=MappingId("rare"))
    ledger.write(copy_run, run="r0001", times=SCANNED + 10)
    wanted = WantedRuns(mapping=MappingId("rare"))
    first = ledger.read(page_of_runs, wanted=wanted, limit=50)
    assert first.runs == ()
    assert first.further is not None
    assert first.looked_to == first.further.at
    second = ledger.read(page_of_runs, wanted=wanted, limit=50, behind=first.further)
    assert [run.id for run in second.runs] == ["r0001"]
    assert second.further is second.looked_to is None


def test_runs_are_narrowed_by_each_thing_they_have_in_common(
    ledger: Ledger, fill: Any, accept: Any, make_run: Any, make_plan: Any, clock: Any
) -> None:
    fill(2)
    ledger.write(copy_run, run="r0001", times=600)
    since = clock.now
    plan = make_plan(mapping="other", action="wipe", devices=("WS-Ä%1", "WS-2"))
    odd = replace(plan.ticket, key="SUP-77", uid="77")
    accept(make_run("odd", plan=plan, ticket=odd, state=RunState.HELD, mapping=MappingId("other")))
    clock.move(minutes=1)
    for wanted in (
        WantedRuns(ticket="SUP-77"),
        WantedRuns(state=RunState.HELD),
        WantedRuns(mapping=MappingId("other")),
        WantedRuns(action="wipe"),
        WantedRuns(device="ws-Ä%1"),
        WantedRuns(device="WS-2"),
        WantedRuns(made=Span(since=since, until=since + timedelta(seconds=1))),
        WantedRuns(ticket="SUP-77", state=RunState.HELD, action="wipe", device="ws-2"),
    ):
        assert walk(ledger, wanted, 50)[0] == ["odd"], wanted
    for wanted in (
        WantedRuns(device="WS"),
        WantedRuns(device="WS-_"),
        WantedRuns(device='WS-2","x'),
        WantedRuns(ticket="SUP-77", state=RunState.QUEUED),
        WantedRuns(source="servicenow"),
    ):
        assert walk(ledger, wanted, 50)[0] == [], wanted


@pytest.mark.parametrize(
    ("reason", "came"),
    [(None, Came.RUN), (Reason.NO_MAPPING, Came.NO_MAPPING), (Reason.OWN_CHANGE, Came.NEEDLESS)],
)
def test_deliveries_are_narrowed_by_what_came_of_them(
    ledger: Ledger, make_delivery: Callable[..., Delivery], make_run: Any, reason: Reason | None, came: Came
) -> None:
    ticket = make_run().ticket
    verdict = Verdict(
        reason=reason,
        detail=None,
        ticket=ticket,
        findings=[],
        mapping_set=None,
        runs=() if reason else (make_run(),),
    )
    for number, judged in enumerate((verdict, None)):
        ledger.write(
            accept_delivery,
            delivery_id=DeliveryId(f"d{number}"),
            delivery=make_delivery(key=f"k{number}", digest=str(number)),
            verdict=judged,
            ticket=ticket,
        )
    for wanted, found in ((came, ["d0"]), (Came.WAITING, ["d1"]), (None, ["d1", "d0"])):
        page = ledger.read(page_of_deliveries, wanted=WantedDeliveries(came=wanted), limit=5)
        assert [each.id for each in page.deliveries] == found, wanted
    for other in set(Came) - {came, Came.WAITING}:
        assert not ledger.read(page_of_deliveries, wanted=WantedDeliveries(came=other), limit=5).deliveries
    narrowed = WantedDeliveries(came=came, ticket=ticket.key, source=ticket.source)
    assert len(ledger.read(page_of_deliveries, wanted=narrowed, limit=5).deliveries) == 1
    for narrowed in (WantedDeliveries(ticket="SUP-2"), WantedDeliveries(source="servicenow")):
        assert not ledger.read(page_of_deliveries, wanted=narrowed, limit=5).deliveries


RUNS, DELIVERIES = (page_of_runs, WantedRuns), (page_of_deliveries, WantedDeliveries)


@pytest.mark.parametrize(
    ("listed", "given", "index"),
    [
        (RUNS, {}, "ix_runs_created"),
        (RUNS, {"ticket": "SUP-1"}, "ix_runs_ticket"),
        (RUNS, {"ticket": "SUP-1", "state": RunState.ANSWERED}, "ix_runs_ticket"),
        (RUNS, {"state": RunState.UNKNOWN}, "ix_runs_unended"),
        (RUNS, {"state": RunState.DEAD, "mapping": "office"}, "ix_runs_unended"),
        (RUNS, {"state": RunState.REFUSED}, "ix_runs_over"),
        (RUNS, {"source": "jira", "mapping": "office", "action": "wipe"}, "ix_runs_created"),
        (RUNS, {"device": "WS-1"}, "ix_runs_created"),
        (DELIVERIES, {}, "ix_deliveries_received"),
        (DELIVERIES, {"ticket": "SUP-1"}, "ix_deliveries_ticket"),
        (DELIVERIES, {"ticket": "SUP-1", "came": Came.WAITING}, "ix_deliveries_ticket"),
        (DELIVERIES, {"ticket": "SUP-1", "came": Came.NO_MAPPING}, "ix_deliveries_ticket"),
        (DELIVERIES, {"came": Came.WAITING}, "ix_deliveries_waiting"),
        (DELIVERIES, {"came": Came.NO_MAPPING, "source": "jira"}, "ix_deliveries_reason"),
        (DELIVERIES, {"came": Came.NEEDLESS, "source": "jira"}, "ix_deliveries_received"),
        (DELIVERIES, {"came": Came.RUN}, "ix_deliveries_received"),
    ],
)
def test_each_list_is_read_by_an_index_in_its_order(
    tmp_path: Path, listed: Any, given: dict[str, Any], index: str
) -> None:
    page, wanted = listed
    engine = open_database(f"sqlite:///{tmp_path}/bridge.sqlite3")
    migrate(engine)
    statements: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        statements.append((statement, parameters))

    behind = Place(at=datetime(2026, 1, 1, tzinfo=UTC), id="r1")
    with engine.connect() as connection:
        page(Tx(connection, behind.at), wanted=wanted(**given), limit=50, behind=behind)
        for statement, parameters in tuple(statements):
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            assert re.search(rf"USING (COVERING )?INDEX {index}\b", plan[0].detail), (statement, plan)
            # Only what was made at the very same time is sorted.
            assert "USE TEMP B-TREE FOR ORDER BY" not in {step.detail for step in plan}, (statement, plan)
    engine.dispose()
    assert statements


def test_a_run_that_cannot_be_read_keeps_no_other_off_the_page(ledger: Ledger, fill: Any) -> None:
    fill(2)
    ledger.write(lambda tx: tx.connection.execute(text("UPDATE runs SET plan = '{' WHERE id = 'r0001'")))
    page = ledger.read(page_of_runs, wanted=WantedRuns(), limit=5)
    assert [run.id for run in page.runs] == ["r0002"]
    assert page.unreadable == ("r0001",)
