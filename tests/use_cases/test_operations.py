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
