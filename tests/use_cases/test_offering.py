"""What a person is offered fits the run: exactly that can be done, and it comes to what was foreseen (S9)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bridge import offering
from bridge.errors import NotPossible
from bridge.ledger.people import Act
from bridge.models import (
    ApprovalRule,
    Device,
    DeviceUid,
    EngineChoice,
    Layer,
    Limit,
    LimitKind,
    Part,
    PauseScope,
    Person,
    RunState,
)
from bridge.offering import RunAct

ACT = Act(author="operator", reason="asked by the desk")
HOUR = timedelta(hours=1)
ONE_AN_HOUR = Limit(kind=LimitKind.PER_HOUR, layer=Layer.MAPPING, most=1, window=HOUR)
LOST = {"path": "/api/remoteaction/*"}


def offered(mine, run):
    return set(offering.of(mine.story(run), now=mine.clock()).acts)


def looks(mine, run):
    """Return how to look ahead for every act."""
    see = mine.operations.foreseeing
    return {
        RunAct.APPROVE: lambda: see.decide(run, approve=True, act=ACT),
        RunAct.RELEASE: lambda: see.release(run, act=ACT),
        RunAct.RESOLVE: lambda: see.resolve(run, ran=False, send_again=False, act=ACT),
        RunAct.SEND_AGAIN: lambda: see.send_again(run, act=ACT),
        RunAct.CANCEL: lambda: see.cancel(run, act=ACT),
        RunAct.REPLAY: lambda: see.replay(run, act=ACT),
    }


def possible(mine, run):
    found = set()
    for act, look in looks(mine, run).items():
        try:
            look()
        except NotPossible:
            continue
        found.add(act)
    return found


def queued(mine, nexthink):
    return mine.ask()


def paused(mine, nexthink):
    mine.operations.pause(PauseScope.MAPPING, "office", lasting=None, act=ACT)
    return worked(mine, mine.ask())


def over_limit(mine, nexthink):
    worked(mine, mine.ask(limits=(ONE_AN_HOUR,)))
    return worked(mine, mine.ask(limits=(ONE_AN_HOUR,)))


def awaiting_approval(mine, nexthink):
    run = mine.ask(approval=ApprovalRule(above=0, expires=4 * HOUR), requesters=(Person(id="1"),))
    (claimed,) = mine.claim()
    device = Device(uid=DeviceUid("d" * 32), name="WS-ABC-12345")
    mine.aside.ask(claimed, (Part(number=1, devices=(device,), engines=None),))
    return run


def restored(mine, nexthink):
    run = mine.ask()
    mine.operations.declare_restored()
    return run


def unknown(mine, nexthink):
    nexthink.fault("reset_after_read", **LOST)
    return worked(mine, mine.ask())


def answered(mine, nexthink):
    return worked(mine, mine.ask())


def missed(mine, nexthink):
    nexthink.answer(engine="engine-emea-2", code="not_connected", times=1)
    # Both Engines know this device.
    return worked(mine, mine.ask(devices=("WS-ABC-34567",), engine_choice=EngineChoice.WHERE_FOUND))


def too_old(mine, nexthink):
    run = worked(mine, mine.ask(max_age=HOUR))
    mine.later(hours=2)
    return run


def replayed(mine, nexthink):
    run = worked(mine, mine.ask())
    mine.operations.replay(run, act=ACT)
    return run


def worked(mine, run):
    mine.work()
    return run


@pytest.mark.parametrize(
    ("made", "fitting"),
    [
        (queued, {RunAct.CANCEL}),
        (paused, {RunAct.CANCEL}),
        (over_limit, {RunAct.RELEASE, RunAct.CANCEL}),
        (awaiting_approval, {RunAct.APPROVE, RunAct.CANCEL}),
        (restored, {RunAct.RELEASE, RunAct.CANCEL}),
        (unknown, {RunAct.RESOLVE}),
        (answered, {RunAct.REPLAY}),
        (missed, {RunAct.SEND_AGAIN, RunAct.REPLAY}),
        (too_old, set()),
        (replayed, set()),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_exactly_what_can_be_done_is_offered(house, nexthink, made, fitting):
    mine = house()
    run = made(mine, nexthink)
    assert offered(mine, run) == fitting
    assert possible(mine, run) == fitting


def test_what_stands_in_the_way_is_named_with_the_run(house, nexthink):
    mine = house()
    held = offering.of(mine.story(paused(mine, nexthink)), now=mine.clock())
    assert held.pause is not None
    assert (held.pause.value, held.restored) == ("office", False)
    mine.operations.resume(PauseScope.MAPPING, "office", act=ACT)
    assert offering.of(mine.story(restored(mine, nexthink)), now=mine.clock()).restored


# ── S9: what was seen ────────────────────────────────────────────────────────────────────────────────────


def seen(foreseen):
    return replace(ACT, seen=foreseen.sight)


def test_s9_a_run_that_is_held_by_now_is_not_cancelled_as_the_queued_one_that_was_seen(house, nexthink):
    mine = house()
    run = queued(mine, nexthink)
    act = seen(looks(mine, run)[RunAct.CANCEL]())
    mine.operations.declare_restored()
    with pytest.raises(NotPossible, match=r"is held \(restored\) by now, not queued \(look again"):
        mine.operations.cancel(run, act=act)
    assert mine.state(run) is RunState.HELD
    mine.operations.cancel(run, act=seen(looks(mine, run)[RunAct.CANCEL]()))
    assert mine.state(run) is RunState.CANCELLED


def test_s9_a_run_that_was_sent_again_meanwhile_is_not_replayed(house, nexthink):
    mine = house()
    run = missed(mine, nexthink)
    act = seen(looks(mine, run)[RunAct.REPLAY]())
    mine.operations.send_again(run, attempt=1, act=ACT)
    mine.work()
    with pytest.raises(NotPossible, match="is at attempt 2, not 1"):
        mine.operations.replay(run, act=act)
    assert mine.story(run).history[-1].event != "replayed"


@pytest.mark.parametrize("made", [queued, over_limit, restored, unknown, missed])
def test_the_ticket_is_told_what_was_foreseen(house, nexthink, made):
    mine = house()
    run = made(mine, nexthink)
    look = looks(mine, run)
    (act,) = offered(mine, run) & {RunAct.RESOLVE, RunAct.SEND_AGAIN, RunAct.CANCEL}
    foreseen = look[act]()
    do = {
        RunAct.RESOLVE: lambda: mine.operations.resolve(
            run, ran=False, send_again=False, attempt=foreseen.made, act=seen(foreseen)
        ),
        RunAct.SEND_AGAIN: lambda: mine.operations.send_again(run, attempt=foreseen.made, act=seen(foreseen)),
        RunAct.CANCEL: lambda: mine.operations.cancel(run, act=seen(foreseen)),
    }
    do[act]()
    told = mine.story(run).comments[-1].owed
    assert mine.state(run) is foreseen.state
    assert (told.occasion, told.n) == (foreseen.told.occasion, foreseen.told.n)
    assert foreseen.told.report.headline in told.text
