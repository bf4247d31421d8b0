"""Wake-ups: a worker that can take more looks at once, on either database, without asking all the time."""

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import make_url

from bridge.ledger import Ledger, Tx
from bridge.ledger.connecting import open_database
from bridge.ledger.migrating import migrate
from bridge.ledger.waking import Waker, ring
from tests.conftest import Clock

LONG = 20.0


@pytest.fixture
def waker(ledger: Ledger) -> Iterator[Waker]:
    made = Waker(ledger.engine, lambda: False)
    made.wait(0.01)  # the first wait only begins to listen, or to look
    yield made
    made.close()


def waited(waker: Waker, seconds: float = LONG) -> float:
    began = time.monotonic()
    waker.wait(seconds)
    return time.monotonic() - began


def test_a_nudge_ends_the_wait_under_way(waker: Waker) -> None:
    timer = threading.Timer(0.1, waker.nudge)
    timer.start()
    assert 0.05 < waited(waker) < LONG / 2
    timer.join()


def test_a_nudge_before_the_wait_is_not_lost_and_counts_once(waker: Waker) -> None:
    for _ in range(3):
        waker.nudge()
    assert waited(waker) < LONG / 2
    assert waited(waker, 0.3) >= 0.3


def test_any_number_of_nudges_holds_nobody_up(waker: Waker) -> None:
    for _ in range(100_000):
        waker.nudge()
    assert waited(waker) < LONG / 2


def test_a_commit_of_others_ends_the_wait(waker: Waker, ledger: Ledger) -> None:
    timer = threading.Timer(0.1, lambda: ledger.write(_work))
    timer.start()
    assert waited(waker) < LONG / 2
    timer.join()


@pytest.mark.parametrize("several", ["host=/nowhere,{here}", "host=/nowhere:5432&host={here}:5432"])
def test_a_server_is_found_and_listened_to_where_an_address_names_several_hosts(
    several: str, postgresql: str, clock: Clock
) -> None:
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS several WITH (FORCE)")
        connection.execute("CREATE DATABASE several")
    here = make_url(postgresql).query["host"]
    query = f"{several.format(here=here)}&target_session_attrs=read-write"
    engine = open_database(f"postgresql://postgres@/several?{query}")
    migrate(engine)
    ledger = Ledger(engine, clock=clock, server_clock=False)
    waker = Waker(engine, lambda: False)
    try:
        waker.wait(0.01)
        timer = threading.Timer(0.1, lambda: ledger.write(_work))
        timer.start()
        assert waited(waker) < LONG / 2
        timer.join()
    finally:
        waker.close()
        ledger.stop()


def test_a_nudge_after_the_end_is_harmless(ledger: Ledger) -> None:
    waker = Waker(ledger.engine, lambda: False)
    waker.close()
    waker.nudge()


def _work(tx: Tx) -> None:
    tx.count("probe", "test", "committed")
    ring(tx)
