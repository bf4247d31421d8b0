"""Whoever looked at a held run moves it only as they saw it: held still, and for the same reason."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from bridge.errors import LostOwnership, Reason, Unreadable
from bridge.ledger import people, working
from bridge.ledger.people import Act
from bridge.ledger.tables import runs
from bridge.models import Occasion, PauseScope, RunId, RunState

ACT = Act(author="operator", reason="looked at the device")
HOUR = timedelta(hours=1)


def stored(ledger):
    return ledger.read(working.find_run, run=RunId("r1"))


@pytest.fixture
def held(ledger, accept, make_run, open_session, claim, clock):
    """Hold a run that is claimed, or again after a release, for a reason; return it as it then stands."""
    open_session("s1")
    accept(make_run("r1"))

    def hold(reason):
        before = stored(ledger)
        if before.state is RunState.HELD:
            ledger.write(
                people.release, run=before.id, reason=before.reason, waive=False, act=ACT, comment=None
            )
        (run,) = claim("s1")
        due_at = clock.now + HOUR
        ledger.write(working.hold, run=run, reason=reason, detail=None, due_at=due_at, comment=None)
        return stored(ledger)

    return hold


@pytest.fixture
def approve(ledger, make_comment):
    def do(seen):
        comment = make_comment("r1", Occasion.APPROVED)
        ledger.write(working.approved, run=seen, by="ann", detail="in the ticket", comment=comment)

    return do


# ── approved ─────────────────────────────────────────────────────────────────────────────────────────────


def test_l3_an_approved_run_is_queued_and_its_ticket_told(ledger, held, approve, claim):
    approve(held(Reason.AWAITING_APPROVAL))
    assert (stored(ledger).state, stored(ledger).reason) == (RunState.QUEUED, None)
    assert [run.id for run in claim("s1")] == ["r1"]


@pytest.mark.parametrize("reason", [Reason.PAUSED, Reason.OVER_LIMIT, Reason.RESTORED, Reason.LOOP])
def test_l3_an_approval_does_not_queue_what_is_held_for_something_else_by_now(ledger, held, approve, reason):
    seen = held(Reason.AWAITING_APPROVAL)
    after = held(reason)
    with pytest.raises(LostOwnership, match="does not wait for approval any more"):
        approve(seen)
    assert stored(ledger) == after


def test_l3_an_approval_that_comes_twice_queues_and_tells_once(ledger, held, approve, claim):
    seen = held(Reason.AWAITING_APPROVAL)
    approve(seen)
    (claimed,) = claim("s1")
    with pytest.raises(LostOwnership, match="does not wait for approval any more"):
        approve(seen)
    assert stored(ledger) == claimed


# ── looked at later, and woken ───────────────────────────────────────────────────────────────────────────


def test_a_held_run_is_looked_at_again_when_it_was_said(ledger, held, clock):
    seen = held(Reason.OVER_LIMIT)
    ledger.write(working.look_later, run=seen, at=clock.now + 2 * HOUR)
    clock.move(hours=1.5)
    assert ledger.read(working.due_held, limit=5).runs == ()
    clock.move(hours=1)
    assert [run.id for run in ledger.read(working.due_held, limit=5).runs] == ["r1"]


def test_a_run_that_is_held_for_something_else_by_now_keeps_its_time(ledger, held, clock):
    seen = held(Reason.OVER_LIMIT)
    after = held(Reason.PAUSED)
    ledger.write(working.look_later, run=seen, at=clock.now + 2 * HOUR)
    assert stored(ledger) == after


def test_a_run_that_was_released_meanwhile_is_not_put_off(ledger, held, claim, clock):
    seen = held(Reason.OVER_LIMIT)
    ledger.write(people.release, run=seen.id, reason=seen.reason, waive=False, act=ACT, comment=None)
    ledger.write(working.look_later, run=seen, at=clock.now + 2 * HOUR)
    assert [run.id for run in claim("s1")] == ["r1"]


def test_a_run_that_is_held_for_something_else_by_now_is_not_woken(ledger, held):
    seen = held(Reason.OVER_LIMIT)
    after = held(Reason.RESTORED)
    assert not ledger.write(working.wake, run=seen)
    assert stored(ledger) == after


# ── written by another version ───────────────────────────────────────────────────────────────────────────


def test_a_run_that_cannot_be_read_stays_held_and_keeps_no_other_back(ledger, accept, make_run):
    accept(make_run("r1"), make_run("r2", mapping="another"))
    ledger.write(
        lambda tx: tx.connection.execute(
            update(runs).values(state=RunState.HELD, reason=Reason.PAUSED, detail="everything")
        )
    )
    ledger.write(people.pause, scope=PauseScope.EVERYTHING, value="", lasting=None, act=ACT, seen=None)
    ledger.write(lambda tx: tx.connection.execute(update(runs).where(runs.c.id == "r1").values(plan="{")))
    with pytest.raises(Unreadable, match="run r1 was written by another version"):
        stored(ledger)
    assert ledger.write(people.resume, scope=PauseScope.EVERYTHING, value="", act=ACT) == 1
    states = ledger.read(lambda tx: dict(tx.connection.execute(select(runs.c.id, runs.c.state)).all()))
    assert states == {"r1": RunState.HELD, "r2": RunState.QUEUED}
