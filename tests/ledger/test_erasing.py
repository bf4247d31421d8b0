"""One person is erased from what is kept: everywhere, nobody else, and nothing that has not ended."""

import json

import pytest
from sqlalchemy import select

from bridge.erasing import Erased, Erasing
from bridge.errors import Reason
from bridge.ledger import (
    accepting,
    claiming,
    erasing,
    listing,
    outbox,
    pausing,
    people,
    queries,
    sessions,
    verifying,
    working,
)
from bridge.ledger.people import Act
from bridge.ledger.tables import METADATA, audit
from bridge.models import PauseScope, Person, RunState, SessionId, SourceName

ADA = ("ada@example.com", "CORP\\ada", "Ada Example")
ACT = Act(author="officer@host", reason="request 17 of Ada Example")


def erase(ledger, *identifiers):
    return Erasing(ledger=ledger).erase(identifiers or ADA, act=ACT)


@pytest.fixture
def ended(ledger, accept, make_run, make_plan):
    """Accept a run that ended at once, with a plan and a payload that name somebody."""

    def do(run_id, name="Ada Example", payload=None, state=RunState.RECORDED):
        plan = make_plan(asked_by=name, requesters=(Person(id="1", name=name),))
        accept(
            make_run(run_id, plan=plan, state=state, key=run_id),
            payload=payload or {"issue": {"reporter": name}},
        )

    return do


def everything(ledger):
    """Return all that stands in the ledger as one text."""

    def read(tx):
        return " ".join(
            str([tuple(row) for row in tx.connection.execute(select(table))])
            for table in METADATA.tables.values()
        )

    return ledger.read(read)


def test_a_person_is_gone_from_the_whole_ledger_and_others_stay(ledger, ended):
    ended("r1")
    ended("r2", name="Grace Example")
    assert erase(ledger) == Erased(deliveries=("d1",), runs=("r1",), mentions=(), left=())
    stored = everything(ledger)
    assert "Ada" not in stored
    assert "Grace Example" in stored
    assert ledger.read(queries.run_story, run="r1").run.state is RunState.RECORDED
    assert ledger.read(queries.run_story, run="r2").run.plan is not None


def test_looking_changes_nothing(ledger, ended):
    ended("r1")
    before = everything(ledger)
    found = Erasing(ledger=ledger).preview(ADA)
    assert (found.deliveries, found.runs) == (("d1",), ("r1",))
    assert everything(ledger) == before


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.HELD])
def test_a_run_that_has_not_ended_is_left_and_told(ledger, ended, state):
    ended("r1", state=state)
    assert erase(ledger) == Erased(deliveries=(), runs=(), mentions=(), left=("run r1", "delivery d1"))
    story = ledger.read(queries.run_story, run="r1")
    assert story.run.plan.asked_by == "Ada Example"


def test_a_run_that_owes_a_comment_is_left_until_it_is_posted(
    ledger, accept, make_run, make_comment, make_plan
):
    accept(make_run("r1", plan=make_plan(asked_by="Ada Example"), state=RunState.REFUSED))
    (ticket,) = {run.ticket for run in ledger.read(listing.page_of_runs, limit=1).runs}
    ledger.write(outbox.owe, run="r1", ticket=ticket, comment=make_comment("r1"))
    assert "run r1" in erase(ledger).left


def test_who_released_a_run_is_taken_out_of_its_timeline_alone(ledger, ended, accept, make_run):
    accept(make_run("r1", state=RunState.HELD, reason=Reason.LOOP), payload={})
    said = Act(author="ada@example.com", reason="I looked at it")
    ledger.write(people.release, run="r1", reason=Reason.LOOP, waive=False, act=said, comment=None)
    ledger.write(sessions.open_session, session=SessionId("s1"), host="host", pid=1)
    (run,) = ledger.write(
        claiming.claim,
        session=SessionId("s1"),
        allowances=(claiming.Allowance(portal="main", runs=1),),
        configured=("main",),
    )
    ledger.write(
        working.end, run=run, state=RunState.EXPIRED, reason=Reason.TOO_OLD, detail=None, comment=None
    )
    assert erase(ledger) == Erased(deliveries=(), runs=(), mentions=("r1",), left=())
    story = ledger.read(queries.run_story, run="r1")
    assert story.run.plan is not None
    assert [(line.by, line.detail) for line in story.history if line.by] == [("erased", None)]


def test_what_stands_until_somebody_ends_it_is_told(ledger):
    ledger.write(
        pausing.pause,
        scope=PauseScope.SOURCE,
        value=SourceName("jira"),
        reason=Reason.BY_OPERATOR,
        author="ada@example.com",
    )
    assert erase(ledger).left == ("pause source",)


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        ("please ask Ada Example.", True),
        ("ADA EXAMPLE wrote", True),
        ({"reporter": {"emailAddress": "ada@example.com"}}, True),
        ({"login": "CORP\\ada"}, True),
        ({"ada@example.com": 1}, True),
        ("<b>Ada&nbsp;Example</b> or Ada&#32;Example", True),
        ("ada\\@example.com", True),
        ("Adaline Example", False),
        ("nada@example.com", False),
        ("ada@example.com.au", False),
        ({"name": "Example, Ada"}, False),
    ],
)
def test_an_identifier_is_found_as_a_whole(stored, found):
    content = stored if isinstance(stored, str) else json.dumps(stored)
    assert erasing._names(erasing.naming(ADA), content) is found


def test_a_number_is_found_where_it_is_an_identifier():
    assert erasing._names(erasing.naming(["5501"]), json.dumps({"id": 5501}))
    assert not erasing._names(erasing.naming(["5501"]), json.dumps({"id": 15501}))


def test_the_audit_tells_of_it_and_names_nobody(ledger, ended):
    ended("r1")
    erase(ledger)
    rows = ledger.read(lambda tx: tx.connection.execute(select(audit)).all())
    assert [row.event for row in rows].count("person_erased") == len(ADA)
    assert {"run_erased", "delivery_erased"} <= {row.event for row in rows}
    assert "Ada" not in str(rows)
    assert "ada@example.com" not in str(rows)
    assert ledger.read(verifying.verify).faults == ()


def test_more_than_one_portion_is_looked_through(ledger, make_delivery):
    verdict = accepting.Verdict(
        reason=Reason.NO_MAPPING, detail=None, ticket=None, findings=[], mapping_set=None, runs=()
    )

    def fill(tx):
        for number in range(erasing.PORTION + 2):
            delivery = make_delivery(key=f"k{number}", payload={"by": "Ada Example"})
            accepting.accept(tx, delivery_id=f"d{number:05}", delivery=delivery, verdict=verdict)

    ledger.write(fill)
    assert len(erase(ledger).deliveries) == erasing.PORTION + 2
