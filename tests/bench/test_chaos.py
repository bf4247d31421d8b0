"""The campaign in its short form: killed at random, on SQLite and PostgreSQL, with a new seed every time."""

import re
import time

import pytest

from bench.chaos.campaign import Round, play
from bench.chaos.faults import FAULTS
from bench.chaos.house import ROOT


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


def test_every_fault_has_its_row_in_the_documentation_and_every_row_its_fault() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    section = page.partition("## The campaign\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z][a-z-]+)` \|", section, re.MULTILINE)) == set(FAULTS)
