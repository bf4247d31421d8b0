"""What never arrived is found where a source is asked, once; never what is old or was there before."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.ledger import queries, watches
from bridge.models import RunState, SourceName
from bridge.reconciling import Reconciling
from bridge.sandbox.scenario import jira_fields, servicenow_columns

EVERY = timedelta(minutes=10)
ASKING = {"SOURCES__JIRA__TRUST": "doorbell", "SOURCES__JIRA__RECONCILE": "10m"}
APPROVED = {"status": {"id": "10101", "name": "Approved"}}
APPROVING = {"field": "status", "before": "Waiting for approval", "after": "Approved"}


@pytest.fixture
def asking(door: Any, environ: dict[str, str]) -> Any:
    """A door before a Jira that is asked every ten minutes, after its first round."""
    door.configure(environ, **ASKING)
    door.learn_account("jira")
    door.house.clock.now = datetime.now(UTC) - timedelta(minutes=20)
    reconcile(door)
    door.house.clock.now = datetime.now(UTC)
    return door


def reconcile(door: Any, max_age: timedelta = timedelta(hours=24), most: int = 100) -> None:
    """Let a worker of its own look once whose turn it is."""
    Reconciling(
        ledger=door.ledger,
        connections=lambda: door.house.connections,
        mapping_set=lambda: door.mapping_set,
        judging=door.judging,
        fetching=door.fetching,
        clock=door.house.clock,
        new_id=door.new_id,
        max_age=max_age,
        most=most,
    ).reconcile(threading.Event())


@pytest.fixture
def approve(jira: Any) -> Callable[..., Any]:
    """Make an issue and approve it in silence, some seconds ago."""

    def make(key: str = "SUP-1", seconds_ago: float = 300) -> Any:
        fields = jira_fields(
            devices=("WS-ABC-12345",),
            status="Waiting for approval",
            summary="Word",
            labels=("auto-remediate",),
        )
        issue = jira.call("PUT", "issues", {"key": key, "fields": fields})
        change = {"key": key, "fields": APPROVED, "changes": [APPROVING], "seconds_ago": seconds_ago}
        jira.call("POST", "changes", change)
        return issue

    return make


def ring(door: Any, issue: Any) -> None:
    """Let the webhook of an issue come, and be judged."""
    door.send({"issue": {"id": issue["id"], "key": issue["key"]}})
    door.catch_up(lambda: not door.pending())


def reads(jira: Any) -> int:
    return sum("/issue/" in seen["path"] and "/comment" not in seen["path"] for seen in jira.requests())


def test_what_never_arrived_runs_once_and_says_that_no_webhook_brought_it(asking, approve):
    approve()
    reconcile(asking)
    (run,) = asking.runs()
    (line,) = asking.deliveries()
    assert (run.state, run.delivery, line.recovered) == (RunState.QUEUED, line.id, True)
    asking.house.later(minutes=10)
    reconcile(asking)
    assert len(asking.runs()) == len(asking.deliveries()) == 1


def test_a1_what_did_arrive_is_served_already_and_leaves_no_second_trace(asking, approve):
    ring(asking, approve())
    reconcile(asking)
    assert len(asking.runs()) == len(asking.deliveries()) == 1


def test_a1_the_webhook_that_comes_after_all_makes_no_second_run(asking, approve):
    issue = approve()
    reconcile(asking)
    ring(asking, issue)
    assert len(asking.runs()) == 1
    assert sorted(line.recovered for line in asking.deliveries()) == [False, True]


@pytest.mark.parametrize("waits", [False, True])
def test_what_asked_for_nothing_when_it_rang_is_not_held_against_mappings_of_now(
    asking, approve, jira, waits
):
    issue = approve()
    now = asking.mapping_set
    asking.mapping_set = replace(now, mappings=(), by_event={})
    ring(asking, issue)
    asking.mapping_set = now
    if waits:
        jira.fault("status", status=503, path=f"*/issue/{issue['id']}", times=1)
    reconcile(asking)
    asking.catch_up(lambda: not asking.pending())
    assert asking.runs() == []
    again = {"key": "SUP-1", "fields": APPROVED, "changes": [APPROVING], "seconds_ago": 60}
    jira.call("POST", "changes", again)
    asking.house.later(minutes=10)
    reconcile(asking)
    assert len(asking.runs()) == 1


def test_what_changed_before_a_source_was_first_asked_is_not_begun(door, environ, approve):
    door.configure(environ, **ASKING)
    door.learn_account("jira")
    approve()
    reconcile(door)
    assert door.runs() == []


def test_what_is_older_than_max_age_is_not_recovered(asking, approve):
    approve(seconds_ago=600)
    reconcile(asking, max_age=timedelta(minutes=5))
    assert asking.runs() == []


def test_what_changed_a_moment_ago_is_left_to_its_webhook_until_a_later_round(asking, approve, jira):
    approve(seconds_ago=0)
    reconcile(asking)
    assert (asking.runs(), reads(jira)) == ([], 0)
    asking.house.later(minutes=10)
    reconcile(asking)
    assert len(asking.runs()) == 1


def test_a_source_without_an_active_mapping_is_not_asked(asking, approve, jira, mapping_set):
    approve()
    asking.mapping_set = mapping_set("shadow")
    before = len(jira.requests())
    reconcile(asking)
    assert len(jira.requests()) == before


def test_one_worker_at_a_time_has_the_turn_of_a_source(asking, ledger):
    jira = SourceName("jira")
    turns = [ledger.write(watches.take_turn, source=jira, every=EVERY) for _ in range(3)]
    assert [turn is not None for turn in turns] == [True, False, False]
    asking.house.later(minutes=10)
    assert ledger.write(watches.take_turn, source=jira, every=EVERY) is not None


def test_a_system_that_does_not_answer_is_asked_again_for_all_since_the_last_time(asking, approve, jira):
    approve()
    jira.fault("status", status=503, path="*/search*", times=1)
    reconcile(asking)
    assert asking.runs() == []
    asking.house.later(minutes=10)
    reconcile(asking)
    assert len(asking.runs()) == 1


def test_a_ticket_that_cannot_be_read_in_its_round_waits_like_one_that_rang(asking, approve, jira):
    issue = approve()
    jira.fault("status", status=503, path=f"*/issue/{issue['id']}", times=1)
    reconcile(asking)
    (line,) = asking.pending()
    assert (line.ticket_key, line.recovered) == ("SUP-1", True)
    asking.catch_up(lambda: not asking.pending())
    assert len(asking.runs()) == 1


def test_a_round_is_bounded_and_the_next_goes_on_where_it_ended(asking, approve, jira):
    for number in range(5):
        approve(f"SUP-{number + 1}", seconds_ago=600 - number)
    before = reads(jira)
    reconcile(asking, most=3)
    assert reads(jira) - before == 3
    asking.house.later(minutes=10)
    reconcile(asking, most=3)
    assert len(asking.runs()) == 5


def test_a_ticket_whose_text_no_ledger_can_hold_keeps_no_other_waiting(asking, approve, jira):
    approve("SUP-1", seconds_ago=400)
    fields = {"customfield_10088": [{"label": "WS\\x00X"}]}
    jira.call("POST", "changes", {"key": "SUP-1", "fields": fields, "changes": [], "seconds_ago": 400})
    approve("SUP-2", seconds_ago=300)
    reconcile(asking)
    assert "SUP-2" in [run.ticket.key for run in asking.runs()]


@pytest.mark.parametrize(("later", "runs"), [(False, 1), (True, 0)])
def test_an_old_change_is_not_held_against_a_ticket_that_has_become_another(
    asking, approve, jira, later, runs
):
    approve(seconds_ago=900)
    if later:
        change = {"field": "labels", "before": "", "after": "auto-remediate"}
        order = {"key": "SUP-1", "fields": {"labels": ["auto-remediate"]}, "changes": [change]}
        jira.call("POST", "changes", order | {"seconds_ago": 60})
    reconcile(asking)
    assert len(asking.runs()) == runs


def test_a_record_whose_webhook_servicenow_lost_is_found(door, environ, servicenow):
    ours = {"TRUST": "doorbell", "RECONCILE": "10m", "HISTORY": "sys_audit"}
    door.configure(environ, **{f"SOURCES__SERVICENOW__{name}": value for name, value in ours.items()})
    door.learn_account("servicenow")
    door.house.clock.now = datetime.now(UTC) - timedelta(minutes=20)
    reconcile(door)
    door.house.clock.now = datetime.now(UTC)
    columns = servicenow_columns(
        number="INC0000001", device="WS-ABC-12345", state=("1", "New"), summary="Word", table="incident"
    )
    servicenow.call("PUT", "records", {"table": "incident", "columns": columns})
    taken = {"state": {"value": "2", "display": "In Progress"}}
    order = {"table": "incident", "number": "INC0000001", "columns": taken, "seconds_ago": 60}
    servicenow.call("POST", "changes", order)
    door.house.later(minutes=1)
    reconcile(door)
    (run,) = door.runs()
    assert (run.mapping, run.plan.devices) == ("office-repair-for-incident", ("WS-ABC-12345",))
    assert [line.recovered for line in door.deliveries()] == [True]
    figures = door.ledger.read(queries.figures)
    (total,) = [each for each in figures.totals if each.label == "recovered"]
    assert (total.name, total.count) == ("servicenow", 1)
