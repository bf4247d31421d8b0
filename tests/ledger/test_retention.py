"""What is kept long enough goes, in small steps, and never what a rule still reads."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from bridge.errors import NotPossible
from bridge.evidence import Sealing
from bridge.ledger import admitting, limits, outbox, queries, retention, sending, sign_ins, verifying
from bridge.ledger.sending import Next
from bridge.ledger.tables import METADATA, audit, comments, deliveries, device_uses, runs, seals
from bridge.models import CallResult, CallState, Layer, Limit, LimitKind, RunState
from bridge.retaining import Keep, Purged, Retaining
from bridge.roles import Way

KEEP = Keep(payloads=timedelta(days=30), runs=timedelta(days=100), audit=timedelta(days=200))


def retaining(ledger, window=timedelta(days=1), keep=KEEP):
    return Retaining(ledger=ledger, keep=keep, longest_window=lambda: window)


@pytest.fixture
def work(ledger, accept, make_run, make_plan, make_comment, open_session, claim, part):
    """Take a run to an end, or as far as `state` says; the comment that it owes is posted if `told`."""
    session = open_session("s1")

    def do(run_id="r1", state=RunState.ANSWERED, told=True, **given):
        ticket = replace(make_plan().ticket, uid=f"uid-{run_id}", key=f"SUP-{run_id}")
        accept(make_run(run_id, plan=make_plan(ticket=ticket, **given), ticket=ticket))
        (run,) = claim(session)
        call = ledger.write(admitting.admit, run=run, parts=(part,), lasting=timedelta(seconds=70)).call
        result = CallResult(state=CallState.UNKNOWN if state is RunState.UNKNOWN else CallState.ANSWERED)
        following = Next(state=state, comment=make_comment(run_id))
        ledger.write(sending.answer, run=run, call=call, result=result, following=following)
        if told:
            (comment,) = ledger.write(
                outbox.claim_comments,
                session=session,
                limit=1,
                rooms={run.ticket.source: 1},
                lasting=timedelta(seconds=60),
            )
            ledger.write(outbox.posted, comment=comment, session=session, posted_id="1")
        return run

    return do


def count(ledger, table, *conditions):
    query = select(func.count()).select_from(table).where(*conditions)
    return ledger.read(lambda tx: tx.connection.execute(query).scalar())


def test_a_payload_goes_and_its_delivery_is_recognised_for_ever(ledger, work, accept, make_run, clock):
    work()
    assert retaining(ledger).purge() == Purged(payloads=0, findings=0, runs=0, segments=0)
    clock.move(days=31)
    assert retaining(ledger).preview().payloads == 1
    assert retaining(ledger).purge().payloads == 1
    with pytest.raises(NotPossible, match="after BRIDGE_KEEP_PAYLOADS"):
        ledger.read(queries.whole_delivery, delivery="d1")
    assert accept(make_run("r2"), key="identifier-1").duplicate
    assert count(ledger, deliveries) == 1
    assert retaining(ledger).purge().payloads == 0


def test_who_was_signed_in_goes_when_that_has_ended(ledger, clock):
    given = {"name": "ada", "way": Way.OIDC, "proof": None, "instead_of": None}
    for digest, hours in (("a" * 64, 1), ("b" * 64, 2)):
        ledger.write(sign_ins.begin, digest=digest, lasting=timedelta(hours=hours), **given)
    clock.move(hours=1)
    retaining(ledger).purge()
    assert ledger.read(sign_ins.standing, digest="b" * 64).name == "ada"
    assert count(ledger, METADATA.tables["sign_ins"]) == 1


def test_a2_repeat_never_holds_when_its_run_was_purged(ledger, work, accept, make_run, make_plan, clock):
    run = work()
    clock.move(days=2_000)
    assert retaining(ledger).purge().runs == 1
    again = accept(make_run("r2", plan=run.plan, ticket=run.ticket), key="another")
    assert (again.duplicate, again.runs) == (False, ())
    story = ledger.read(queries.run_story, run="r1")
    assert (story.run.state, story.run.plan) == (RunState.ANSWERED, None)
    assert story.run.purged_at == clock.now
    assert (story.calls, story.comments, story.history) == ((), (), ())


def test_l1_a_cooldown_holds_when_the_run_that_used_the_device_was_purged(
    ledger, work, accept, make_run, make_plan, part, clock
):
    window = timedelta(days=700)
    first = work()
    clock.move(days=650)
    retaining(ledger, window=window).purge()
    assert count(ledger, runs, runs.c.purged_at.is_not(None)) == 1
    cooldown = Limit(kind=LimitKind.COOLDOWN, layer=Layer.MAPPING, most=1, window=window)
    later = replace(first, id="r9")

    def frees_at():
        (spent,) = ledger.read(
            limits.look, run=later, plan=replace(first.plan, limits=(cooldown,)), parts=(part,)
        )
        return spent.frees_at

    assert frees_at() == first.created_at + window
    clock.move(days=51)
    retaining(ledger, window=window).purge()
    assert frees_at() is None
    assert count(ledger, device_uses) == 0


def test_l1_what_limits_count_stays_where_the_mapping_set_is_not_known(ledger, work, clock):
    work()
    clock.move(days=5_000)
    retaining(ledger, window=None).purge()
    assert count(ledger, device_uses) == 1


def test_l1_a_waiting_run_keeps_what_its_own_frozen_limits_look_back_at(
    ledger, work, accept, make_run, make_plan, clock
):
    work()
    clock.move(days=500)
    cooldown = Limit(kind=LimitKind.COOLDOWN, layer=Layer.MAPPING, most=1, window=timedelta(days=600))
    ticket = replace(make_plan().ticket, uid="other")
    accept(make_run("r2", plan=make_plan(limits=(cooldown,)), ticket=ticket, state=RunState.HELD))
    retaining(ledger).purge()
    assert count(ledger, device_uses) == 1


@pytest.mark.parametrize("state", [RunState.UNKNOWN, RunState.SENDING])
def test_a_run_that_has_not_ended_is_left_alone(ledger, work, clock, state):
    work(state=state, told=False)
    clock.move(days=5_000)
    assert retaining(ledger).purge().runs == 0
    assert ledger.read(queries.run_story, run="r1").run.plan is not None


def test_a_run_that_waits_is_left_alone(ledger, accept, make_run, clock):
    accept(make_run("r1", state=RunState.HELD))
    clock.move(days=5_000)
    assert retaining(ledger).purge().runs == 0


def test_a_run_that_owes_a_comment_is_left_alone(ledger, work, clock):
    work(told=False)
    clock.move(days=5_000)
    assert retaining(ledger).purge().runs == 0
    assert count(ledger, comments) == 1


def test_a_purge_that_was_killed_between_two_steps_is_taken_up_by_the_next(ledger, work, clock):
    for number in range(5):
        work(f"r{number}")
    clock.move(days=150)
    before = clock.now - KEEP.runs
    ledger.write(retention.strip_runs, ids=("r1", "r3"), before=before)
    assert count(ledger, comments) == 3
    assert retaining(ledger).purge().runs == 3
    assert count(ledger, comments) == 0
    assert count(ledger, runs) == 5


def test_more_than_one_step_is_done_in_a_pass(ledger, accept, make_run, clock):
    for _ in range(retention.BATCH + 6):
        accept(make_run("r0"), received_at=clock.now)
    clock.move(days=40)
    assert retaining(ledger).purge().payloads == retention.BATCH + 6


def test_a_purged_audit_keeps_its_seals_and_is_verified_still(ledger, work, clock):
    sealing = Sealing(ledger=ledger)
    for number in range(3):
        work(f"r{number}")
        clock.move(days=90)
        assert sealing.catch_up() == 1
    clock.move(days=130)
    assert retaining(ledger).preview().segments == 2
    assert retaining(ledger).purge().segments == 2
    assert sealing.catch_up() == 1
    found = ledger.read(verifying.verify)
    assert found.faults == ()
    assert (found.segments, found.purged_segments) == (4, 2)
    (said,) = ledger.read(
        lambda tx: tx.connection.execute(select(audit.c.detail).where(audit.c.event == "audit_purged")).all()
    )
    assert json.loads(said.detail) == {"segments": 2, "through": 2}


def test_the_newest_segment_stays_however_old_it_is(ledger, work, clock):
    sealing = Sealing(ledger=ledger)
    work()
    sealing.catch_up()
    clock.move(days=5_000)
    assert retaining(ledger).purge().segments == 0
    assert sealing.catch_up() == 1
    assert ledger.read(verifying.verify).faults == ()


def test_a_purge_that_was_made_to_look_longer_is_found(ledger, work, clock):
    sealing = Sealing(ledger=ledger)
    for number in range(3):
        work(f"r{number}")
        clock.move(days=90)
        sealing.catch_up()
    retaining(ledger, keep=replace(KEEP, audit=timedelta(days=100))).purge()

    def pretend(tx):
        tx.connection.execute(update(seals).where(seals.c.id == 2).values(purged_at=clock.now))
        tx.connection.execute(audit.delete().where(audit.c.id <= seals_last(tx, 2)))

    def seals_last(tx, number):
        return tx.connection.execute(select(seals.c.last).where(seals.c.id == number)).scalar()

    ledger.write(pretend)
    assert [fault.segment for fault in ledger.read(verifying.verify).faults] == [2]


def test_a_purge_that_was_made_up_is_found_by_the_age_of_what_is_gone(ledger, work, clock):
    """Who may write to the database can also write the row that tells of a purge."""
    sealing = Sealing(ledger=ledger)
    work("r1")
    sealing.catch_up()
    (head,) = ledger.read(lambda tx: tx.connection.execute(select(seals.c.chain)).scalars().all())

    def make_up(tx):
        tx.connection.execute(audit.delete())
        tx.connection.execute(update(seals).values(purged_at=clock.now))
        tx.audit(verifying.PURGED, about="audit", detail={"through": 1})

    ledger.write(make_up)
    sealing.catch_up()
    clock.move(days=30)
    found = ledger.read(verifying.verify, heads=(head,), kept=timedelta(days=400))
    assert [fault.segment for fault in found.faults] == [1]


def test_one_worker_a_day_begins_a_pass(ledger, clock):
    day = timedelta(days=1)
    assert [ledger.write(retention.begin_pass, every=day) for _ in range(2)] == [True, False]
    clock.move(hours=25)
    assert ledger.write(retention.begin_pass, every=day)


def test_every_table_that_belongs_to_runs_is_emptied_or_counted():
    belonging = {
        table.name
        for table in METADATA.tables.values()
        if any(key.target_fullname == "runs.id" for key in table.foreign_keys)
    }
    assert belonging == {"calls", "comments", "history", "approvals", "device_uses", "trips"}
