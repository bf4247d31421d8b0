"""What came in and what ran is counted by steps of time, and taken over only while it cannot have changed."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text, update

from bridge.ledger import Ledger, onlooking, traffic
from bridge.ledger.accepting import Verdict, accept
from bridge.ledger.tables import runs
from bridge.models import DeliveryId, RunState

FIVE = timedelta(minutes=5)


@pytest.fixture
def nothing(ledger: Ledger, make_delivery: Any) -> Any:
    """Accept a delivery that asks for nothing, or one that has to wait."""

    def do(key: str, reason: str | None) -> None:
        verdict = Verdict(reason=reason, detail=None, ticket=None, findings=[], mapping_set="0" * 64, runs=())
        ledger.write(
            accept,
            delivery_id=DeliveryId(f"d-{key}"),
            delivery=make_delivery(key=key),
            verdict=verdict if reason else None,
        )

    return do


def counted(ledger: Ledger, before: traffic.Traffic | None = None) -> traffic.Traffic:
    return ledger.read(traffic.count_steps, count=12, each=FIVE, before=before)


def present(counts: Any) -> dict[str, int]:
    return {str(name): number for name, number in counts.items() if number}


def test_each_step_says_what_came_and_what_ran_in_it(
    ledger: Ledger, clock: Any, accept: Any, make_run: Any, make_plan: Any, nothing: Any
) -> None:
    accept(make_run())
    clock.move(minutes=7)
    nothing("n1", "no_mapping")
    nothing("n2", "own_change")
    nothing("n3", None)
    found = counted(ledger)
    assert len(found.steps) == 12
    assert [step.until - step.since for step in found.steps] == [FIVE] * 12
    assert found.steps[-1].since <= clock.now < found.steps[-1].until
    assert present(found.steps[-1].deliveries) == {"no_mapping": 1, "own_change": 1, "pending": 1}
    assert present(found.steps[-2].deliveries) == {"matched": 1}
    assert present(found.steps[-2].runs) == {"queued": 1}
    assert present(found.steps[-3].deliveries) == present(found.steps[-3].runs) == {}


def test_steps_are_those_of_the_clock_and_what_is_older_is_not_counted(
    ledger: Ledger, clock: Any, accept: Any, make_run: Any
) -> None:
    accept(make_run())
    clock.move(minutes=56, seconds=30)
    found = counted(ledger)
    assert all(step.since.minute % 5 == 0 and step.since.second == 0 for step in found.steps)
    assert sum(sum(step.runs.values()) for step in found.steps) == 1
    clock.move(minutes=5)
    assert sum(sum(step.runs.values()) for step in counted(ledger).steps) == 0


def move(ledger: Ledger, state: RunState) -> None:
    ledger.write(lambda tx: tx.connection.execute(update(runs).values(state=state)))


def test_a_run_of_long_ago_that_moves_is_counted_again(
    ledger: Ledger, clock: Any, accept: Any, make_run: Any
) -> None:
    accept(make_run())
    clock.move(minutes=12)
    before = counted(ledger)
    move(ledger, RunState.UNKNOWN)
    found = counted(ledger, before)
    assert [present(step.runs) for step in found.steps if present(step.runs)] == [{"unknown": 1}]
    move(ledger, RunState.ANSWERED)
    found = counted(ledger, found)
    assert [present(step.runs) for step in found.steps if present(step.runs)] == [{"answered": 1}]
    move(ledger, RunState.QUEUED)
    found = counted(ledger, found)
    assert [present(step.runs) for step in found.steps if present(step.runs)] == [{"queued": 1}]


def test_a_step_that_is_over_and_stands_still_is_taken_over_for_an_hour_at_most(
    ledger: Ledger, clock: Any, accept: Any, make_run: Any
) -> None:
    accept(make_run())
    move(ledger, RunState.ANSWERED)
    clock.move(minutes=12)
    before = counted(ledger)
    # Nobody does this; it shows whether rows are counted.
    move(ledger, RunState.EXPIRED)
    found = counted(ledger, before)
    assert [present(step.runs) for step in found.steps if present(step.runs)] == [{"answered": 1}]
    assert found.whole_at == before.whole_at
    clock.move(minutes=30)
    found = counted(ledger, found)
    clock.now = before.whole_at + traffic.STANDS + timedelta(seconds=1)
    ledger.write(lambda tx: tx.connection.execute(update(runs).values(created_at=tx.now - FIVE)))
    found = counted(ledger, found)
    assert [present(step.runs) for step in found.steps if present(step.runs)] == [{"expired": 1}]
    assert found.whole_at == clock.now


def test_a_step_that_has_just_ended_is_counted_again(
    ledger: Ledger, clock: Any, accept: Any, make_run: Any
) -> None:
    clock.now = clock.now.replace(minute=4, second=59)
    before = counted(ledger)
    accept(make_run())
    clock.move(seconds=30)
    found = counted(ledger, before)
    assert present(found.steps[-2].runs) == {"queued": 1}


def test_what_presses_is_named_by_its_ticket(
    ledger: Ledger, accept: Any, make_run: Any, claim: Any, open_session: Any
) -> None:
    accept(make_run())
    open_session("s1")
    claim("s1")
    assert ledger.read(onlooking.in_hand) == {"s1": 1}
    assert not any(ledger.read(onlooking.pressing).values())
    move(ledger, RunState.UNKNOWN)
    (named,) = ledger.read(onlooking.pressing)[onlooking.Pressing.UNKNOWN]
    assert (named.id, named.ticket_key) == ("r1", "SUP-1")
    ledger.write(
        lambda tx: tx.connection.execute(update(runs).values(state=RunState.HELD, reason="awaiting_approval"))
    )
    (named,) = ledger.read(onlooking.pressing)[onlooking.Pressing.AWAITING_APPROVAL]
    assert named.id == "r1"


def test_the_last_webhook_of_each_source_is_told(
    ledger: Ledger, clock: Any, accept: Any, make_run: Any
) -> None:
    assert ledger.read(onlooking.last_webhooks) == {}
    accept(make_run())
    assert ledger.read(onlooking.last_webhooks) == {"jira": clock.now}
    ledger.write(lambda tx: tx.connection.execute(text("UPDATE deliveries SET recovered = 1")))
    assert ledger.read(onlooking.last_webhooks) == {}
