"""The sending rules S1 to S10 through the whole of acting: ledger, dialect, transport, simulated portal."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from bridge.errors import NotPossible, Reason
from bridge.ledger import Tx, admitting, claiming, queries, sending, sessions, working
from bridge.ledger.claiming import Allowance
from bridge.ledger.people import Act
from bridge.models import (
    CallState,
    CommentState,
    DeviceFence,
    DeviceKey,
    EngineChoice,
    PauseScope,
    PortalName,
    RunState,
    SessionId,
)
from bridge.sandbox.client import wait_for

RUN = "/api/remoteaction/*"
ACT = Act(author="operator", reason="looked at the device")


def sent(nexthink: Any) -> list[str]:
    return [call["request_uid"] for call in nexthink.calls()["calls"]]


@contextmanager
def acting(house: Any, run: Any) -> Iterator[threading.Thread]:
    """Act on a run in a thread; the block is what happens meanwhile."""
    thread = threading.Thread(target=house.acting.act, args=(run,))
    thread.start()
    yield thread
    thread.join(20)
    assert not thread.is_alive()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ── S1 ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_s1_an_intent_that_could_not_be_committed_is_never_sent_and_sent_once_later(
    house, impatient, locked, nexthink
):
    mine = house(over=impatient)
    run = mine.ask()
    (claimed,) = mine.claim()
    with acting(mine, claimed) as thread, locked():
        # Acting gives the intent up after a fifth of a second; it is committed when the lock goes.
        thread.join(0.8)
        assert thread.is_alive()
    assert sent(nexthink) == []
    assert mine.state(run) is RunState.QUEUED
    assert mine.calls(run) in (
        [(1, 1, CallState.NOT_SENT), (1, 2, CallState.PLANNED)],  # the intent was committed after all
        [],  # it was not
    )
    mine.later(seconds=6)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    assert len(sent(nexthink)) == 1


def test_s1_an_intent_that_commits_while_it_is_being_given_up_is_closed_too(ledger, house):
    """Two connections of one process, as when the connection broke during the COMMIT (PostgreSQL)."""
    if ledger.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer, so one cannot overtake the other")
    mine = house()
    run = mine.ask()
    (claimed,) = mine.claim()
    parts = mine.acting._parts(claimed, claimed.plan, mine.connections.portals["main"])
    with ledger.engine.connect() as connection:
        admitting.admit(Tx(connection, mine.clock()), run=claimed, parts=parts, lasting=timedelta(seconds=80))
        closing = threading.Thread(
            target=ledger.write,
            args=(sending.close_not_sent,),
            kwargs={"run": claimed, "delay": timedelta()},
        )
        closing.start()
        closing.join(0.3)
        connection.commit()
    closing.join(10)
    assert mine.state(run) is RunState.QUEUED
    assert mine.calls(run) == [(1, 1, CallState.NOT_SENT), (1, 2, CallState.PLANNED)]


# ── an intent that is committed with its claim ───────────────────────────────────────────────────────────


@pytest.fixture
def uids(nexthink: Any) -> dict[str, str]:
    """The devices of the simulated portal that nobody has to be asked for."""
    return {device["name"]: device["uid"] for device in nexthink.world()["devices"]}


@pytest.fixture
def direct(house: Any, uids: dict[str, str]) -> Any:
    """A house whose portal answers no question about devices, and whose Engines are known by now."""
    mine = house(PORTALS__MAIN__NXQL_URL="")
    mine.ask(by=DeviceKey.UID, devices=(uids["WS-ABC-12345"],))
    mine.work()
    return mine


def test_s1_what_needs_no_question_is_claimed_and_intended_in_one_transaction(direct, uids, nexthink):
    run = direct.ask(by=DeviceKey.UID, devices=(uids["WS-ABC-23456"],))
    ((claimed, begun),) = direct.claim_and_begin()
    assert direct.state(run) is RunState.SENDING
    assert direct.calls(run) == [(1, 1, CallState.INTENDED)]
    assert f"{run}-1-1" not in sent(nexthink)
    direct.acting.act(claimed, begun)
    assert direct.state(run) is RunState.ANSWERED
    assert direct.told(run) == [CommentState.OWED]
    assert sent(nexthink).count(f"{run}-1-1") == 1


def test_s7_the_parts_behind_the_first_are_sent_after_it(house, uids, nexthink):
    mine = house(PORTALS__MAIN__NXQL_URL="", PORTALS__MAIN__MAX_DEVICES_PER_CALL="1")
    mine.ask(by=DeviceKey.UID, devices=(uids["WS-ABC-12345"],))
    mine.work()
    run = mine.ask(by=DeviceKey.UID, devices=tuple(uids[name] for name in THREE))
    ((claimed, begun),) = mine.claim_and_begin()
    assert mine.calls(run) == [
        (1, 1, CallState.INTENDED),
        (2, 1, CallState.PLANNED),
        (3, 1, CallState.PLANNED),
    ]
    mine.acting.act(claimed, begun)
    assert mine.state(run) is RunState.ANSWERED
    assert sent(nexthink)[1:] == [f"{run}-1-1", f"{run}-2-1", f"{run}-3-1"]


def test_s1_a_claim_whose_commit_is_in_doubt_closes_what_it_intended(direct, uids, nexthink):
    run = direct.ask(by=DeviceKey.UID, devices=(uids["WS-ABC-23456"],))
    direct.claim_and_begin()
    # Its COMMIT was lost, so nobody has the run in hand and nothing is sent.
    assert direct.ledger.write(claiming.give_back_unseen, session=SessionId("s1"), seen=()) == 1
    assert direct.state(run) is RunState.QUEUED
    assert direct.calls(run) == [(1, 1, CallState.NOT_SENT), (1, 2, CallState.PLANNED)]
    ((claimed, begun),) = direct.claim_and_begin()
    assert begun is None  # it has calls, so it goes the long way
    direct.acting.act(claimed, begun)
    assert direct.state(run) is RunState.ANSWERED
    assert [uid for uid in sent(nexthink) if uid.startswith(run)] == [f"{run}-1-2"]


def test_s1_a_claim_whose_commit_is_still_under_way_is_waited_for_and_closed(direct, uids):
    """Two connections of one process, as when the connection broke during the COMMIT (PostgreSQL)."""
    if direct.ledger.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer, so one cannot overtake the other")
    run = direct.ask(by=DeviceKey.UID, devices=(uids["WS-ABC-23456"],))
    begin = direct.acting.beginning()
    given_back: list[int] = []

    def give_back() -> None:
        given_back.append(direct.ledger.write(claiming.give_back_unseen, session=SessionId("s1"), seen=()))

    with direct.ledger.engine.connect() as connection:
        tx = Tx(connection, direct.clock())
        allowances = [Allowance(portal=PortalName("main"), runs=5)]
        (claimed,) = claiming.claim(
            tx, session=SessionId("s1"), allowances=allowances, configured=[PortalName("main")]
        )
        assert begin(tx, claimed) is not None
        giving = threading.Thread(target=give_back)
        giving.start()
        giving.join(0.5)
        assert giving.is_alive()
        connection.commit()
    giving.join(10)
    assert given_back == [1]
    assert direct.state(run) is RunState.QUEUED
    assert direct.calls(run) == [(1, 1, CallState.NOT_SENT), (1, 2, CallState.PLANNED)]


def test_a_run_in_hand_is_not_taken_for_one_whose_commit_is_in_doubt(direct, uids):
    run = direct.ask(by=DeviceKey.UID, devices=(uids["WS-ABC-23456"],))
    direct.claim_and_begin()
    assert direct.ledger.write(claiming.give_back_unseen, session=SessionId("s1"), seen=(run,)) == 0
    assert direct.calls(run) == [(1, 1, CallState.INTENDED)]


@pytest.mark.parametrize(
    "obstacle", ["paused", "too old", "no portal", "no rules", "narrower rules", "a name"]
)
def test_what_anything_stands_in_the_way_of_is_only_claimed(
    direct, uids, mapping_set, make_plan, nexthink, obstacle
):
    wanted: dict[str, Any] = {"by": DeviceKey.UID, "devices": (uids["WS-ABC-23456"],)}
    if obstacle == "paused":
        direct.pause(PauseScope.PORTAL, "main")
    elif obstacle == "too old":
        wanted["occurred_at"] = direct.clock() - timedelta(days=3)
    elif obstacle == "no rules":
        direct.can_read_rules = False
    elif obstacle == "narrower rules":
        direct.mapping_set = mapping_set()  # it has no such mapping any more
    elif obstacle == "a name":
        wanted |= {"by": DeviceKey.NAME, "devices": ("WS-ABC-23456",)}
    run = direct.ask(**wanted)
    if obstacle == "no portal":
        direct.connections = replace(direct.connections, portals={})
        (claimed,) = direct.claim()
        begun = direct.ledger.write(direct.acting.beginning(), claimed)
    else:
        ((_, begun),) = direct.claim_and_begin()
    assert begun is None
    assert direct.state(run) is RunState.CLAIMED
    assert direct.calls(run) == []


# ── S2 and S4 ────────────────────────────────────────────────────────────────────────────────────────────


def test_s2_a_portal_that_takes_no_connection_got_nothing_and_the_run_is_tried_again(house):
    mine = house(PORTALS__MAIN__BASE_URL=f"http://127.0.0.1:{closed_port()}", PORTALS__MAIN__NXQL_URL="")
    run = mine.ask(by=DeviceKey.UID, devices=("0" * 32,))
    mine.work()
    assert mine.state(run) is RunState.QUEUED
    assert mine.story(run).run.reason is Reason.NOT_CONNECTED
    assert mine.calls(run) == [(1, 1, CallState.NOT_SENT), (1, 2, CallState.PLANNED)]
    assert mine.told(run) == []
    assert [result.state for _, result in mine.noted] == [CallState.NOT_SENT]


def test_s2_a_portal_with_which_no_hands_could_be_shaken_got_nothing(house, nexthink):
    plain = nexthink.url.replace("http://", "https://")  # it answers in a way that is no TLS
    mine = house(PORTALS__MAIN__BASE_URL=plain, PORTALS__MAIN__NXQL_URL="")
    run = mine.ask(by=DeviceKey.UID, devices=("0" * 32,))
    mine.work()
    assert mine.state(run) is RunState.QUEUED
    assert mine.story(run).run.reason is Reason.TLS_FAILED
    assert mine.calls(run) == [(1, 1, CallState.NOT_SENT), (1, 2, CallState.PLANNED)]
    assert sent(nexthink) == []


@pytest.mark.parametrize("kind", ["reset_before_read", "reset_after_read", "reset_mid_body", "short_body"])
def test_s2_what_breaks_after_the_first_byte_is_unknown_and_told(house, nexthink, jira, kind):
    mine = house()
    run = mine.ask()
    nexthink.fault(kind, path=RUN)
    mine.work()
    assert mine.state(run) is RunState.UNKNOWN
    assert mine.calls(run) == [(1, 1, CallState.UNKNOWN)]
    mine.later(hours=1)
    mine.work()
    assert mine.calls(run) == [(1, 1, CallState.UNKNOWN)]
    mine.post()
    assert [comment["text"].splitlines()[0] for comment in jira.comments()] == [
        "It is not known whether the action ran"
    ]


# ── S5 ───────────────────────────────────────────────────────────────────────────────────────────────────

FORBIDDEN = '{"code": "NO_PERMISSION", "error": "no"}'
REJECTED = '{"code": "TOO_MANY_DEVICES", "error": "no"}'


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ({"kind": "status", "status": 200, "body": "[]"}, RunState.UNKNOWN),
        ({"kind": "garbage"}, RunState.UNKNOWN),
        ({"kind": "html"}, RunState.UNKNOWN),
        ({"kind": "empty"}, RunState.UNKNOWN),
        ({"kind": "huge"}, RunState.UNKNOWN),
        ({"kind": "gzip_bomb"}, RunState.UNKNOWN),
        ({"kind": "endless"}, RunState.UNKNOWN),
        ({"kind": "bad_chunks"}, RunState.UNKNOWN),
        ({"kind": "redirect"}, RunState.UNKNOWN),
        ({"kind": "status", "status": 307, "headers": {"Location": "/"}}, RunState.UNKNOWN),
        ({"kind": "status", "status": 400}, RunState.UNKNOWN),
        ({"kind": "status", "status": 400, "body": REJECTED}, RunState.REFUSED),
        ({"kind": "status", "status": 401}, RunState.QUEUED),
        ({"kind": "status", "status": 403}, RunState.UNKNOWN),
        ({"kind": "status", "status": 403, "body": FORBIDDEN}, RunState.QUEUED),
        ({"kind": "status", "status": 404}, RunState.REFUSED),
        ({"kind": "status", "status": 405}, RunState.REFUSED),
        ({"kind": "status", "status": 409}, RunState.UNKNOWN),
        ({"kind": "status", "status": 413}, RunState.REFUSED),
        ({"kind": "status", "status": 429}, RunState.QUEUED),
        ({"kind": "status", "status": 500}, RunState.UNKNOWN),
        ({"kind": "status", "status": 502}, RunState.UNKNOWN),
        ({"kind": "status", "status": 503}, RunState.UNKNOWN),
        ({"kind": "status", "status": 504}, RunState.UNKNOWN),
    ],
    ids=lambda value: f"{value['kind']}-{value.get('status', '')}" if isinstance(value, dict) else str(value),
)
def test_s5_every_answer_makes_of_the_run_what_it_proves(house, nexthink, fault, state):
    mine = house()
    run = mine.ask()
    nexthink.fault(path=RUN, **fault)
    mine.work()
    assert mine.state(run) is state
    told = {RunState.UNKNOWN: ["unknown"], RunState.REFUSED: ["refused"], RunState.QUEUED: []}
    assert mine.occasions(run) == told[state]
    assert len(sent(nexthink)) == 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_s5_a_call_that_was_refused_with_429_is_made_again_after_retry_after(house, nexthink, form):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    mine = house()
    run = mine.ask()
    nexthink.fault("status", status=429, retry_after="600" if form == "seconds" else date, path=RUN)
    mine.work()
    waits = (mine.story(run).run.due_at - mine.clock()).total_seconds()
    assert 595 <= waits <= 600
    mine.later(seconds=590)
    mine.work()
    assert len(sent(nexthink)) == 1
    mine.later(seconds=11)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    assert mine.calls(run) == [(1, 1, CallState.REFUSED), (1, 2, CallState.ANSWERED)]
    assert mine.occasions(run) == ["answered"]


def test_s5_a_503_that_is_declared_to_be_the_proxys_own_is_sent_again(house, nexthink):
    mine = house(PORTALS__MAIN__PROXY_503_NOT_SENT="on")
    run = mine.ask()
    nexthink.fault("status", status=503, path=RUN)
    mine.work()
    assert mine.calls(run) == [(1, 1, CallState.NOT_SENT), (1, 2, CallState.PLANNED)]
    mine.later(seconds=61)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED


# ── S6 ───────────────────────────────────────────────────────────────────────────────────────────────────


def pauses_portal(nexthink: Any, cause: str) -> None:
    if cause == "401":
        nexthink.fault("status", status=401, path=RUN)
    else:
        nexthink.answer(error=cause, times=1)


@pytest.mark.parametrize("cause", ["401", "NO_PERMISSION", "NO_ENGINES_TO_TARGET"])
def test_s6_a_portal_that_would_refuse_everything_is_paused_told_once_and_released(
    house, nexthink, jira, cause
):
    mine = house()
    first, second = mine.ask(), mine.ask()
    pauses_portal(nexthink, cause)
    mine.work()
    mine.work()
    assert [mine.state(first), mine.state(second)] == [RunState.HELD, RunState.ANSWERED] or [
        mine.state(first),
        mine.state(second),
    ] == [RunState.HELD, RunState.HELD]
    third = mine.ask()
    mine.work()
    assert mine.state(third) is RunState.HELD
    before = len(sent(nexthink))
    mine.post()
    assert mine.occasions(first) == ["held"]
    mine.work()
    mine.post()
    assert mine.occasions(first) == ["held"]
    assert len(sent(nexthink)) == before
    mine.operations.resume(PauseScope.PORTAL, "main", act=ACT)
    mine.work()
    mine.post()
    for run in (first, second, third):
        assert mine.state(run) is RunState.ANSWERED
        assert mine.occasions(run) == ["held", "answered"]
    assert set(mine.told(first)) == {CommentState.POSTED}
    texts = [comment["text"] for comment in jira.comments()]
    assert sum("answered-" in text for text in texts) == 3


def test_s6_what_became_too_old_while_it_was_held_is_told_and_not_sent(house, nexthink):
    mine = house()
    run = mine.ask()
    pauses_portal(nexthink, "401")
    mine.work()
    mine.work()
    mine.later(hours=25)
    mine.operations.resume(PauseScope.PORTAL, "main", act=ACT)
    mine.work()
    assert mine.state(run) is RunState.EXPIRED
    assert mine.occasions(run) == ["held", "expired"]
    assert len(sent(nexthink)) == 1


def test_s6_a_second_pause_of_the_same_run_is_held_again(house, nexthink):
    mine = house()
    run = mine.ask()
    for _ in range(2):
        pauses_portal(nexthink, "401")
        mine.work()
        mine.work()
        assert mine.state(run) is RunState.HELD
        mine.operations.resume(PauseScope.PORTAL, "main", act=ACT)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    assert len(sent(nexthink)) == 3


# ── S7 ───────────────────────────────────────────────────────────────────────────────────────────────────

THREE = ("WS-LAB-00002", "WS-LAB-00004", "WS-LAB-00006")


def test_s7_an_unknown_part_stops_the_later_ones_and_both_are_told(house, nexthink, jira):
    mine = house(PORTALS__MAIN__MAX_DEVICES_PER_CALL="1")
    run = mine.ask(devices=THREE)
    nexthink.fault("reset_after_read", path=RUN, skip=1)
    mine.work()
    assert mine.state(run) is RunState.UNKNOWN
    assert mine.calls(run) == [
        (1, 1, CallState.ANSWERED),
        (2, 1, CallState.UNKNOWN),
        (3, 1, CallState.PLANNED),
    ]
    assert sent(nexthink) == [f"{run}-1-1", f"{run}-2-1"]
    mine.post()
    (comment,) = jira.comments()
    assert comment["text"].startswith("It is not known whether the action ran on every device")
    assert "Not sent to: WS-LAB-00006" in comment["text"]


def test_s7_sent_again_by_a_person_goes_on_with_the_unknown_part_and_the_rest(house, nexthink):
    mine = house(PORTALS__MAIN__MAX_DEVICES_PER_CALL="1")
    run = mine.ask(devices=THREE)
    nexthink.fault("reset_after_read", path=RUN, skip=1)
    mine.work()
    mine.operations.resolve(run, ran=False, send_again=True, attempt=2, act=ACT)
    mine.later(seconds=200)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    assert mine.calls(run) == [
        (1, 1, CallState.ANSWERED),
        (2, 1, CallState.UNKNOWN),
        (2, 2, CallState.ANSWERED),
        (3, 1, CallState.ANSWERED),
    ]
    assert sent(nexthink) == [f"{run}-1-1", f"{run}-2-1", f"{run}-2-2", f"{run}-3-1"]


def test_s7_parts_are_frozen_a_device_that_changed_its_engine_meanwhile_changes_nothing(house, nexthink):
    mine = house(PORTALS__MAIN__MAX_DEVICES_PER_CALL="1")
    run = mine.ask(devices=THREE)
    nexthink.fault("status", status=429, retry_after="1", path=RUN, skip=1)
    mine.work()
    # No Engine may be asked any more: the parts that are left are frozen.
    nexthink.fault("status", status=503, path="/nxql/*", times=100)
    mine.later(seconds=61)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    assert sent(nexthink) == [f"{run}-1-1", f"{run}-2-1", f"{run}-2-2", f"{run}-3-1"]


def test_a_stopping_worker_leaves_the_parts_that_are_left_to_the_next_one(house, nexthink):
    mine = house(PORTALS__MAIN__MAX_DEVICES_PER_CALL="1")
    run = mine.ask(devices=THREE)
    mine.stopping.set()
    mine.work()
    assert mine.state(run) is RunState.QUEUED
    assert sent(nexthink) == [f"{run}-1-1"]
    mine.stopping.clear()
    mine.open_session("s2")
    mine.work("s2")
    assert mine.state(run) is RunState.ANSWERED
    assert sent(nexthink) == [f"{run}-1-1", f"{run}-2-1", f"{run}-3-1"]
    assert mine.occasions(run) == ["answered"]


# ── S8 ───────────────────────────────────────────────────────────────────────────────────────────────────


def bury_and_settle(mine: Any, session: str) -> None:
    """Do what another worker does about a session that it takes for dead."""
    other = mine.undertaking(lambda: 0.0)
    other.open()
    assert mine.ledger.write(sessions.bury, session=SessionId(session), seen=0)
    other.tick()


def test_s8_the_answer_of_a_worker_that_was_taken_for_dead_closes_the_unknown_and_is_told(
    house, nexthink, jira
):
    mine = house()
    run = mine.ask()
    (claimed,) = mine.claim()
    nexthink.fault("delay", seconds=1.0, path=RUN)
    with acting(mine, claimed):
        wait_for(lambda: sent(nexthink))
        bury_and_settle(mine, "s1")
        assert mine.state(run) is RunState.UNKNOWN
    assert mine.state(run) is RunState.ANSWERED
    assert mine.calls(run) == [(1, 1, CallState.ANSWERED)]
    mine.post()
    assert mine.occasions(run) == ["unknown", "late"]
    assert set(mine.told(run)) == {CommentState.POSTED}
    assert "came late" in jira.comments()[1]["text"]


def test_s8_a_late_loss_of_the_connection_leaves_the_unknown_as_it_is(house, nexthink):
    mine = house()
    run = mine.ask()
    (claimed,) = mine.claim()
    nexthink.answer(code="ok", seconds=1.0)
    nexthink.fault("reset_after_read", path=RUN)
    with acting(mine, claimed):
        wait_for(lambda: sent(nexthink))
        bury_and_settle(mine, "s1")
    assert mine.state(run) is RunState.UNKNOWN
    assert mine.calls(run) == [(1, 1, CallState.UNKNOWN)]
    assert mine.story(run).calls[0].result.reason is Reason.CONNECTION_LOST
    assert mine.occasions(run) == ["unknown"]


def test_s8_a_person_was_faster_than_the_late_answer_which_is_kept_beside_their_word(house, nexthink):
    mine = house()
    run = mine.ask()
    (claimed,) = mine.claim()
    nexthink.fault("delay", seconds=1.0, path=RUN)
    with acting(mine, claimed):
        wait_for(lambda: sent(nexthink))
        bury_and_settle(mine, "s1")
        mine.operations.resolve(run, ran=False, send_again=False, attempt=1, act=ACT)
    assert mine.state(run) is RunState.REFUSED
    assert mine.calls(run) == [(1, 1, CallState.ANSWERED)]


def test_s9_a_late_answer_cancels_the_replay_that_a_person_asked_for_meanwhile(house, nexthink, jira):
    mine = house()
    run = mine.ask()
    (claimed,) = mine.claim()
    nexthink.fault("delay", seconds=1.0, path=RUN)
    with acting(mine, claimed):
        wait_for(lambda: sent(nexthink))
        bury_and_settle(mine, "s1")
        mine.operations.resolve(run, ran=False, send_again=False, attempt=1, act=ACT)
        first = mine.operations.replay(run, act=ACT)
        mine.operations.cancel(first, act=ACT)
        second = mine.operations.replay(first, act=ACT)
    assert (mine.state(first), mine.state(second)) == (RunState.CANCELLED, RunState.CANCELLED)
    mine.later(minutes=10)
    mine.open_session("s2")
    mine.work("s2")
    assert sent(nexthink) == [f"{run}-1-1"]
    mine.post("s2")
    assert mine.occasions(second) == ["cancelled"]
    told = jira.comments()[-1]["text"]
    assert told.startswith("Accepted by 2 of 2 Engines")
    assert f"late answer to run {run}, so its replay, run {second}, was not sent" in told


def test_s9_a_replay_that_was_sent_is_no_longer_cancelled_by_a_late_answer(house, nexthink):
    mine = house()
    run = mine.ask()
    (claimed,) = mine.claim()
    nexthink.fault("delay", seconds=3.0, path=RUN, times=1)
    with acting(mine, claimed):
        wait_for(lambda: sent(nexthink))
        bury_and_settle(mine, "s1")
        mine.operations.resolve(run, ran=False, send_again=False, attempt=1, act=ACT)
        again = mine.operations.replay(run, act=ACT)
        mine.later(minutes=10)
        mine.open_session("s2")
        mine.work("s2")
        assert mine.state(again) is RunState.ANSWERED
    assert mine.calls(run) == [(1, 1, CallState.ANSWERED)]
    assert mine.occasions(again) == ["answered"]


# ── S9 and S10 ───────────────────────────────────────────────────────────────────────────────────────────


def test_s9_a_double_click_sends_once(house, nexthink):
    mine = house()
    run = mine.ask()
    nexthink.fault("reset_after_read", path=RUN)
    mine.work()

    def click(_number: int) -> bool:
        try:
            mine.operations.resolve(run, ran=False, send_again=True, attempt=1, act=ACT)
        except NotPossible:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(click, range(8))) == 1
    mine.later(seconds=200)
    mine.work()
    mine.work()
    assert sent(nexthink) == [f"{run}-1-1", f"{run}-1-2"]
    assert mine.occasions(run) == ["unknown", "resolved", "answered"]


def test_s4_a_further_attempt_waits_for_the_latest_end_also_when_it_was_held_meanwhile(
    ledger, house, nexthink
):
    mine = house()
    run = mine.ask()
    nexthink.fault("reset_after_read", path=RUN)
    mine.work()
    mine.operations.resolve(run, ran=False, send_again=True, attempt=1, act=ACT)
    mine.operations.declare_restored()
    assert mine.state(run) is RunState.HELD
    assert mine.operations.release_restored(act=ACT) == 1
    mine.work()
    assert mine.state(run) is RunState.QUEUED
    assert len(sent(nexthink)) == 1
    mine.later(seconds=200)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    assert len(sent(nexthink)) == 2


def test_s10_an_engine_that_does_not_answer_means_that_nothing_is_sent(house, nexthink):
    mine = house()
    run = mine.ask()
    nexthink.fault("status", status=503, path="/nxql/engine-emea-2/*")
    mine.work()
    assert (mine.state(run), mine.calls(run), sent(nexthink)) == (RunState.QUEUED, [], [])
    # Whoever looks meanwhile sees why, and health tells whoever does not look.
    told = mine.story(run).run
    assert told.detail is not None
    assert "engine-emea-2" in told.detail
    failed = [each for each in mine.ledger.read(queries.figures).totals if each.kind == "lookup"]
    assert [(each.name, each.label, each.count) for each in failed] == [(told.plan.portal, told.reason, 1)]
    mine.later(seconds=6)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    assert mine.story(run).run.detail is None


def test_s10_a_lookup_that_fails_until_the_run_is_too_old_ends_it_and_is_told(house, nexthink):
    mine = house()
    run = mine.ask()
    nexthink.fault("status", status=503, path="/nxql/engine-emea-2/*", times=1_000)
    for _ in range(400):
        mine.work()
        if mine.state(run) is not RunState.QUEUED:
            break
        mine.later(minutes=6)
    assert mine.state(run) in {RunState.REFUSED, RunState.EXPIRED}
    assert len(mine.occasions(run)) == 1
    assert sent(nexthink) == []


def test_s10_an_engine_that_is_named_and_not_known_refuses_the_run(house, nexthink):
    mine = house()
    run = mine.ask(engine_choice=EngineChoice.NAMED, engines=("engine-emea-9",))
    mine.work()
    story = mine.story(run).run
    assert (story.state, story.reason) == (RunState.REFUSED, Reason.ENGINE_UNKNOWN)
    assert sent(nexthink) == []


def test_s10_where_found_names_only_engines_that_know_the_device_and_all_sends_no_list(house, nexthink):
    mine = house()
    mine.ask(engine_choice=EngineChoice.WHERE_FOUND)
    mine.work()
    mine.ask(engine_choice=EngineChoice.ALL)
    mine.work()
    first, second = nexthink.calls()["calls"]
    engines = {engine["name"]: engine["uid"] for engine in nexthink.world()["engines"]}
    assert first["engine_uids"] == [engines["engine-emea-1"]]
    assert second["engine_uids"] is None


# ── what else can happen to a run ────────────────────────────────────────────────────────────────────────


def test_w3_a_run_that_three_workers_died_with_is_dead_and_told(house, nexthink):
    mine = house()
    run = mine.ask()
    for name in ("x1", "x2", "x3"):
        mine.open_session(name)
        (claimed,) = mine.claim(name)
        mine.ledger.write(sessions.bury, session=SessionId(name), seen=0)
        assert claimed.id == run
    mine.work()
    assert mine.state(run) is RunState.DEAD
    assert mine.occasions(run) == ["dead"]
    assert sent(nexthink) == []


def test_a_portal_that_is_not_configured_any_more_refuses_the_run(house):
    mine = house()
    run = mine.ask(portal="gone")
    mine.work()
    story = mine.story(run).run
    assert (story.state, story.reason) == (RunState.REFUSED, Reason.NO_PORTAL)
    assert mine.occasions(run) == ["refused"]


def test_a_cancelled_run_is_told_and_never_sent(house, nexthink):
    mine = house()
    run = mine.ask()
    mine.operations.cancel(run, act=ACT)
    mine.work()
    assert mine.state(run) is RunState.CANCELLED
    assert mine.occasions(run) == ["cancelled"]
    assert sent(nexthink) == []


def test_a_device_outside_the_fence_is_refused_by_the_name_that_the_engine_gives(house, nexthink):
    mine = house()
    run = mine.ask(devices=("WS-VIP-00001",), fence=DeviceFence(never=("WS-VIP-.*",)))
    mine.work()
    story = mine.story(run).run
    assert (story.state, story.reason) == (RunState.REFUSED, Reason.DEVICE_REFUSED)
    assert sent(nexthink) == []


def test_people_may_not_decide_about_a_run_that_is_not_unknown(house):
    mine = house()
    run = mine.ask()
    with pytest.raises(NotPossible, match="is queued"):
        mine.operations.resolve(run, ran=True, send_again=False, attempt=None, act=ACT)
    with pytest.raises(NotPossible, match="not sent again"):
        mine.operations.resolve(run, ran=True, send_again=True, attempt=None, act=ACT)
    with pytest.raises(NotPossible, match="there is no run"):
        mine.ledger.read(working.find_run, run="r-none")


def test_a5_nothing_is_sent_while_the_rules_in_force_cannot_be_read(house, nexthink):
    mine = house()
    mine.can_read_rules = False
    run = mine.ask()
    mine.work()
    assert mine.state(run) is RunState.QUEUED
    assert nexthink.calls()["calls"] == []
    mine.can_read_rules = True
    mine.later(seconds=31)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
