"""What people do with runs and pauses: each act says who and why, and nothing is released past its rules."""

from datetime import timedelta

import pytest

from bridge.errors import NotPossible, Reason
from bridge.ledger import pausing
from bridge.ledger.people import Act
from bridge.models import Layer, Limit, LimitKind, PauseScope, RunState

ACT = Act(author="operator", reason="asked by the desk")
HOUR = timedelta(hours=1)
ONE_AN_HOUR = Limit(kind=LimitKind.PER_HOUR, layer=Layer.MAPPING, most=1, window=HOUR)


def sent(nexthink):
    return sorted(nexthink.calls()["by_request_uid"])


# ── pause and resume ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("scope", "value"),
    [
        (PauseScope.EVERYTHING, ""),
        (PauseScope.SOURCE, "jira"),
        (PauseScope.MAPPING, "office"),
        (PauseScope.ACTION, "repair-office"),
        (PauseScope.PORTAL, "main"),
        (PauseScope.ENGINE, "engine-emea-1"),
        (PauseScope.DEVICES, "ws-abc-.*"),
    ],
)
def test_a_pause_of_any_scope_holds_its_runs_and_resuming_sends_them(house, nexthink, scope, value):
    mine = house()
    mine.operations.pause(scope, value, lasting=None, act=ACT)
    run = mine.ask()
    mine.work()
    assert (mine.state(run), mine.story(run).run.reason) == (RunState.HELD, Reason.PAUSED)
    assert mine.story(run).run.detail == f"{scope} {value}".strip()
    assert sent(nexthink) == []
    assert mine.operations.resume(scope, value, act=ACT) == 1
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    assert len(sent(nexthink)) == 1
    assert mine.ledger.read(pausing.standing) == ()


def test_resuming_one_pause_does_not_send_what_another_holds(house, nexthink):
    mine = house()
    mine.operations.pause(PauseScope.PORTAL, "main", lasting=None, act=ACT)
    mine.operations.pause(PauseScope.DEVICES, "WS-ABC-.*", lasting=HOUR, act=ACT)
    run = mine.ask()
    mine.work()
    mine.operations.resume(PauseScope.PORTAL, "main", act=ACT)
    mine.work()
    story = mine.story(run)
    assert (story.run.state, story.run.detail) == (RunState.HELD, "devices WS-ABC-.*")
    assert mine.occasions(run) == ["held"]
    assert sent(nexthink) == []


def test_what_became_too_old_during_a_pause_expires_when_it_is_resumed(house, nexthink):
    mine = house()
    mine.operations.pause(PauseScope.EVERYTHING, "", lasting=None, act=ACT)
    run = mine.ask(max_age=HOUR)
    mine.work()
    mine.later(hours=2)
    mine.operations.resume(PauseScope.EVERYTHING, "", act=ACT)
    mine.work()
    assert mine.state(run) is RunState.EXPIRED
    assert sent(nexthink) == []


def test_a_pause_is_prolonged_and_never_shortened(house):
    mine = house()
    first = mine.operations.pause(PauseScope.SOURCE, "jira", lasting=HOUR, act=ACT)
    with pytest.raises(NotPossible, match=r"source jira is paused already, until .*bridge pauses"):
        mine.operations.pause(PauseScope.SOURCE, "jira", lasting=timedelta(minutes=5), act=ACT)
    longer = mine.operations.pause(PauseScope.SOURCE, "jira", lasting=2 * HOUR, act=ACT)
    assert longer.expires_at - first.expires_at == HOUR
    assert mine.operations.pause(PauseScope.SOURCE, "jira", lasting=None, act=ACT).expires_at is None
    with pytest.raises(NotPossible, match="until it is lifted"):
        mine.operations.pause(PauseScope.SOURCE, "jira", lasting=2 * HOUR, act=ACT)
    assert len(mine.ledger.read(pausing.standing)) == 1


def test_a_pause_that_is_prolonged_keeps_its_start_and_says_why_both_times(house):
    mine = house()
    first = mine.operations.pause(PauseScope.SOURCE, "jira", lasting=HOUR, act=ACT)
    mine.later(minutes=30)
    longer = mine.operations.pause(
        PauseScope.SOURCE, "jira", lasting=2 * HOUR, act=Act(author="bob", reason="not mended yet")
    )
    assert (longer.at, longer.author) == (first.at, first.author)
    assert longer.detail == f"{first.detail}; prolonged by bob: not mended yet"


@pytest.mark.parametrize(
    ("scope", "value", "told"),
    [
        (PauseScope.SOURCE, "jria", "did you mean 'jira'"),
        (PauseScope.PORTAL, "mian", "did you mean 'main'"),
        (PauseScope.DEVICES, "WS-(", "no pattern of device names"),
        (PauseScope.DEVICES, "", "say which devices"),
        (PauseScope.EVERYTHING, "jira", "has no name beside it"),
        (PauseScope.MAPPING, " ", "say which mapping"),
    ],
)
def test_a_mistake_in_what_is_paused_is_told_with_the_way_out(house, scope, value, told):
    mine = house()
    with pytest.raises(NotPossible, match=told):
        mine.operations.pause(scope, value, lasting=None, act=ACT)
    assert mine.ledger.read(pausing.standing) == ()


def test_without_a_mapping_set_to_look_at_an_action_can_be_stopped_all_the_same(house):
    mine = house()
    mine.operations.pause(PauseScope.ACTION, "repair-office", lasting=None, act=ACT)
    assert mine.ledger.read(pausing.standing)[0].value == "repair-office"


# ── release ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def over_limit(house):
    mine = house()
    first, second = mine.ask(limits=(ONE_AN_HOUR,)), mine.ask(limits=(ONE_AN_HOUR,))
    mine.work()
    held = next(run for run in (first, second) if mine.state(run) is RunState.HELD)
    assert mine.story(held).run.reason is Reason.OVER_LIMIT
    return mine, held


def test_l1_a_run_released_over_a_limit_is_sent_and_counts_for_the_next(over_limit, nexthink):
    mine, held = over_limit
    mine.operations.release(held, act=ACT)
    third = mine.ask(limits=(ONE_AN_HOUR,))
    mine.work()
    assert mine.state(held) is RunState.ANSWERED
    assert mine.story(third).run.reason is Reason.OVER_LIMIT
    assert len(sent(nexthink)) == 2


def test_l1_a_release_over_a_limit_waives_limits_and_nothing_else(over_limit, nexthink):
    mine, held = over_limit
    mine.operations.release(held, act=ACT)
    mine.operations.pause(PauseScope.EVERYTHING, "", lasting=None, act=ACT)
    mine.work()
    assert (mine.state(held), mine.story(held).run.reason) == (RunState.HELD, Reason.PAUSED)
    assert len(sent(nexthink)) == 1


@pytest.mark.parametrize(
    ("scope", "value"), [(PauseScope.MAPPING, "office"), (PauseScope.DEVICES, "WS-ABC-.*")]
)
def test_a_run_that_a_pause_holds_is_not_released_past_it(house, scope, value):
    mine = house()
    mine.operations.pause(scope, value, lasting=None, act=ACT)
    run = mine.ask()
    mine.work()
    with pytest.raises(NotPossible, match=rf"still paused \(`bridge resume {scope} "):
        mine.operations.release(run, act=ACT)
    assert mine.state(run) is RunState.HELD


def test_a_run_that_is_too_old_is_not_released(over_limit):
    mine, held = over_limit
    mine.later(hours=25)
    with pytest.raises(NotPossible, match="too old to be sent"):
        mine.operations.release(held, act=ACT)


def test_two_who_release_at_once_release_once(over_limit):
    mine, held = over_limit
    mine.operations.release(held, act=ACT)
    with pytest.raises(NotPossible, match="is queued; this needs held"):
        mine.operations.release(held, act=ACT)


# ── replay ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def answered(house):
    mine = house()
    run = mine.ask()
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    return mine, run


def test_a_replay_is_a_run_of_its_own_that_is_sent_once_and_names_the_one_it_repeats(
    answered, nexthink, jira
):
    mine, run = answered
    again = mine.operations.replay(run, act=ACT)
    mine.work()
    story = mine.story(again)
    assert (story.run.state, story.run.key, story.run.replay_of) == (RunState.ANSWERED, "replay:1", run)
    assert len(sent(nexthink)) == 2
    assert f"Replay of run {run}, asked for by operator: asked by the desk" in story.comments[0].owed.text
    assert [line.event for line in mine.story(run).history][-1] == "replayed"


def test_s9_a_run_is_replayed_once_however_often_it_is_asked_for(answered, nexthink):
    mine, run = answered
    again = mine.operations.replay(run, act=ACT)
    with pytest.raises(NotPossible, match=f"was replayed as {again}"):
        mine.operations.replay(run, act=ACT)
    with pytest.raises(NotPossible, match="only a run that ended is replayed"):
        mine.operations.replay(again, act=ACT)
    mine.work()
    third = mine.operations.replay(again, act=ACT)
    assert mine.story(third).run.key == "replay:2"


def test_a_replay_passes_no_limit_and_no_pause_by(house, nexthink):
    mine = house()
    run = mine.ask(limits=(ONE_AN_HOUR,))
    mine.work()
    again = mine.operations.replay(run, act=ACT)
    mine.work()
    assert mine.story(again).run.reason is Reason.OVER_LIMIT
    mine.operations.pause(PauseScope.MAPPING, "office", lasting=None, act=ACT)
    mine.operations.cancel(again, act=ACT)
    third = mine.operations.replay(again, act=ACT)
    mine.work()
    assert mine.story(third).run.reason is Reason.PAUSED
    assert len(sent(nexthink)) == 1


def test_what_is_too_old_is_not_replayed_and_a_replay_that_becomes_too_old_expires(house, nexthink):
    mine = house()
    run = mine.ask(max_age=HOUR)
    mine.work()
    mine.later(minutes=59)
    again = mine.operations.replay(run, act=ACT)
    mine.later(minutes=2)
    mine.work()
    assert mine.state(again) is RunState.EXPIRED
    with pytest.raises(NotPossible, match="older than its mapping allows"):
        mine.operations.replay(again, act=ACT)
    assert len(sent(nexthink)) == 1


def test_an_unknown_run_is_replayed_only_after_it_was_resolved(house, nexthink):
    mine = house()
    run = mine.ask()
    nexthink.fault("reset_after_read", path="/api/remoteaction/*")
    mine.work()
    assert mine.state(run) is RunState.UNKNOWN
    with pytest.raises(NotPossible, match="say first what became of it"):
        mine.operations.replay(run, act=ACT)
    mine.operations.resolve(run, ran=False, send_again=False, attempt=1, act=ACT)
    again = mine.operations.replay(run, act=ACT)
    mine.work()
    # The lost request may still arrive until its latest end (S4).
    assert mine.state(again) is RunState.QUEUED
    mine.later(minutes=5)
    mine.work()
    assert mine.state(again) is RunState.ANSWERED
