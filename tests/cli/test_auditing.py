"""`bridge audit`: what people and programs see of the evidence."""

import json

import pytest
from sqlalchemy import update

from bridge.evidence import Sealing
from bridge.ledger.tables import audit


def happen(opened, event, about):
    opened.ledger.write(lambda tx: tx.audit(event, about=about, by="Ada Example"))


@pytest.fixture
def sealed(home):
    """A home whose audit is sealed; the run that it tells of."""
    with home.ledger() as opened:
        happen(opened, "delivery_accepted", "d1")
        happen(opened, "queued", "r1")
        Sealing(ledger=opened.ledger).seal()
    return "r1"


def test_a_whole_audit_passes_and_names_its_head(home, sealed):
    shown = home.run("audit", "verify").stdout
    assert "faults: 0" in shown
    head = home.json("audit", "head")["chain"]
    assert f": {head}" in shown
    assert head in home.run("audit", "head").stdout
    home.run("audit", "verify", "--head", head)
    other = home.run("audit", "verify", "--head", "0" * 64, code=1).stdout
    assert f"the head {'0' * 64} is not in this chain" in other


def test_a_changed_row_ends_with_1_and_names_the_segment(home, sealed):
    with home.ledger() as ledger:
        ledger.ledger.write(
            lambda tx: tx.connection.execute(update(audit).where(audit.c.id == 2).values(about="x"))
        )
    assert "segment 1: a row was changed among 1-" in home.run("audit", "verify", code=1).stdout
    assert home.json("audit", "verify", code=1)["faults"][0]["segment"] == 1


def test_rows_without_a_seal_are_told(home, sealed):
    with home.ledger() as opened:
        happen(opened, "answered", sealed)
    assert "rows are not sealed yet, the oldest from 20" in home.run("audit", "verify").stdout


def test_an_export_is_lines_of_json(home, sealed):
    lines = [json.loads(line) for line in home.run("audit", "export").stdout.splitlines()]
    assert {line["event"] for line in lines if "row" in line} >= {"delivery_accepted", "queued"}
    assert lines[-1]["seal"] == 1
    of_run = [json.loads(line) for line in home.run("audit", "export", "--run", sealed).stdout.splitlines()]
    assert {line["about"] for line in of_run if "row" in line} == {sealed}
    assert home.run("audit", "export", "--until", "2020-01-01").stdout == ""
    home.run("audit", "export", "--since", "yesterday", code=2)


def test_a_run_that_the_audit_does_not_know_is_told(home, sealed):
    refused = home.run("audit", "export", "--run", "nope", code=1)
    assert refused.stdout == ""
    assert "the audit has nothing about nope (see `bridge runs`" in refused.stderr
    assert home.run("audit", "export", "--run", sealed, "--until", "2020-01-01").stdout == ""


@pytest.mark.parametrize("head", ["", "41781b4eed76", "0" * 63 + "g", "0" * 65])
def test_a_head_that_is_no_whole_hash_is_wrong_usage_and_no_fault(home, sealed, head):
    assert "64 hex digits" in home.run("audit", "verify", "--head", head, code=2).stderr


def test_a_ledger_without_a_seal_says_so(home):
    home.migrate()
    assert "nothing is sealed yet" in home.run("audit", "head", code=1).stderr
