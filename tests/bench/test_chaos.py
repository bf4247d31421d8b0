"""The campaign in its short form: killed at random, on SQLite and PostgreSQL, with a new seed every time."""

import time

import pytest

from bench.chaos.campaign import Round, play
from bench.chaos.faults import FAULTS


@pytest.mark.journey
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_whatever_is_killed_when_both_promises_hold(database: str) -> None:
    seed = time.time_ns() % 1_000_000
    print("seed", seed)
    what = Round(fault=FAULTS["kill"], database=database, workers=2, seed=seed, seconds=6)
    outcome = play(what)
    print(dict(outcome.did), outcome.finding.runs)
    assert outcome.breaches == ()
    assert outcome.did["kill -9 web"] + outcome.did["kill -9 worker"] >= 1
