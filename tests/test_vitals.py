"""What is at hand about the ledger: fresh while it answers, older when it does not, and never waited for."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import Reason
from bridge.ledger import Ledger, in_force, queries, sessions
from bridge.ledger.connecting import open_database
from bridge.ledger.migrating import migrate
from bridge.models import SessionId, SourceName
from bridge.vitals import COMMITTED_WITHIN, UNKNOWN_SOURCE, Vitals

JIRA = SourceName("jira")


class Seconds:
    """A monotonic clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def vitals(ledger: Ledger, seconds: Seconds) -> Iterator[Vitals]:
    made = Vitals(ledger=ledger, sources=lambda: (JIRA,), monotonic=seconds, worker_seconds=30)
    yield made
    made.stop()


def soon(condition: Callable[[], Any], within: float = 10) -> None:
    ends = time.monotonic() + within
    while not condition():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.01)


def test_before_the_start_nothing_is_known_and_nothing_counts_as_committed(ledger: Ledger) -> None:
    vitals = Vitals(ledger=ledger, sources=tuple, monotonic=time.monotonic, worker_seconds=30)
    assert vitals.snapshot() is None
    assert vitals.commit_age() is None
    assert not vitals.commits()


def test_a_snapshot_holds_the_ledgers_figures_and_says_how_old_they_are(
    ledger: Ledger, vitals: Vitals, seconds: Seconds
) -> None:
    ledger.write(in_force.put_fact, name="mapping_set", value="5f3a")
    vitals.start()
    soon(vitals.snapshot)
    snapshot = vitals.snapshot()
    assert snapshot is not None
    assert [fact.value for fact in snapshot.figures.facts] == ["5f3a"]
    assert snapshot.age == 0


def test_a_probe_is_a_row_that_is_really_committed(ledger: Ledger, vitals: Vitals) -> None:
    vitals.start()
    soon(vitals.commits)
    totals = ledger.read(queries.figures).totals
    assert [(each.kind, each.name, each.label) for each in totals] == [("probe", "web", "committed")]


def test_a_worker_counts_while_its_beat_is_fresh_by_the_ledgers_clock(
    ledger: Ledger, vitals: Vitals, clock: Any
) -> None:
    ledger.write(sessions.open_session, session=SessionId("old"), host="a", pid=1)
    clock.move(seconds=31)
    ledger.write(sessions.open_session, session=SessionId("new"), host="b", pid=1)
    ledger.write(sessions.open_session, session=SessionId("ended"), host="b", pid=2)
    ledger.write(sessions.close_session, session=SessionId("ended"))
    vitals.start()
    soon(vitals.snapshot)
    snapshot = vitals.snapshot()
    assert snapshot is not None
    assert snapshot.workers == 1


def test_refusals_are_added_up_in_the_ledger_and_unknown_names_share_one_row(
    ledger: Ledger, vitals: Vitals
) -> None:
    for number in range(1_000):
        vitals.note_refusal(SourceName(f"guess-{number}"), Reason.UNKNOWN_SOURCE)
    assert vitals.note_refusal(JIRA, Reason.BAD_SIGNATURE)
    assert not vitals.note_refusal(JIRA, Reason.BAD_SIGNATURE)
    vitals.start()
    soon(lambda: ledger.read(queries.figures).refused)
    assert vitals.note_refusal(JIRA, Reason.BAD_SIGNATURE), "the first since the others were written"
    vitals.stop()
    refused = ledger.read(queries.figures).refused
    assert {(each.name, each.label): each.count for each in refused} == {
        (UNKNOWN_SOURCE, "unknown_source"): 1_000,
        ("jira", "bad_signature"): 3,
    }


def test_while_the_database_is_locked_only_the_age_grows_and_refusals_are_kept(
    tmp_path: Path, clock: Any, seconds: Seconds
) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/bridge.sqlite3")
    migrate(engine)
    ledger = Ledger(engine, clock=clock, write_timeout=0.2)
    vitals = Vitals(ledger=ledger, sources=lambda: (JIRA,), monotonic=seconds, worker_seconds=30)
    vitals.start()
    soon(vitals.commits)
    soon(vitals.snapshot)
    other = sqlite3.connect(tmp_path / "bridge.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    vitals.note_refusal(JIRA, Reason.BAD_SIGNATURE)
    seconds.now += COMMITTED_WITHIN + 1
    asked = time.monotonic()
    assert not vitals.commits()
    assert vitals.snapshot() is not None
    assert time.monotonic() - asked < 0.1
    other.execute("ROLLBACK")
    other.close()
    soon(lambda: ledger.read(queries.figures).refused)
    soon(vitals.commits)
    vitals.stop()
    ledger.stop()
