"""Sources that only ring: whatever a body says, the ticket is read and its history is judged (A1 to A4)."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import Reason
from bridge.judging import Judging
from bridge.ledger import pending, queries
from bridge.ledger.accepting import Verdict
from bridge.mapping import language
from bridge.mapping.language import MappingSet, MappingTexts
from bridge.mapping.reading import LoadContext
from bridge.models import DeliveryState, PortalName, RunState, SourceKind, SourceName
from bridge.sandbox.scenario import jira_fields

ROOT = Path(__file__).resolve().parents[2]
APPROVING = {"field": "status", "before": "Waiting for approval", "after": "Approved"}


@pytest.fixture
def ringing(door: Any, environ: dict[str, str]) -> Any:
    """A door before a Jira that only rings; our account is known."""
    door.configure(environ, SOURCES__JIRA__TRUST="doorbell")
    door.learn_account("jira")
    return door


@pytest.fixture
def issue(jira: Any) -> Callable[..., Any]:
    """Make an issue that waits for approval, created long ago."""

    def make(key: str = "SUP-1") -> Any:
        fields = jira_fields(
            devices=("WS-ABC-12345",),
            status="Waiting for approval",
            summary="Word",
            labels=("auto-remediate",),
        )
        return jira.call("PUT", "issues", {"key": key, "fields": fields})

    return make


def approve(jira: Any, key: str = "SUP-1", **given: Any) -> str:
    change = {"key": key, "fields": {"status": {"id": "10101", "name": "Approved"}}, "changes": [APPROVING]}
    number: str = jira.call("POST", "changes", change | given)["change_id"]
    return number


def ring(about: Any, **more: Any) -> Any:
    return {"issue": {"id": about["id"], "key": about["key"]}} | more


def settle(door: Any) -> None:
    door.catch_up(lambda: not door.pending())


def test_a4_a_ring_is_durable_first_and_the_ticket_is_read_behind_that_line(ringing, issue, jira):
    about = issue()
    number = approve(jira)
    receipt = ringing.send(ring(about))
    assert (receipt.status, receipt.body["status"], receipt.body["runs"]) == (200, "pending", [])
    (line,) = ringing.deliveries()
    assert (line.state, line.ticket_key) == (DeliveryState.PENDING, "SUP-1")
    settle(ringing)
    (run,) = ringing.runs()
    assert (run.mapping, run.key, run.state) == (
        "office-repair-when-approved",
        f"changelog:{number}",
        RunState.QUEUED,
    )
    assert run.plan.devices == ("WS-ABC-12345",)
    (line,) = ringing.deliveries()
    fired = [finding for finding in line.findings if finding["run"]]
    assert [finding["event"] for finding in fired] == [f"updated, changelog:{number}"]


def test_a_forged_body_says_nothing_but_which_ticket_to_look_at(ringing, issue):
    about = issue()
    forged = {
        "webhookEvent": "jira:issue_updated",
        "timestamp": 1,
        "user": {"accountId": "somebody-else"},
        "changelog": {"id": "666", "items": [APPROVING | {"fieldtype": "jira", "toString": "Approved"}]},
        "issue": about | {"fields": {"status": {"name": "Approved"}, "labels": ["auto-remediate"]}},
    }
    ringing.send(forged)
    settle(ringing)
    assert ringing.runs() == []
    (line,) = ringing.deliveries()
    assert line.reason == Reason.NO_MAPPING


def test_two_quick_changes_that_are_both_read_after_the_second_are_both_seen(ringing, issue, jira):
    about = issue()
    first = approve(jira)
    ringing.send(ring(about))
    second = approve(jira)
    ringing.send(ring(about))
    settle(ringing)
    assert {run.key for run in ringing.runs()} == {f"changelog:{first}", f"changelog:{second}"}


def test_a2_looking_again_is_harmless_since_a_change_has_its_one_run(ringing, issue, jira):
    about = issue()
    approve(jira)
    for _ in range(3):
        ringing.send(ring(about))
        settle(ringing)
    assert len(ringing.runs()) == 1
    lines = ringing.deliveries()
    assert sorted(str(line.reason) for line in lines) == ["None", "already_served", "already_served"]
    assert {finding["run"] for line in lines for finding in line.findings if finding["run"]} == {
        run.id for run in ringing.runs()
    }


@pytest.mark.parametrize("seconds_ago", [120, 900])
def test_a3_a_ring_for_our_own_change_starts_nothing_however_late_it_comes(ringing, issue, jira, seconds_ago):
    ringing.mapping_set = _by_state_alone()
    ours = {"accountId": ringing.accounts[SourceName("jira")].id, "displayName": "Bridge", "active": True}
    about = issue()
    approve(jira, seconds_ago=seconds_ago, actor=ours)
    ringing.send(ring(about))
    settle(ringing)
    assert [line.reason for line in ringing.deliveries()] == [Reason.OWN_CHANGE]
    # The same state, but somebody else was the last who changed it.
    approve(jira, seconds_ago=seconds_ago - 60)
    ringing.send(ring(about))
    settle(ringing)
    assert len(ringing.runs()) == 1


def _by_state_alone() -> MappingSet:
    """Load the shipped mapping for Jira, asking only what the ticket is like, not what changed."""
    catalogue, office = (
        (ROOT / "mappings" / name).read_text() for name in ("actions.yaml", "jira-office-repair.yaml")
    )
    office = office.partition("\ntests:")[0].replace("repeat: per_change", "repeat: never")
    office = office.replace("      - field: change.status.to\n        equals: Approved\n", "")
    texts = MappingTexts(catalogue=("actions.yaml", catalogue), mappings=(("office.yaml", office),))
    context = LoadContext(
        sources={SourceName("jira"): SourceKind.JIRA}, portals=(PortalName("main"),), max_devices=25
    )
    loaded = language.load(texts, context)
    assert isinstance(loaded, MappingSet)
    return loaded


class Failing(Judging):
    """Judging that meets something nobody thought of."""

    def of_ticket(self, *_: Any, **__: Any) -> Verdict | None:
        raise ValueError("unforeseen")


def test_a4_what_can_never_be_judged_is_closed_when_every_run_of_it_would_be_too_old(ringing, issue):
    ringing.judging = Failing(
        connections=lambda: ringing.house.connections,
        mapping_set=lambda: ringing.mapping_set,
        accounts=lambda: ringing.accounts,
        new_id=ringing.new_id,
    )
    ringing.send(ring(issue()))
    ringing.house.later(hours=25)
    settle(ringing)
    (line,) = ringing.deliveries()
    assert (line.state, line.reason) == (DeliveryState.EVALUATED, Reason.TICKET_NOT_READ)


def test_a1_the_same_bytes_a_second_time_are_another_ring_and_lead_to_another_look(ringing, issue, jira):
    about = issue()
    ringing.send(ring(about))
    settle(ringing)
    assert ringing.runs() == []
    number = approve(jira)
    assert ringing.send(ring(about)).body["status"] == "pending"
    settle(ringing)
    assert [run.key for run in ringing.runs()] == [f"changelog:{number}"]


def test_rings_that_wait_together_are_served_by_one_look_that_begins_after_them(ringing, issue, jira):
    about = issue()
    approve(jira)
    for _ in range(8):
        ringing.send(ring(about))
    settle(ringing)
    reads = [seen for seen in jira.requests() if seen["path"].endswith(f"/issue/{about['id']}")]
    assert (len(ringing.deliveries()), len(ringing.runs())) == (8, 1)
    assert len(reads) == 1


def test_a3_our_own_changes_and_comments_are_ignored_though_others_ring_for_them(ringing, issue, jira):
    about = issue()
    us = {"accountId": ringing.accounts[SourceName("jira")].id, "displayName": "Bridge"}
    approve(jira, actor=us, comment="done")
    ringing.send(ring(about))
    settle(ringing)
    (line,) = ringing.deliveries()
    assert (line.reason, ringing.runs()) == (Reason.OWN_CHANGE, [])


def test_a3_a_ring_waits_until_our_account_is_known(ringing, issue, jira):
    about = issue()
    approve(jira)
    known, ringing.accounts = ringing.accounts, {}
    ringing.send(ring(about))
    ringing.catch_up(lambda: any(seen["path"].endswith("/myself") for seen in jira.requests()))
    assert len(ringing.pending()) == 1
    ringing.accounts = known
    ringing.house.later(minutes=6)
    settle(ringing)
    assert len(ringing.runs()) == 1


def test_a_ticket_that_cannot_be_read_is_tried_again_with_growing_waits(ringing, issue, jira):
    about = issue()
    approve(jira)
    jira.fault("status", status=503, path=f"*/issue/{about['id']}", times=2)
    ringing.send(ring(about))

    def failed() -> int:
        figures = ringing.ledger.read(queries.figures)
        return sum(each.count for each in figures.totals if (each.kind, each.name) == ("read", "jira"))

    ringing.catch_up(lambda: failed() == 1)
    ringing.house.later(seconds=4)
    assert ringing.ledger.read(pending.due_sources, sources=(SourceName("jira"),)) == ()
    ringing.house.later(seconds=2)
    ringing.catch_up(lambda: failed() == 2)
    ringing.house.later(seconds=6)
    assert ringing.ledger.read(pending.due_sources, sources=(SourceName("jira"),)) == ()
    ringing.house.later(seconds=5)
    settle(ringing)
    assert len(ringing.runs()) == 1


def test_a_ticket_that_is_gone_closes_its_ring_with_the_reason_but_not_at_once(ringing, issue, jira):
    about = issue()
    jira.call("DELETE", f"issues/{about['key']}")
    ringing.send(ring(about))
    ringing.catch_up(lambda: any(f"/issue/{about['id']}" in seen["path"] for seen in jira.requests()))
    assert len(ringing.pending()) == 1
    ringing.house.later(minutes=3)
    settle(ringing)
    (line,) = ringing.deliveries()
    assert line.reason == Reason.TICKET_NOT_READ
    assert line.detail


def test_a_ticket_that_stays_unreadable_is_given_up_when_every_run_would_be_too_old(ringing, issue, jira):
    about = issue()
    jira.fault("status", status=503, path=f"*/issue/{about['id']}", times=50)
    ringing.send(ring(about))
    ringing.house.later(hours=24)
    settle(ringing)
    (line,) = ringing.deliveries()
    assert line.reason == Reason.TICKET_NOT_READ


def test_a_believed_webhook_with_fetch_keeps_its_event_and_gets_the_ticket_as_it_is(
    door, environ, issue, jira
):
    door.configure(environ, SOURCES__JIRA__FETCH="on")
    about = issue()
    approve(jira)
    payload = {
        "webhookEvent": "jira:issue_updated",
        "timestamp": int(door.house.clock().timestamp() * 1000),
        "user": {"accountId": "712020:ada", "displayName": "Ada"},
        "changelog": {
            "id": "990001",
            "items": [{"field": "status", "fieldtype": "jira", "toString": "Approved"}],
        },
        "issue": {"id": about["id"], "key": about["key"], "fields": {"status": {"name": "Stale"}}},
    }
    assert door.send(payload, identifier="one").body["status"] == "pending"
    assert door.send(payload, identifier="one").body["status"] == "duplicate"
    settle(door)
    (run,) = door.runs()
    assert run.key == "changelog:990001"
    assert run.plan.devices == ("WS-ABC-12345",)


# ── how old an event is ──────────────────────────────────────────────────────────────────────────────────


def aged(door: Any, sample: str, **by: float) -> datetime:
    """Send a sample whose time is off by something; return the time that its run counts from."""
    payload = json.loads(sample)
    payload["timestamp"] = int((door.house.clock() + timedelta(**by)).timestamp() * 1000)
    door.send(payload)
    (run,) = door.runs()
    moment: datetime = run.plan.occurred_at
    return moment


@pytest.fixture
def approved() -> str:
    return (ROOT / "mappings" / "samples" / "jira-approved.json").read_text()


@pytest.mark.parametrize(("by", "counts"), [(-6, -6), (-60, -60), (6, 0), (60, 0)])
def test_too_old_counts_from_the_signed_time_of_the_sender_at_most_from_receipt(door, approved, by, counts):
    now = door.house.clock().replace(microsecond=0)
    door.house.clock.now = now
    assert aged(door, approved, minutes=by) == now + timedelta(minutes=counts)


@pytest.mark.parametrize("by", [-6000, -6, 6, 6000])
def test_too_old_counts_from_receipt_where_the_time_is_not_signed(door, environ, approved, by):
    door.configure(environ, SOURCES__JIRA__VERIFY="token", SOURCES__JIRA__TRUST="payload")
    assert aged(door, approved, minutes=by) == door.house.clock()
