"""Webhooks that wait for a ledger that stands still leave threads for health."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.web.turnstile import LOOK, STANDSTILL, Turnstile


class Seconds:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def enter(turnstile: Turnstile, leave: threading.Event) -> bool:
    with turnstile.place() as taken:
        if taken:
            leave.wait(10)
        return taken


def test_a_burst_passes_though_it_is_larger_than_the_places() -> None:
    turnstile = Turnstile(places=2, monotonic=time.monotonic)

    def pass_through(_number: int) -> bool:
        with turnstile.place() as taken:
            time.sleep(0.002)
            return taken

    with ThreadPoolExecutor(20) as burst:
        assert all(burst.map(pass_through, range(100)))


def test_one_who_finds_every_place_taken_gets_the_next_that_comes_free() -> None:
    turnstile, leave = Turnstile(places=1, monotonic=Seconds()), threading.Event()
    with ThreadPoolExecutor(2) as burst:
        first = burst.submit(enter, turnstile, leave)
        second = burst.submit(enter, turnstile, leave)
        time.sleep(3 * LOOK)
        assert not first.done()
        assert not second.done()
        leave.set()
        assert first.result(10)
        assert second.result(10)


def test_one_who_waits_gives_up_when_the_ledger_turns_out_to_stand_still() -> None:
    seconds = Seconds()
    turnstile, leave = Turnstile(places=1, monotonic=seconds), threading.Event()
    with ThreadPoolExecutor(2) as burst:
        inside = burst.submit(enter, turnstile, leave)
        time.sleep(0.05)
        waiting = burst.submit(enter, turnstile, leave)
        time.sleep(0.05)
        seconds.now += STANDSTILL + 0.1
        assert not waiting.result(10)
        leave.set()
        assert inside.result(10)


def test_nobody_waits_once_the_ledger_stands_still() -> None:
    seconds = Seconds()
    turnstile, leave = Turnstile(places=1, monotonic=seconds), threading.Event()
    with ThreadPoolExecutor(1) as inside:
        first = inside.submit(enter, turnstile, leave)
        time.sleep(0.05)
        seconds.now += STANDSTILL + 0.1
        began = time.monotonic()
        assert not enter(turnstile, leave)
        assert time.monotonic() - began < LOOK / 2
        leave.set()
        assert first.result(10)


def fail(turnstile: Turnstile) -> None:
    with turnstile.place() as taken:
        assert taken
        raise RuntimeError("as a handler may")


def test_a_place_comes_free_also_when_its_holder_fails() -> None:
    turnstile = Turnstile(places=1, monotonic=time.monotonic)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            fail(turnstile)
