"""Rules S1, S4 and S6 to S9 as far as the ledger keeps them, on SQLite and PostgreSQL."""

from datetime import timedelta

import pytest

from bridge.errors import LostOwnership, NotPossible, Reason
from bridge.ledger import admitting, choosing, late, pausing, people, queries, sending, sessions, working
from bridge.ledger.choosing import Held
from bridge.ledger.people import Act
from bridge.ledger.sending import Next
from bridge.models import (
    CallResult,
    CallState,
    Device,
    Occasion,
    Part,
    PauseScope,
    PortalName,
    RunId,
    RunState,
)
from bridge.policy import Verdict

LASTING = timedelta(seconds=80)
OK = CallResult(state=CallState.ANSWERED, status=200)
LOST = CallResult(state=CallState.UNKNOWN, reason=Reason.CONNECTION_LOST)
ACT = Act(author="operator", reason="looked at the device")


@pytest.fixture
def sent(ledger, accept, make_run, open_session, claim, part):
    """A run whose first call is intended: (run, call)."""
    open_session("s1")
    accept(make_run("r1"))
    (run,) = claim("s1")
    admission = ledger.write(admitting.admit, run=run, parts=(part,), lasting=LASTING)
    return run, admission.call


def story(ledger, run="r1"):
    return ledger.read(queries.run_story, run=RunId(run))


def call_states(ledger):
    return [(call.part.number, call.attempt, call.state) for call in story(ledger).calls]


def test_s1_the_intent_is_committed_with_the_end_that_it_may_have(ledger, sent, clock):
    _, call = sent
    (stored,) = story(ledger).calls
    assert stored.state is CallState.INTENDED
    assert stored.intended_at == clock.now
    assert stored.latest_end == clock.now + LASTING
    assert call.request_uid == "r1-1-1"
    assert story(ledger).run.state is RunState.SENDING


def test_s1_an_intent_whose_commit_raised_is_closed_not_sent_and_planned_again(ledger, sent, clock):
    run, _ = sent
    ledger.write(sending.close_not_sent, run=run, delay=timedelta(seconds=5))
    assert call_states(ledger) == [(1, 1, CallState.NOT_SENT), (1, 2, CallState.PLANNED)]
    again = story(ledger).run
    assert (again.state, again.due_at) == (RunState.QUEUED, clock.now + timedelta(seconds=5))


def test_s1_closing_an_intent_that_was_never_committed_leaves_the_part_planned(
    ledger, accept, make_run, open_session, claim
):
    open_session("s1")
    accept(make_run("r1"))
    (run,) = claim("s1")
    ledger.write(sending.close_not_sent, run=run, delay=timedelta())
    assert story(ledger).run.state is RunState.QUEUED
    assert story(ledger).calls == ()


def test_s4_no_attempt_is_intended_before_the_latest_end_of_the_one_before(ledger, sent, clock, claim):
    run, call = sent
    ledger.write(sending.answer, run=run, call=call, result=LOST, following=Next(state=RunState.UNKNOWN))
    ledger.write(people.resolve, run=run.id, attempt=1, state=RunState.QUEUED, act=ACT, comment=None)
    assert claim("s1") == ()
    clock.move(seconds=LASTING.total_seconds() + 1)
    (again,) = claim("s1")
    assert ledger.write(admitting.admit, run=again, parts=(), lasting=LASTING).call.attempt == 2


def test_s4_admission_itself_refuses_while_an_attempt_may_be_under_way(ledger, sent):
    run, _ = sent
    with pytest.raises(LostOwnership, match="under way"):
        ledger.write(admitting.admit, run=run, parts=(), lasting=LASTING)


def test_s6_a_portal_pause_holds_and_a_release_goes_on_with_the_same_part(ledger, sent, claim):
    run, call = sent
    refused = CallResult(state=CallState.REFUSED, reason=Reason.UNAUTHORIZED, status=401)
    following = Next(state=RunState.QUEUED, reason=Reason.UNAUTHORIZED, again=True, pause=PortalName("main"))
    ledger.write(sending.answer, run=run, call=call, result=refused, following=following)
    (again,) = claim("s1")
    assert ledger.write(admitting.admit, run=again, parts=(), lasting=LASTING).ruling.verdict is Verdict.HOLD
    ledger.write(
        working.hold,
        run=again,
        reason=Reason.PORTAL_PAUSED,
        detail="unauthorized",
        due_at=again.due_at,
        comment=None,
    )
    held = Held(reason=Reason.PORTAL_PAUSED, count=1, next_at=again.due_at)
    assert ledger.read(choosing.held_by_reason) == (held,)
    assert claim("s1") == ()
    assert ledger.write(people.resume, scope=PauseScope.PORTAL, value="main", act=ACT) == 1
    (released,) = claim("s1")
    assert ledger.write(admitting.admit, run=released, parts=(), lasting=LASTING).call.attempt == 2


def test_s6_a_release_does_not_send_what_has_become_too_old(ledger, sent, claim, clock):
    run, call = sent
    refused = CallResult(state=CallState.REFUSED, reason=Reason.UNAUTHORIZED, status=401)
    following = Next(state=RunState.QUEUED, again=True, pause=PortalName("main"), reason=refused.reason)
    ledger.write(sending.answer, run=run, call=call, result=refused, following=following)
    (again,) = claim("s1")
    ledger.write(
        working.hold, run=again, reason=Reason.PORTAL_PAUSED, detail=None, due_at=again.due_at, comment=None
    )
    clock.move(hours=25)
    ledger.write(people.resume, scope=PauseScope.PORTAL, value="main", act=ACT)
    (released,) = claim("s1")
    assert (
        ledger.write(admitting.admit, run=released, parts=(), lasting=LASTING).ruling.verdict
        is Verdict.EXPIRE
    )


def two_parts(part):
    other = Part(number=2, devices=(Device(uid="1" * 32, name="WS-ABC-2"),), engines=None)
    return (part, other)


def test_s7_a_worker_that_takes_over_sends_only_what_is_still_planned(
    ledger, accept, make_run, open_session, claim, part, clock
):
    open_session("s1")
    open_session("s2")
    accept(make_run("r1"))
    (run,) = claim("s1")
    first = ledger.write(admitting.admit, run=run, parts=two_parts(part), lasting=LASTING).call
    ledger.write(sending.answer, run=run, call=first, result=OK, following=Next(state=RunState.SENDING))
    ledger.write(sessions.bury, session="s1", seen=0)
    (taken,) = claim("s2")
    call = ledger.write(admitting.admit, run=taken, parts=(), lasting=LASTING).call
    assert (call.part.number, call.attempt) == (2, 1)


def test_s7_an_unknown_part_leaves_the_later_ones_unsent(ledger, accept, make_run, open_session, claim, part):
    open_session("s1")
    accept(make_run("r1"))
    (run,) = claim("s1")
    first = ledger.write(admitting.admit, run=run, parts=two_parts(part), lasting=LASTING).call
    ledger.write(sending.answer, run=run, call=first, result=LOST, following=Next(state=RunState.UNKNOWN))
    assert claim("s1") == ()
    assert call_states(ledger) == [(1, 1, CallState.UNKNOWN), (2, 1, CallState.PLANNED)]
    ledger.write(people.resolve, run=run.id, attempt=1, state=RunState.ANSWERED, act=ACT, comment=None)
    assert call_states(ledger) == [(1, 1, CallState.UNKNOWN), (2, 1, CallState.DROPPED)]


def test_s8_the_first_answer_stands(ledger, sent):
    run, call = sent
    following = Next(state=RunState.ANSWERED)
    assert ledger.write(sending.answer, run=run, call=call, result=OK, following=following)
    again = Next(state=RunState.UNKNOWN)
    assert not ledger.write(sending.answer, run=run, call=call, result=LOST, following=again)
    assert call_states(ledger) == [(1, 1, CallState.ANSWERED)]


def test_s8_a_worker_that_lost_its_run_still_records_its_answer_and_closes_the_unknown(
    ledger, sent, make_comment
):
    run, call = sent
    ledger.write(sessions.bury, session="s1", seen=0)
    (left,) = ledger.read(sessions.bereaved)
    assert ledger.write(
        sessions.declare_unknown,
        run=left.run,
        reason=Reason.WORKER_LOST,
        comment=make_comment("r1", Occasion.UNKNOWN),
    )
    with pytest.raises(LostOwnership):
        ledger.write(sending.answer, run=run, call=call, result=OK, following=Next(state=RunState.ANSWERED))
    assert answer_late(ledger, sent, OK, make_comment)
    assert not answer_late(ledger, sent, OK, make_comment)
    told = story(ledger)
    assert told.run.state is RunState.ANSWERED
    assert [comment.owed.occasion for comment in told.comments] == [Occasion.UNKNOWN, Occasion.LATE]


def test_s9_a_double_click_is_one_attempt(ledger, sent):
    run, call = sent
    ledger.write(sending.answer, run=run, call=call, result=LOST, following=Next(state=RunState.UNKNOWN))
    again = {"run": run.id, "attempt": 1, "state": RunState.QUEUED, "act": ACT, "comment": None}
    ledger.write(people.resolve, **again)
    with pytest.raises(NotPossible, match="is queued"):
        ledger.write(people.resolve, **again)
    assert call_states(ledger) == [(1, 1, CallState.UNKNOWN), (1, 2, CallState.PLANNED)]


def test_s9_an_attempt_that_the_person_did_not_see_refuses_the_act(ledger, sent):
    run, call = sent
    ledger.write(sending.answer, run=run, call=call, result=LOST, following=Next(state=RunState.UNKNOWN))
    with pytest.raises(NotPossible, match="is at attempt 1, not 2"):
        ledger.write(people.resolve, run=run.id, attempt=2, state=RunState.QUEUED, act=ACT, comment=None)


def test_a_sent_run_cannot_be_cancelled(ledger, sent, make_comment):
    with pytest.raises(NotPossible, match="is sending"):
        ledger.write(
            people.cancel,
            run=RunId("r1"),
            attempt=1,
            state=RunState.CANCELLED,
            act=ACT,
            comment=make_comment("r1"),
        )


def test_l1_the_policy_is_asked_in_the_transaction_that_commits_the_intent(
    ledger, accept, make_run, open_session, claim, part
):
    open_session("s1")
    accept(make_run("r1"))
    (run,) = claim("s1")
    # The pause comes after every look that the worker took before.
    ledger.write(
        pausing.pause, scope=PauseScope.PORTAL, value="main", reason=Reason.UNAUTHORIZED, run=RunId("r0")
    )
    admission = ledger.write(admitting.admit, run=run, parts=(part,), lasting=LASTING)
    assert admission.ruling.verdict is Verdict.HOLD
    assert admission.call is None
    assert story(ledger).calls == ()


@pytest.fixture
def bereaved(ledger, sent, make_comment):
    """A run that was declared unknown while its call is under way with a worker that is not dead."""
    ledger.write(sessions.bury, session="s1", seen=0)
    (left,) = ledger.read(sessions.bereaved)
    comment = make_comment("r1", Occasion.UNKNOWN)
    ledger.write(sessions.declare_unknown, run=left.run, reason=Reason.WORKER_LOST, comment=comment)
    return sent


def answer_late(ledger, sent, result, make_comment, state=RunState.ANSWERED):
    run, call = sent
    comment = make_comment("r1", Occasion.LATE)
    return ledger.write(
        late.answer_late,
        run=run,
        call=call,
        result=result,
        state=state,
        comment=comment,
        tell_replay=lambda replay: make_comment(replay.id, Occasion.CANCELLED),
    )


def send_again(ledger, attempt=1):
    return ledger.write(
        people.resolve, run=RunId("r1"), attempt=attempt, state=RunState.QUEUED, act=ACT, comment=None
    )


def test_s8_a_late_answer_gives_up_the_attempt_that_was_to_be_sent_again(
    ledger, bereaved, make_comment, claim, open_session, clock
):
    open_session("s2")
    send_again(ledger)
    assert answer_late(ledger, bereaved, OK, make_comment)
    assert call_states(ledger) == [(1, 1, CallState.ANSWERED), (1, 2, CallState.DROPPED)]
    assert story(ledger).run.state is RunState.ANSWERED
    clock.move(hours=1)
    assert claim("s2") == ()


def test_s8_a_late_answer_reaches_a_run_that_is_claimed_already(
    ledger, bereaved, make_comment, claim, open_session, clock
):
    open_session("s2")
    send_again(ledger)
    clock.move(seconds=LASTING.total_seconds() + 1)
    (taken,) = claim("s2")
    assert answer_late(ledger, bereaved, OK, make_comment)
    admission = ledger.write(admitting.admit, run=taken, parts=(), lasting=LASTING)
    assert admission.ruling.verdict is Verdict.GO
    assert admission.call is None


def test_s8_a_late_word_that_nothing_was_sent_queues_the_run_again(ledger, bereaved, make_comment):
    nothing = CallResult(state=CallState.NOT_SENT, reason=Reason.TOO_LATE_TO_SEND)
    assert answer_late(ledger, bereaved, nothing, make_comment, state=RunState.REFUSED)
    assert call_states(ledger) == [(1, 1, CallState.NOT_SENT), (1, 2, CallState.PLANNED)]
    assert story(ledger).run.state is RunState.QUEUED


def test_s9_an_old_decision_does_not_send_another_part_again(
    ledger, accept, make_run, open_session, claim, part, clock
):
    """Part 1 was sent three times before it was answered; part 2 is unknown after its first attempt."""
    open_session("s1")
    accept(make_run("r1"))
    later = CallResult(state=CallState.REFUSED, reason=Reason.RATE_LIMITED, status=429)
    parts = two_parts(part)
    for result in (later, later, OK):
        (run,) = claim("s1")
        call = ledger.write(admitting.admit, run=run, parts=parts, lasting=LASTING).call
        again = result is later
        following = Next(state=RunState.QUEUED if again else RunState.SENDING, again=again)
        ledger.write(sending.answer, run=run, call=call, result=result, following=following)
        parts = ()
    call = ledger.write(admitting.admit, run=run, parts=(), lasting=LASTING).call
    ledger.write(sending.answer, run=run, call=call, result=LOST, following=Next(state=RunState.UNKNOWN))
    send_again(ledger, attempt=4)
    clock.move(seconds=LASTING.total_seconds() + 1)
    (run,) = claim("s1")
    call = ledger.write(admitting.admit, run=run, parts=(), lasting=LASTING).call
    ledger.write(sending.answer, run=run, call=call, result=LOST, following=Next(state=RunState.UNKNOWN))
    with pytest.raises(NotPossible, match="is at attempt 5, not 4"):
        send_again(ledger, attempt=4)
