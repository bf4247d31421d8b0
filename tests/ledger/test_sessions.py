"""Rules W1 to W4 and W7, on SQLite and PostgreSQL."""

from datetime import timedelta

import pytest

from bridge.errors import Reason
from bridge.ledger import admitting, claiming, people, queries, sending, sessions
from bridge.ledger.claiming import Allowance
from bridge.ledger.people import Act
from bridge.models import CallResult, CallState, Occasion, Part, PortalName, RunId, RunState, SessionId

ACT = Act(author="operator", reason="the restore is understood")


def run_of(ledger, run):
    return ledger.read(queries.run_story, run=RunId(run)).run


def test_w1_a_session_whose_beat_moved_is_not_buried(ledger, open_session):
    open_session("s1")
    assert ledger.write(sessions.beat, session=SessionId("s1"))
    assert not ledger.write(sessions.bury, session=SessionId("s1"), seen=0)
    assert ledger.write(sessions.bury, session=SessionId("s1"), seen=1)


def test_w1_a_buried_session_learns_of_it_at_its_next_beat(ledger, open_session):
    open_session("s1")
    ledger.write(sessions.bury, session=SessionId("s1"), seen=0)
    assert not ledger.write(sessions.beat, session=SessionId("s1"))


def test_w2_a_run_without_a_call_goes_back_to_the_queue(ledger, open_session, accept, make_run, claim):
    open_session("s1")
    accept(make_run("r1"))
    claim("s1")
    ledger.write(sessions.bury, session=SessionId("s1"), seen=0)
    assert run_of(ledger, "r1").state is RunState.QUEUED
    assert ledger.read(sessions.bereaved) == ()


def test_w2_a_run_with_an_intended_call_becomes_unknown_and_is_told(
    ledger, open_session, accept, make_run, claim, part, make_comment
):
    open_session("s1")
    accept(make_run("r1"))
    (run,) = claim("s1")
    ledger.write(admitting.admit, run=run, parts=(part,), lasting=timedelta(seconds=80))
    assert ledger.read(sessions.bereaved) == ()
    ledger.write(sessions.bury, session=SessionId("s1"), seen=0)
    (left,) = ledger.read(sessions.bereaved)
    comment = make_comment("r1", Occasion.UNKNOWN)
    declare = {"run": left.run, "reason": Reason.WORKER_LOST, "comment": comment}
    assert ledger.write(sessions.declare_unknown, **declare)
    assert not ledger.write(sessions.declare_unknown, **declare)
    story = ledger.read(queries.run_story, run=RunId("r1"))
    assert story.run.state is RunState.UNKNOWN
    assert [call.state for call in story.calls] == [CallState.UNKNOWN]
    assert [comment.owed.occasion for comment in story.comments] == [Occasion.UNKNOWN]


def test_w3_after_a_crash_its_runs_are_claimed_one_at_a_time(ledger, open_session, accept, make_run, claim):
    open_session("s1")
    open_session("s2")
    for number in range(3):
        accept(make_run(f"r{number}", key=f"changelog:{number}", mapping=f"m{number}"))
    assert len(claim("s1")) == 3
    ledger.write(sessions.bury, session=SessionId("s1"), seen=0)
    assert len(claim("s2")) == 1
    assert claim("s2") == ()


def test_w3_the_neighbours_of_a_suspect_keep_a_clean_record(ledger, open_session, accept, make_run, claim):
    open_session("s1")
    accept(make_run("suspect"))
    claim("s1")
    ledger.write(sessions.bury, session=SessionId("s1"), seen=0)
    open_session("s2")
    accept(make_run("neighbour", key="changelog:1"))
    assert {run.id for run in claim("s2")} == {"suspect", "neighbour"}
    ledger.write(sessions.bury, session=SessionId("s2"), seen=0)
    assert run_of(ledger, "suspect").crashes == 2
    assert run_of(ledger, "neighbour").crashes == 0


def test_w3_a_sender_that_failed_unforeseen_counts_as_a_crash(ledger, open_session, accept, make_run, claim):
    open_session("s1")
    accept(make_run("r1"))
    (run,) = claim("s1")
    ledger.write(sessions.lose, run=run, delay=timedelta(seconds=30))
    lost = run_of(ledger, "r1")
    assert (lost.state, lost.crashes) == (RunState.QUEUED, 1)


def test_w4_claims_never_exceed_what_is_allowed_for_a_portal(ledger, open_session, accept, make_run, claim):
    open_session("s1")
    for number in range(5):
        accept(make_run(f"r{number}", key=f"changelog:{number}", mapping=f"m{number}"))
    assert len(claim("s1", limit=2)) == 2
    assert len(claim("s1", limit=2)) == 2
    assert len(claim("s1", limit=2)) == 1


def test_w4_a_run_of_a_portal_that_is_not_configured_is_claimed_apart(
    ledger, open_session, accept, make_run, make_plan
):
    open_session("s1")
    accept(make_run("r1", plan=make_plan(portal=PortalName("gone"))))
    claim = {"session": SessionId("s1"), "configured": (PortalName("main"),)}
    assert (
        ledger.write(claiming.claim, allowances=(Allowance(portal=PortalName("main"), runs=5),), **claim)
        == ()
    )
    (run,) = ledger.write(claiming.claim, allowances=(Allowance(portal=None, runs=1),), **claim)
    assert run.id == "r1"


def test_w4_a_claim_whose_answer_was_lost_is_given_back(ledger, open_session, accept, make_run, claim):
    open_session("s1")
    accept(make_run("r1"))
    claim("s1")
    assert ledger.write(claiming.give_back_unseen, session=SessionId("s1"), seen=()) == 1
    assert len(claim("s1")) == 1


@pytest.mark.parametrize("cause", ["silence", "place"])
def test_w7_a_restored_or_moved_ledger_holds_unfinished_runs_until_a_person_releases_them(
    ledger, open_session, accept, make_run, claim, clock, cause
):
    open_session("s1")
    accept(make_run("r1"))
    if cause == "silence":
        clock.move(minutes=61)
    else:
        ledger.write(move_ledger)
    assert ledger.write(sessions.open_session, session=SessionId("s2"), host="host", pid=2)
    assert run_of(ledger, "r1").state is RunState.HELD
    assert claim("s2") == ()
    assert ledger.write(people.release_restored, act=ACT) == 1
    assert len(claim("s2")) == 1


def move_ledger(tx):
    from bridge.ledger.in_force import put_fact

    put_fact(tx, name=sessions.PLACE_FACT, value="another place")


def test_w7_a_short_silence_in_the_same_place_changes_nothing(ledger, open_session, accept, make_run, clock):
    open_session("s1")
    accept(make_run("r1"))
    clock.move(minutes=59)
    assert not ledger.write(sessions.open_session, session=SessionId("s2"), host="host", pid=2)
    assert run_of(ledger, "r1").state is RunState.QUEUED


def test_w7_a_run_between_two_parts_is_held_too(ledger, open_session, accept, make_run, claim, part):
    open_session("s1")
    accept(make_run("r1"))
    (run,) = claim("s1")
    other = Part(number=2, devices=part.devices, engines=None)
    call = ledger.write(admitting.admit, run=run, parts=(part, other), lasting=timedelta(seconds=80)).call
    result = CallResult(state=CallState.ANSWERED, status=200)
    following = sending.Next(state=RunState.SENDING)
    ledger.write(sending.answer, run=run, call=call, result=result, following=following)
    assert ledger.write(sessions.hold_everything) == 1
    assert run_of(ledger, "r1").state is RunState.HELD


def test_w7_a_run_whose_call_is_open_ends_unknown_not_held(
    ledger, open_session, accept, make_run, claim, part
):
    open_session("s1")
    accept(make_run("r1"))
    (run,) = claim("s1")
    ledger.write(admitting.admit, run=run, parts=(part,), lasting=timedelta(seconds=80))
    assert ledger.write(sessions.hold_everything) == 0
    assert run_of(ledger, "r1").state is RunState.SENDING


def test_w4_all_portals_together_get_no_more_than_is_free_and_the_last_is_not_forgotten(
    ledger, open_session, accept, make_run, make_plan
):
    session = open_session("s1")
    portals = tuple(PortalName(name) for name in ("emea", "us", "apac"))
    for number in range(6):
        plan = make_plan(portal=portals[2] if number < 4 else portals[0], mapping=f"m{number}")
        accept(make_run(f"r{number}", plan=plan))
    claim = {
        "session": session,
        "allowances": tuple(Allowance(portal=portal, runs=4) for portal in portals),
        "configured": portals,
        "most": 4,
    }
    first = ledger.write(claiming.claim, **claim)
    assert sorted(run.plan.portal for run in first) == ["apac", "apac", "emea", "emea"]
