"""The working rules W1 to W3 through the beats of several workers on one ledger."""

import threading
from typing import Any

import pytest

from bridge.errors import LedgerUnavailable
from bridge.ledger import queries, sessions
from bridge.models import CallState, RunState, SessionId
from bridge.sandbox.client import wait_for

RUN = "/api/remoteaction/*"
BEAT = 5.0


class Monotonic:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


def alive(ledger: Any) -> set[str]:
    return {line.id for line in ledger.read(queries.figures).sessions}


def beats(undertaking: Any, monotonic: Monotonic, count: int, seconds: float = BEAT) -> None:
    for _ in range(count):
        monotonic.now += seconds
        undertaking.tick()


def test_w1_a_session_is_dead_when_its_beat_stood_still_for_thirty_seconds_of_the_observers_clock(
    ledger, house, monotonic
):
    mine = house()
    observer = mine.undertaking(monotonic)
    observer.open()
    beats(observer, monotonic, 6)
    assert "s1" in alive(ledger)
    beats(observer, monotonic, 1)
    assert alive(ledger) == {observer.session}


def test_w1_a_beat_that_moves_keeps_a_session_alive_however_slowly(ledger, house, monotonic):
    mine = house()
    observer = mine.undertaking(monotonic)
    observer.open()
    for _ in range(4):
        beats(observer, monotonic, 5)
        ledger.write(sessions.beat, session=SessionId("s1"))
    assert "s1" in alive(ledger)


def test_w1_time_in_which_the_observer_stood_still_itself_counts_as_one_beat(ledger, house, monotonic):
    mine = house()
    observer = mine.undertaking(monotonic)
    observer.open()
    beats(observer, monotonic, 2)
    beats(observer, monotonic, 2, seconds=3_600)
    assert "s1" in alive(ledger)


def test_w1_time_in_which_the_ledger_could_not_be_written_does_not_count(
    ledger, house, impatient, locked, monotonic
):
    mine = house(over=impatient)
    observer = mine.undertaking(monotonic)
    observer.open()
    beats(observer, monotonic, 2)
    with locked():
        for _ in range(7):
            with pytest.raises(LedgerUnavailable):
                beats(observer, monotonic, 1)
    wait_for(lambda: impatient.write(lambda tx: True))
    beats(observer, monotonic, 1)
    assert "s1" in alive(ledger)


def test_w1_clocks_of_other_hosts_play_no_part(ledger, house, monotonic, clock):
    mine = house()
    observer = mine.undertaking(monotonic)
    observer.open()
    beats(observer, monotonic, 2)
    clock.move(minutes=50)
    beats(observer, monotonic, 1)
    assert "s1" in alive(ledger)


def test_w1_a_session_that_was_declared_dead_claims_nothing_and_opens_another(house, monotonic):
    mine = house()
    zombie = mine.undertaking(monotonic, names="z")
    zombie.open()
    before = zombie.session
    mine.ledger.write(sessions.bury, session=before, seen=0)
    run = mine.ask()
    assert mine.claim(before) == ()
    zombie.tick()
    assert zombie.session != before
    assert [claimed.id for claimed in mine.claim(zombie.session)] == [run]


def test_w2_what_a_dead_session_had_not_sent_goes_back_and_what_it_sent_becomes_unknown_and_told(
    house, nexthink, jira, monotonic
):
    mine = house(PORTALS__MAIN__MAX_DEVICES_PER_CALL="1")
    kept, sending = mine.ask(), mine.ask()
    claimed = {run.id: run for run in mine.claim()}
    nexthink.answer(code="ok", seconds=2.0)
    acting = threading.Thread(target=mine.acting.act, args=(claimed[sending],))
    acting.start()
    wait_for(lambda: nexthink.calls()["calls"])
    observer = mine.undertaking(monotonic)
    observer.open()
    beats(observer, monotonic, 7)
    assert mine.state(kept) is RunState.QUEUED
    assert mine.story(kept).run.crashes == 1
    assert mine.state(sending) is RunState.UNKNOWN
    mine.post(observer.session)
    assert jira.comments()[0]["text"].startswith("It is not known whether the action ran")
    acting.join(10)
    assert mine.state(sending) is RunState.ANSWERED


def test_w2_what_a_stopped_worker_left_without_a_call_is_taken_back_and_no_crash_is_counted(house, monotonic):
    mine = house()
    run = mine.ask()
    mine.claim()
    mine.ledger.write(sessions.close_session, session=SessionId("s1"))
    observer = mine.undertaking(monotonic)
    observer.open()
    observer.tick()
    again = mine.story(run).run
    assert (again.state, again.owner, again.crashes) == (RunState.QUEUED, None, 0)


def test_w2_a_call_that_a_stopped_worker_left_open_is_unknown_at_the_next_beat(house, nexthink, monotonic):
    mine = house()
    run = mine.ask()
    (claimed,) = mine.claim()
    nexthink.answer(code="ok", seconds=1.0)
    acting = threading.Thread(target=mine.acting.act, args=(claimed,))
    acting.start()
    wait_for(lambda: nexthink.calls()["calls"])
    mine.ledger.write(sessions.close_session, session=SessionId("s1"))
    observer = mine.undertaking(monotonic)
    observer.open()
    observer.tick()
    assert mine.calls(run) == [(1, 1, CallState.UNKNOWN)]
    acting.join(10)
    assert mine.calls(run) == [(1, 1, CallState.ANSWERED)]


def test_two_observers_tell_an_unknown_once(house, monotonic, nexthink):
    mine = house()
    run = mine.ask()
    (claimed,) = mine.claim()
    nexthink.answer(code="ok", seconds=1.0)
    acting = threading.Thread(target=mine.acting.act, args=(claimed,))
    acting.start()
    wait_for(lambda: nexthink.calls()["calls"])
    observers = [mine.undertaking(monotonic, names=name) for name in "abc"]
    for observer in observers:
        observer.open()
    mine.ledger.write(sessions.bury, session=SessionId("s1"), seen=0)
    threads = [threading.Thread(target=observer.tick) for observer in observers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert mine.occasions(run) == ["unknown"]
    acting.join(10)


def test_a_closed_session_beats_no_more(ledger, house, monotonic):
    mine = house()
    closing = mine.undertaking(monotonic)
    closing.open()
    closing.close()
    closing.tick()
    assert alive(ledger) == {"s1"}


def test_w7_a_worker_that_comes_back_after_an_hour_holds_what_is_unfinished(house, monotonic):
    mine = house()
    run = mine.ask()
    mine.later(minutes=61)
    assert mine.undertaking(monotonic).open()
    assert mine.state(run) is RunState.HELD
    mine.work()
    assert mine.calls(run) == []
