"""Second sends through the whole of acting: to the Engines that missed a run, and to nobody else."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from bridge.errors import NotPossible, Reason
from bridge.ledger import pausing, sessions
from bridge.ledger.people import Act
from bridge.models import (
    CallState,
    EngineChoice,
    Layer,
    Limit,
    LimitKind,
    PauseScope,
    RunState,
    SendAgain,
    SessionId,
)
from bridge.sandbox.client import wait_for

RUN = "/api/remoteaction/*"
ACT = Act(author="operator", reason="the Engine is back")
TWO_TIMES = SendAgain(times=2, wait=timedelta(minutes=30))
MOVED = "WS-ABC-34567"  # both connected Engines know it
AS_IT_WAS = "send_again: {times: 2, wait: 30m}"
THREE = ("WS-LAB-00002", "WS-LAB-00004", "WS-LAB-00006")


def sent(nexthink):
    return [call["request_uid"] for call in nexthink.calls()["calls"]]


def engines_of(nexthink):
    """Return the Engines of each request by name; None where none were named."""
    names = {engine["uid"]: engine["name"] for engine in nexthink.world()["engines"]}
    return [
        None if call["engine_uids"] is None else [names[uid] for uid in call["engine_uids"]]
        for call in nexthink.calls()["calls"]
    ]


@pytest.fixture
def half(house, nexthink):
    """Make a house with an answered run that one of its two Engines missed, with `code`."""

    def make(code="not_connected", *, times=1, house_of=None, **plan):
        mine = house_of or house()
        nexthink.answer(engine="engine-emea-2", code=code, times=times)
        given = {"devices": (MOVED,), "engine_choice": EngineChoice.WHERE_FOUND, **plan}
        run = mine.ask(**given)
        mine.work()
        return mine, run

    return make


def again(mine, run, attempt=1):
    return mine.operations.send_again(run, attempt=attempt, act=ACT)


# ── by a person ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_person_sends_again_to_the_engine_that_was_not_connected_and_to_no_other(half, nexthink, jira):
    mine, run = half()
    assert mine.state(run) is RunState.ANSWERED
    again(mine, run)
    assert mine.state(run) is RunState.QUEUED
    mine.work()
    mine.post()
    assert mine.state(run) is RunState.ANSWERED
    assert engines_of(nexthink) == [["engine-emea-1", "engine-emea-2"], ["engine-emea-2"]]
    assert sent(nexthink) == [f"{run}-1-1", f"{run}-1-2"]
    assert mine.occasions(run) == ["answered", "again", "answered"]
    first, asked, last = (comment["text"] for comment in jira.comments())
    assert first.startswith("Accepted by 1 of 2 Engines")
    assert "Sent again to: engine-emea-2" in asked
    assert "the Engine is back" in asked
    assert last.startswith("Accepted by 2 of 2 Engines")
    assert mine.story(run).history[-1].by is None
    assert "operator" in {line.by for line in mine.story(run).history}


def test_a_run_that_went_to_all_engines_is_sent_again_to_named_ones_only(half, nexthink):
    mine, run = half(engine_choice=EngineChoice.ALL, devices=("WS-ABC-12345",))
    again(mine, run)
    mine.work()
    assert engines_of(nexthink) == [None, ["engine-emea-2"]]


@pytest.mark.parametrize("code", ["ok", "engine_error", "excluded", "no_permission", "a_new_code"])
def test_what_an_engine_answered_otherwise_is_never_sent_again(code, half, nexthink):
    mine, run = half(code, repeatable=True)
    with pytest.raises(NotPossible, match="not missed by any Engine"):
        again(mine, run)
    assert mine.state(run) is RunState.ANSWERED
    mine.work()
    assert len(sent(nexthink)) == 1


def test_a_timeout_is_sent_again_only_where_the_action_is_repeatable(half, nexthink):
    mine, run = half("timeout")
    with pytest.raises(NotPossible, match="not missed by any Engine"):
        again(mine, run)
    _, other = half("timeout", house_of=mine, repeatable=True)
    again(mine, other)
    mine.work()
    assert engines_of(nexthink)[-1] == ["engine-emea-2"]
    assert mine.state(other) is RunState.ANSWERED


def test_s9_a_second_send_names_the_attempt_that_was_seen_and_a_double_click_sends_once(half, nexthink):
    mine, run = half()
    with pytest.raises(NotPossible, match="is at attempt 1, not 2"):
        again(mine, run, attempt=2)

    def click(_number):
        try:
            again(mine, run)
        except NotPossible:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(click, range(8))) == 1
    mine.work()
    assert sent(nexthink) == [f"{run}-1-1", f"{run}-1-2"]
    with pytest.raises(NotPossible, match="not missed by any Engine"):
        again(mine, run, attempt=2)


def test_a_run_that_is_too_old_is_not_sent_again_whoever_asks(half, nexthink):
    mine, run = half(max_age=timedelta(hours=1))
    mine.later(minutes=59)
    again(mine, run)
    mine.later(minutes=2)
    mine.work()
    # It was answered, so that is what it is; the rest is said not to follow.
    assert mine.state(run) is RunState.ANSWERED
    assert mine.story(run).run.reason is Reason.TOO_OLD
    assert len(sent(nexthink)) == 1
    with pytest.raises(NotPossible, match="older than its mapping allows"):
        again(mine, run)


def test_a_pause_holds_a_second_send_too(half, nexthink):
    mine, run = half()
    again(mine, run)
    everything = {"scope": PauseScope.EVERYTHING, "value": ""}
    mine.pause(**everything)
    mine.work()
    assert (mine.state(run), mine.story(run).run.reason) == (RunState.HELD, Reason.PAUSED)
    mine.ledger.write(pausing.lift, **everything, author="operator", why="over")
    mine.operations.release(run, act=ACT)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    assert len(sent(nexthink)) == 2


def test_l1_a_runs_own_use_does_not_block_its_second_send_and_that_of_others_does(half, nexthink):
    limits = tuple(
        Limit(kind=kind, layer=Layer.MAPPING, most=1, window=timedelta(hours=1))
        for kind in (LimitKind.PER_HOUR, LimitKind.COOLDOWN)
    )
    mine, run = half(limits=limits)
    again(mine, run)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    assert len(sent(nexthink)) == 2
    mine.later(hours=2)
    mine, second = half(house_of=mine, limits=limits)
    mine.later(minutes=61)
    mine.ask(devices=(MOVED,), limits=limits)
    mine.work()
    again(mine, second)
    mine.work()
    assert (mine.state(second), mine.story(second).run.reason) == (RunState.HELD, Reason.OVER_LIMIT)


def test_s7_parts_are_sent_again_one_after_the_other_and_an_unknown_one_stops_the_rest(house, nexthink, jira):
    mine = house(PORTALS__MAIN__MAX_DEVICES_PER_CALL="1")
    nexthink.answer(engine="engine-emea-1", code="not_connected", times=3)
    run = mine.ask(devices=THREE, engine_choice=EngineChoice.WHERE_FOUND)
    mine.work()
    again(mine, run, attempt=3)
    nexthink.fault("reset_after_read", path=RUN, skip=1)
    mine.work()
    assert mine.state(run) is RunState.UNKNOWN
    assert sent(nexthink)[3:] == [f"{run}-1-2", f"{run}-2-2"]
    mine.post()
    text = jira.comments()[-1]["text"]
    assert text.startswith("It is not known whether the action ran on every device")
    # A person says that it did not run: it goes on with that part and with the rest.
    mine.operations.resolve(run, ran=False, send_again=True, attempt=5, act=ACT)
    mine.later(seconds=200)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    assert sent(nexthink)[5:] == [f"{run}-2-3", f"{run}-3-2"]
    with pytest.raises(NotPossible, match="not missed by any Engine"):
        again(mine, run, attempt=7)


def test_an_unknown_second_send_that_a_person_says_ran_is_not_sent_a_third_time(half, nexthink):
    mine, run = half()
    again(mine, run)
    nexthink.fault("reset_after_read", path=RUN)
    mine.work()
    assert mine.state(run) is RunState.UNKNOWN
    mine.operations.resolve(run, ran=True, send_again=False, attempt=2, act=ACT)
    with pytest.raises(NotPossible, match="not missed by any Engine"):
        again(mine, run, attempt=2)
    mine.work()
    assert len(sent(nexthink)) == 2


def test_an_unknown_second_send_that_a_person_says_did_not_run_takes_no_ok_back(half, nexthink, jira):
    mine, run = half()
    again(mine, run)
    nexthink.fault("reset_after_read", path=RUN)
    mine.work()
    state = mine.operations.resolve(run, ran=False, send_again=False, attempt=2, act=ACT)
    assert state is mine.state(run) is RunState.ANSWERED
    mine.post()
    assert "did not run, where that was not known" in jira.comments()[-1]["text"]


def test_a_second_send_that_is_refused_leaves_the_run_answered(half, nexthink, jira):
    mine, run = half()
    again(mine, run)
    nexthink.answer(error="NO_MANUAL_EXECUTION", times=1)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    mine.post()
    assert jira.comments()[-1]["text"].startswith("Accepted by 1 of 2 Engines")


def test_a_second_send_can_be_cancelled_and_the_run_stays_answered(half, nexthink):
    mine, run = half()
    again(mine, run)
    assert mine.operations.cancel(run, act=ACT) is RunState.ANSWERED
    mine.work()
    assert mine.calls(run) == [(1, 1, CallState.ANSWERED), (1, 2, CallState.DROPPED)]
    assert len(sent(nexthink)) == 1


def test_s8_an_ok_that_arrives_late_drops_the_further_send_to_that_engine(half, nexthink):
    mine, run = half()
    again(mine, run)
    (claimed,) = mine.claim()
    nexthink.fault("delay", seconds=1.0, path=RUN)
    waiting = threading.Thread(target=mine.acting.act, args=(claimed,))
    waiting.start()
    wait_for(lambda: len(sent(nexthink)) == 2)
    other = mine.undertaking(lambda: 0.0)
    other.open()
    mine.ledger.write(sessions.bury, session=SessionId("s1"), seen=0)
    other.tick()
    mine.operations.resolve(run, ran=False, send_again=True, attempt=2, act=ACT)
    assert mine.calls(run)[1:] == [(1, 2, CallState.UNKNOWN), (1, 3, CallState.PLANNED)]
    waiting.join(20)
    assert mine.calls(run)[1:] == [(1, 2, CallState.ANSWERED), (1, 3, CallState.DROPPED)]
    assert mine.state(run) is RunState.ANSWERED
    assert mine.occasions(run)[-1] == "late"
    mine.open_session("s2")
    mine.later(seconds=200)
    mine.work("s2")
    assert len(sent(nexthink)) == 2


# ── by the mapping's own count and wait ──────────────────────────────────────────────────────────────────


def test_a_mapping_sends_again_after_its_wait_and_the_ticket_is_told_both_times(half, nexthink, jira):
    mine, run = half(send_again=TWO_TIMES)
    assert mine.state(run) is RunState.QUEUED
    mine.post()
    (so_far,) = jira.comments()
    assert so_far["text"].startswith("Accepted by 1 of 2 Engines")
    assert "sent again to engine-emea-2 not before 2026-01-01 12:30 UTC (1 of 2)" in so_far["text"]
    mine.later(minutes=29)
    mine.work()
    assert len(sent(nexthink)) == 1
    mine.later(minutes=2)
    mine.work()
    mine.post()
    assert mine.state(run) is RunState.ANSWERED
    assert engines_of(nexthink)[1:] == [["engine-emea-2"]]
    assert jira.comments()[-1]["text"].startswith("Accepted by 2 of 2 Engines")
    assert mine.occasions(run) == ["answered", "answered"]


def test_a_mapping_sends_again_no_more_often_than_it_says(half, nexthink):
    mine, run = half(times=0, send_again=TWO_TIMES)
    for _ in range(5):
        mine.later(minutes=31)
        mine.work()
    assert sent(nexthink) == [f"{run}-1-1", f"{run}-1-2", f"{run}-1-3"]
    assert mine.state(run) is RunState.ANSWERED
    assert mine.occasions(run) == ["answered"] * 3


@pytest.mark.parametrize(
    ("now", "sends"), [("", 1), ("send_again: {times: 1, wait: 30m}", 2), (AS_IT_WAS, 3)]
)
def test_a_mapping_that_sends_again_fewer_times_by_now_takes_back_what_it_announced(
    half, nexthink, rules_of_now, now, sends
):
    mine, run = half(times=0, send_again=TWO_TIMES)
    mine.mapping_set = rules_of_now(now)
    for _ in range(5):
        mine.later(minutes=31)
        mine.work()
    assert len(sent(nexthink)) == sends
    assert mine.state(run) is RunState.ANSWERED
    mine.post()
    taken_back = "its mapping sends again fewer times now" in mine.story(run).comments[-1].owed.text
    assert taken_back == (sends == 1)


def test_what_a_person_sends_again_is_not_taken_back_with_the_mappings_own_count(
    half, nexthink, rules_of_now
):
    mine, run = half(send_again=TWO_TIMES, max_age=timedelta(minutes=20))
    again(mine, run)
    mine.mapping_set = rules_of_now("")
    mine.work()
    assert len(sent(nexthink)) == 2


def test_a_second_send_that_could_only_be_too_late_is_not_promised(half, nexthink):
    mine, run = half(send_again=TWO_TIMES, max_age=timedelta(minutes=20))
    assert mine.state(run) is RunState.ANSWERED
    mine.later(minutes=31)
    mine.work()
    assert len(sent(nexthink)) == 1


def test_s7_an_unknown_second_send_ends_the_mappings_own_count(half, nexthink):
    mine, run = half(send_again=TWO_TIMES)
    nexthink.fault("reset_after_read", path=RUN)
    mine.later(minutes=31)
    mine.work()
    assert mine.state(run) is RunState.UNKNOWN
    mine.later(hours=2)
    mine.work()
    assert len(sent(nexthink)) == 2


def test_a_second_send_that_never_left_is_tried_again_as_any_call_is(half, nexthink):
    mine, run = half(send_again=TWO_TIMES)
    nexthink.fault("status", status=429, retry_after="1", path=RUN)
    mine.later(minutes=31)
    mine.work()
    mine.later(minutes=2)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    assert engines_of(nexthink)[-1] == ["engine-emea-2"]


# ── whatever happens ─────────────────────────────────────────────────────────────────────────────────────

CODES = ("ok", "not_connected", "timeout", "engine_error", "no_permission", "a_new_code")


@pytest.mark.parametrize("seed", range(12))
def test_no_engine_that_acted_ever_gets_a_run_again_whatever_engines_answer_and_people_do(
    seed, house, nexthink
):
    """People say that a run did not happen only where the portal's own witness says the same."""
    chance = random.Random(seed)
    mine = house(PORTALS__MAIN__MAX_DEVICES_PER_CALL="1")
    run = mine.ask(
        devices=(MOVED, *THREE[:2]),
        engine_choice=chance.choice((EngineChoice.ALL, EngineChoice.WHERE_FOUND)),
        send_again=chance.choice((None, TWO_TIMES)),
    )
    for _ in range(14):
        for engine in ("engine-emea-1", "engine-emea-2"):
            if chance.random() < 0.7:
                nexthink.answer(engine=engine, code=chance.choice(CODES), times=1)
        if chance.random() < 0.3:
            kind = chance.choice(("reset_after_read", "status"))
            options = (
                {"status": chance.choice((429, 500, 503)), "retry_after": "1"} if kind == "status" else {}
            )
            nexthink.fault(kind, path=RUN, skip=chance.randrange(3), **options)
        mine.later(minutes=chance.choice((1, 31)))
        mine.work()
        made = len([call for call in mine.story(run).calls if call.intended_at])
        try:
            if mine.state(run) is RunState.UNKNOWN:
                lost = [c.request_uid for c in mine.story(run).calls if c.state is CallState.UNKNOWN][-1]
                ran = any(c["executed"] for c in nexthink.calls()["calls"] if c["request_uid"] == lost)
                mine.operations.resolve(
                    run, ran=ran, send_again=not ran and chance.random() < 0.7, attempt=made, act=ACT
                )
            elif chance.random() < 0.6:
                mine.operations.send_again(run, attempt=max(made, 1), act=ACT)
        except NotPossible:
            continue
    acted = Counter(pair for call in nexthink.calls()["calls"] for pair in map(tuple, call["dispatched"]))
    assert set(acted.values()) <= {1}
    # No request is ever repeated as it was, either.
    assert set(Counter(sent(nexthink)).values()) == {1}
