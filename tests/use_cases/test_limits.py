"""Rule L1 and its surroundings: what is over a limit waits, is told once, and goes on; pauses by scope."""

from datetime import timedelta

import pytest

from bridge.errors import Reason
from bridge.ledger import admitting, pausing, working
from bridge.ledger.people import Act
from bridge.ledger.tables import runs
from bridge.models import (
    CallState,
    CommentState,
    EngineChoice,
    Layer,
    Limit,
    LimitKind,
    MappingId,
    PauseScope,
    RunId,
    RunState,
    WriteBack,
)
from bridge.setting_aside import Trips

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RUN = "/api/remoteaction/v2/run"
ACT = Act(author="ann", reason="it cannot wait")


def limit(most, kind=LimitKind.PER_HOUR, window=HOUR, layer=Layer.MAPPING):
    return Limit(kind=kind, layer=layer, most=most, window=window)


def reason(mine, run):
    return mine.story(run).run.reason


def facts(mine, run):
    """Return the texts of a run's comments."""
    return " ".join(comment.owed.text for comment in mine.story(run).comments)


# ── limits that time frees ───────────────────────────────────────────────────────────────────────────────


def test_l1_the_run_over_a_limit_waits_and_goes_on_when_the_window_allows(house, nexthink):
    mine = house()
    limits = (limit(2),)
    first, second, third = (mine.ask(limits=limits, devices=(f"WS-LAB-0000{n}",)) for n in (5, 6, 7))
    mine.work()
    assert [mine.state(run) for run in (first, second, third)] == [
        RunState.ANSWERED,
        RunState.ANSWERED,
        RunState.HELD,
    ]
    assert reason(mine, third) is Reason.OVER_LIMIT
    assert "2 runs an hour for this mapping" in facts(mine, third)
    mine.later(minutes=59)
    mine.keeping.look()
    assert mine.state(third) is RunState.HELD
    mine.later(minutes=2)
    mine.keeping.look()
    mine.work()
    assert mine.state(third) is RunState.ANSWERED
    assert len(nexthink.calls()["calls"]) == 3


def test_l1_a_held_run_is_told_once_however_often_it_is_held(house):
    mine = house()
    limits = (limit(1),)
    mine.ask(limits=limits)
    late = mine.ask(limits=limits, devices=("WS-LAB-00006",))
    mine.work()
    for _ in range(3):
        mine.later(minutes=61)
        mine.ask(limits=limits, devices=("WS-LAB-00007",))
        mine.work()
        mine.keeping.look()
        mine.work()
    assert mine.occasions(late).count("held") == 1
    assert [line.event for line in mine.story(late).history].count("held") == 1


def test_a_held_run_that_cannot_be_read_stands_aside_and_keeps_no_other_waiting(house):
    mine = house()
    limits = (limit(1),)
    mine.ask(limits=limits)
    damaged, sound = (mine.ask(limits=limits, devices=(f"WS-LAB-0000{n}",)) for n in (6, 7))
    mine.work()
    of_another_version = runs.update().where(runs.c.id == damaged).values(reason="from_a_later_version")
    mine.ledger.write(lambda tx: tx.connection.execute(of_another_version))
    mine.later(minutes=61)
    mine.keeping.look()
    mine.work()
    assert mine.state(sound) is RunState.ANSWERED
    due = mine.ledger.read(working.due_held, limit=20)
    assert (due.runs, due.unreadable) == ((), ())
    mine.later(minutes=2)
    assert mine.ledger.read(working.due_held, limit=20).unreadable == (damaged,)


@pytest.mark.parametrize(
    ("layer", "other", "held"),
    [
        (Layer.MAPPING, {"mapping": MappingId("another")}, False),
        (Layer.MAPPING, {"action": "another"}, True),
        (Layer.ACTION, {"mapping": MappingId("another")}, True),
        (Layer.ACTION, {"action": "another"}, False),
        (Layer.BRIDGE, {"mapping": MappingId("another"), "action": "another"}, True),
    ],
)
def test_l1_each_layer_counts_its_own_runs(house, layer, other, held):
    mine = house()
    limits = (limit(1, layer=layer),)
    mine.ask(limits=limits)
    run = mine.ask(limits=limits, devices=("WS-LAB-00006",), **other)
    mine.work()
    assert mine.state(run) is (RunState.HELD if held else RunState.ANSWERED)


def test_l1_a_cooldown_is_about_one_device_and_one_action(house):
    mine = house()
    limits = (limit(1, LimitKind.COOLDOWN, 4 * HOUR),)
    mine.ask(limits=limits)
    same = mine.ask(limits=limits)
    elsewhere = mine.ask(limits=limits, devices=("WS-LAB-00006",))
    other = mine.ask(limits=limits, action="another")
    mine.work()
    assert mine.state(same) is RunState.HELD
    assert mine.state(elsewhere) is mine.state(other) is RunState.ANSWERED
    mine.later(hours=4, seconds=1)
    mine.keeping.look()
    mine.work()
    assert mine.state(same) is RunState.ANSWERED


def test_l1_devices_of_a_day_are_counted_once_each(house):
    mine = house()
    limits = (limit(2, LimitKind.DEVICES_PER_DAY, DAY),)
    names = ("WS-ABC-12345", "WS-ABC-12345", "WS-LAB-00006", "WS-LAB-00007")
    runs = [mine.ask(limits=limits, devices=(name,)) for name in names]
    mine.work()
    assert [mine.state(run) for run in runs] == [*[RunState.ANSWERED] * 3, RunState.HELD]


def test_l1_more_devices_than_a_day_allows_are_refused_since_no_waiting_helps(house):
    mine = house()
    run = mine.ask(
        limits=(limit(1, LimitKind.DEVICES_PER_DAY, DAY),), devices=("WS-ABC-12345", "WS-LAB-00006")
    )
    mine.work()
    assert (mine.state(run), reason(mine, run)) == (RunState.REFUSED, Reason.TOO_MANY_DEVICES)


def test_l1_what_was_not_sent_gives_back(house, nexthink):
    mine = house(PORTALS__MAIN__PROXY_503_NOT_SENT="on")
    limits = (limit(1), limit(1, LimitKind.COOLDOWN, DAY))
    nexthink.fault("status", status=503, path=RUN, times=1)
    run = mine.ask(limits=limits)
    mine.work()
    assert mine.state(run) is RunState.QUEUED
    other = mine.ask(limits=limits)
    mine.work()
    assert mine.state(other) is RunState.ANSWERED


def test_l1_what_may_have_been_sent_does_not_give_back(house, nexthink):
    mine = house()
    limits = (limit(1),)
    nexthink.fault("reset_after_read", path=RUN, times=1)
    lost = mine.ask(limits=limits)
    mine.work()
    assert mine.state(lost) is RunState.UNKNOWN
    other = mine.ask(limits=limits, devices=("WS-LAB-00006",))
    mine.work()
    assert mine.state(other) is RunState.HELD


def test_l1_a_lost_request_counts_on_when_the_one_after_it_was_not_sent(house, nexthink):
    mine = house(PORTALS__MAIN__PROXY_503_NOT_SENT="on")
    limits = (limit(1), limit(1, LimitKind.COOLDOWN, DAY))
    nexthink.fault("reset_after_read", path=RUN, times=1)
    lost = mine.ask(limits=limits)
    mine.work()
    mine.operations.resolve(lost, ran=False, send_again=True, attempt=1, act=ACT)
    mine.later(minutes=5)
    nexthink.fault("status", status=503, path=RUN, times=1)
    mine.work()
    assert [state for _, _, state in mine.calls(lost)] == [
        CallState.UNKNOWN,
        CallState.NOT_SENT,
        CallState.PLANNED,
    ]
    same_mapping = mine.ask(limits=limits, devices=("WS-LAB-00006",))
    same_device = mine.ask(limits=limits[1:])
    mine.work()
    assert mine.state(same_mapping) is mine.state(same_device) is RunState.HELD


def test_l1_a_held_run_becomes_too_old_and_is_told(house):
    mine = house()
    limits = (limit(1),)
    mine.ask(limits=limits)
    late = mine.ask(limits=limits, devices=("WS-LAB-00006",), max_age=timedelta(minutes=30))
    mine.work()
    mine.later(minutes=31)
    mine.keeping.look()
    assert (mine.state(late), reason(mine, late)) == (RunState.EXPIRED, Reason.TOO_OLD)
    assert mine.occasions(late) == ["held", "expired"]


# ── a limit that trips again and again ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("layer", "paused"),
    [
        (Layer.MAPPING, (PauseScope.MAPPING, "office")),
        (Layer.ACTION, (PauseScope.ACTION, "repair-office")),
        (Layer.BRIDGE, (PauseScope.EVERYTHING, "")),
    ],
)
def test_a_limit_that_trips_again_and_again_pauses_its_scope(house, layer, paused):
    mine = house(trips=Trips(most=3, window=HOUR))
    limits = (limit(1, layer=layer),)
    for n in (1, 2, 3):
        mine.ask(limits=limits, devices=(f"WS-LAB-0000{n}",))
    mine.work()
    assert mine.ledger.read(pausing.standing) == ()
    last = mine.ask(limits=limits, devices=("WS-LAB-00009",))
    mine.work()
    (pause,) = mine.ledger.read(pausing.standing)
    assert (pause.scope, pause.value, pause.reason) == (*paused, Reason.LIMIT_TRIPPED)
    assert pause.run == last
    # Nothing goes on by itself any more, whatever the window allows.
    mine.later(hours=2)
    mine.keeping.look()
    mine.work()
    assert reason(mine, last) is Reason.PAUSED


def test_a_limit_that_trips_now_and_then_pauses_nothing(house):
    mine = house(trips=Trips(most=2, window=timedelta(minutes=10)))
    limits = (limit(1),)
    for n in (1, 2, 3, 4):
        mine.ask(limits=limits, devices=(f"WS-LAB-0000{n}",))
        mine.work()
        mine.later(minutes=11)
    assert mine.ledger.read(pausing.standing) == ()


# ── pauses ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("scope", "value"),
    [
        (PauseScope.EVERYTHING, ""),
        (PauseScope.SOURCE, "jira"),
        (PauseScope.MAPPING, "office"),
        (PauseScope.ACTION, "repair-office"),
        (PauseScope.PORTAL, "main"),
        (PauseScope.ENGINE, "engine-emea-1"),
        (PauseScope.DEVICES, "WS-ABC-.*"),
    ],
)
def test_what_is_paused_is_held_until_the_pause_expires(house, nexthink, scope, value):
    mine = house()
    mine.pause(scope, value, expires_at=mine.clock() + timedelta(minutes=10))
    run = mine.ask(engine_choice=EngineChoice.WHERE_FOUND)
    mine.work()
    assert (mine.state(run), reason(mine, run)) == (RunState.HELD, Reason.PAUSED)
    assert nexthink.calls()["calls"] == []
    mine.later(minutes=10)
    mine.keeping.look()
    mine.work()
    assert mine.state(run) is RunState.ANSWERED


def test_a_clock_that_was_set_back_holds_and_goes_on_when_it_is_right_again(house, nexthink):
    mine = house()
    run = mine.ask()
    (claimed,) = mine.claim()
    mine.later(hours=-1)
    mine.acting.act(claimed)
    assert (mine.state(run), reason(mine, run)) == (RunState.HELD, Reason.CLOCK_WENT_BACK)
    assert nexthink.calls()["calls"] == []
    mine.later(hours=1)
    mine.keeping.look()
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    assert mine.told(RunId(run)) == [CommentState.OWED, CommentState.OWED]


def test_a_release_over_a_limit_lets_one_send_pass_and_not_the_next(house, nexthink):
    mine = house()
    limits = (limit(1),)
    mine.ask(limits=limits)
    run = mine.ask(limits=limits, devices=("WS-LAB-00006",))
    mine.work()
    assert mine.state(run) is RunState.HELD
    nexthink.fault("reset_after_read", path=RUN, times=1)
    mine.operations.release(run, act=ACT)
    mine.work()
    assert mine.state(run) is RunState.UNKNOWN
    mine.operations.resolve(run, ran=False, send_again=True, attempt=1, act=ACT)
    mine.later(minutes=5)
    mine.work()
    assert (mine.state(run), reason(mine, run)) == (RunState.HELD, Reason.OVER_LIMIT)


def test_a_pause_that_was_lifted_meanwhile_holds_nothing(house):
    """The pause is seen in one transaction and the run held in another; who lifts it comes in between."""
    mine = house()
    mine.pause(PauseScope.MAPPING, "office")
    run = mine.ask()
    (claimed,) = mine.claim()
    calls, ruling = mine.ledger.read(admitting.first_look, run=claimed, engine_names=())
    mine.operations.resume(PauseScope.MAPPING, "office", act=ACT)
    mine.aside.hold(claimed, ruling, calls)
    assert mine.state(run) is RunState.QUEUED
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    assert mine.occasions(run) == ["answered"]


def test_a_run_that_is_held_again_after_a_part_was_sent_tells_that_too(house, nexthink):
    mine = house(PORTALS__MAIN__MAX_DEVICES_PER_CALL="1")
    mine.pause(PauseScope.MAPPING, "office")
    run = mine.ask(devices=("WS-LAB-00001", "WS-LAB-00002"))
    mine.work()
    mine.operations.resume(PauseScope.MAPPING, "office", act=ACT)
    nexthink.fault("status", status=401, path=RUN, skip=1)
    mine.work()
    mine.work()
    assert (mine.state(run), reason(mine, run)) == (RunState.HELD, Reason.PORTAL_PAUSED)
    assert mine.occasions(run) == ["held", "held"]
    assert "engine-" in mine.story(run).comments[1].owed.text


# ── what the ticket is told of a wait ────────────────────────────────────────────────────────────────────


def test_a_run_that_is_held_again_for_another_reason_tells_that_too_and_each_reason_once(house):
    mine = house()
    limits = (limit(1),)
    mine.ask(limits=limits)
    mine.work()
    mine.pause(PauseScope.MAPPING, "office")
    held = WriteBack(outcome=RunState.HELD, label="waiting")
    run = mine.ask(limits=limits, devices=("WS-LAB-00006",), after=(held,))
    mine.work()
    mine.operations.resume(PauseScope.MAPPING, "office", act=ACT)
    mine.work()
    assert (mine.state(run), reason(mine, run)) == (RunState.HELD, Reason.OVER_LIMIT)
    mine.pause(PauseScope.MAPPING, "office")
    mine.later(minutes=61)
    mine.keeping.look()
    mine.work()
    assert reason(mine, run) is Reason.PAUSED
    assert mine.occasions(run) == ["held", "after", "held"]
    first, _, second = (comment.owed for comment in mine.story(run).comments)
    assert "this is paused" in first.text
    assert "a limit is reached" in second.text


def test_a_release_of_what_the_ticket_was_told_to_wait_is_told_there(house, jira):
    mine = house()
    limits = (limit(1),)
    mine.ask(limits=limits)
    run = mine.ask(limits=limits, devices=("WS-LAB-00006",))
    mine.work()
    mine.operations.release(run, act=ACT)
    mine.work()
    assert mine.occasions(run) == ["held", "released", "answered"]
    told = mine.story(run).comments[1].owed.text
    assert "Released: it goes on now" in told
    assert "ann" in told
    assert "it cannot wait" in told


def test_w7_time_frees_no_run_that_waited_when_the_ledger_was_restored(house, nexthink):
    mine = house()
    one = Limit(kind=LimitKind.PER_HOUR, layer=Layer.MAPPING, most=1, window=timedelta(hours=1))
    asked = (mine.ask(limits=(one,)), mine.ask(limits=(one,)))
    mine.work()
    held = next(run for run in asked if mine.state(run) is RunState.HELD)
    mine.operations.declare_restored()
    mine.later(minutes=61)
    for looked in mine.keeping.look():
        looked.result()
    mine.work()
    assert (mine.state(held), mine.story(held).run.reason) == (RunState.HELD, Reason.RESTORED)
    assert len(nexthink.calls()["calls"]) == 1
