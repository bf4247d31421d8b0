"""How mappings were used: bounded however many runs there are, and the same on either database."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from bridge.ledger import Ledger, mapping_use
from bridge.ledger.mapping_use import SCANNED, Together
from bridge.ledger.stored import newest_since, stored_since
from bridge.ledger.tables import deliveries, runs
from bridge.models import MappingId

OFFICE, TEAMS, QUIET = MappingId("office"), MappingId("teams"), MappingId("quiet")


@pytest.fixture
def made(ledger: Ledger, clock: Any) -> Callable[..., None]:
    """Make so many deliveries, each with a run of every mapping named, a second apart and the newest now."""
    numbers = itertools.count()

    def make(count: int, *mappings: str, sent: bool = False) -> None:
        first = next(numbers) * 1_000_000
        times = [(first + n, clock.now - timedelta(seconds=count - 1 - n)) for n in range(count)]
        shared = {"source": "jira", "ticket_uid": "1", "ticket_key": "SUP-1"}
        came = {"digest": "x", "timed": 1, "state": "evaluated", "payload": "{}", "findings": "[]"}
        ended = {"ticket": "{}", "state": "answered", "crashes": 0, "tries": 0}
        with ledger.engine.begin() as connection:
            connection.execute(
                insert(deliveries),
                [
                    {**shared, **came, "id": f"d{n}", "key": f"k{n}", "received_at": at, "due_at": at}
                    for n, at in times
                ],
            )
            rows = [
                {
                    **shared,
                    **ended,
                    "id": f"r{n}{mapping}",
                    "key": f"k{n}",
                    "delivery": f"d{n}",
                    "mapping": mapping,
                    "due_at": at,
                    "created_at": at,
                    "intended_at": at if sent else None,
                }
                for n, at in times
                for mapping in mappings
            ]
            if rows:
                connection.execute(insert(runs), rows)

    return make


def test_runs_are_counted_and_what_fired_together_is_paired(
    ledger: Ledger, clock: Any, made: Callable[..., None]
) -> None:
    made(3, OFFICE, sent=True)
    made(2, OFFICE, TEAMS)
    since = clock.now - timedelta(days=30)
    use = ledger.read(mapping_use.mapping_use, since=since)
    assert dict(use.counts) == {OFFICE: 5, TEAMS: 2}
    assert use.newest == {OFFICE: clock.now, TEAMS: clock.now}
    assert use.together == {(OFFICE, TEAMS): Together(times=2, newest="d1000001")}
    assert use.since == since
    assert ledger.read(mapping_use.last_sent, mappings=(OFFICE, TEAMS, QUIET)) == {OFFICE: clock.now}


def test_what_was_before_is_not_counted(ledger: Ledger, clock: Any, made: Callable[..., None]) -> None:
    made(3, OFFICE)
    use = ledger.read(mapping_use.mapping_use, since=clock.now - timedelta(seconds=1))
    assert dict(use.counts) == {OFFICE: 2}


def test_of_more_runs_than_are_looked_at_it_says_how_far_back_it_looked(
    ledger: Ledger, clock: Any, made: Callable[..., None]
) -> None:
    made(SCANNED + 50, OFFICE)
    use = ledger.read(mapping_use.mapping_use, since=clock.now - timedelta(days=30))
    assert dict(use.counts) == {OFFICE: SCANNED}
    assert use.since == clock.now - timedelta(seconds=SCANNED - 1)


def test_the_newest_deliveries_begin_where_so_many_are_left(
    ledger: Ledger, clock: Any, made: Callable[..., None]
) -> None:
    made(30)
    long_ago = clock.now - timedelta(days=1)
    assert ledger.read(newest_since, since=long_ago, most=31) == long_ago
    since = ledger.read(newest_since, since=long_ago, most=10)
    assert since == clock.now - timedelta(seconds=9)
    assert len(list(stored_since(ledger, since))) == 10
