"""The accepting rules A1 to A4 through receiving: signed requests, shipped mappings, a real ledger."""

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bridge import bootstrap
from bridge.errors import Reason, WebhookRefused
from bridge.ledger import in_force
from bridge.models import (
    DeliveryState,
    RunState,
    SourceName,
    TicketRef,
    WebhookRequest,
    WriteBack,
)
from bridge.sandbox.client import wait_for
from bridge.settings import read_settings

ROOT = Path(__file__).resolve().parents[2]


def sample(name: str, **issue: Any) -> Any:
    payload = json.loads((ROOT / "mappings" / "samples" / f"{name}.json").read_text())
    payload["timestamp"] = time.time_ns() // 1_000_000
    payload["issue"].update(issue)
    return payload


def test_a1_the_same_event_however_often_and_concurrently_makes_one_delivery_and_one_run(door):
    payload = sample("jira-approved")
    with ThreadPoolExecutor(20) as senders:
        receipts = list(senders.map(lambda _: door.send(payload, identifier="the-same"), range(20)))
    assert [receipt.status for receipt in receipts] == [200] * 20
    assert sorted(receipt.body["status"] for receipt in receipts) == ["accepted"] + ["duplicate"] * 19
    assert len(door.runs()) == 1


def test_a1_another_identifier_with_the_same_change_is_another_delivery_and_no_second_run(door):
    payload = sample("jira-approved")
    assert len(door.send(payload).body["runs"]) == 1
    replayed = door.send(payload)
    assert (replayed.body["reason"], replayed.body["runs"]) == (Reason.ALREADY_SERVED, [])
    assert len(door.runs()) == 1


def test_a1_what_could_not_be_committed_is_answered_503_and_taken_when_it_comes_again(
    door, open_door, impatient, locked
):
    hasty = open_door(door.house, door.mapping_set, over=impatient)
    payload = sample("jira-approved")
    with locked(), pytest.raises(WebhookRefused) as refused:
        hasty.send(payload, identifier="tried-twice")
    assert (refused.value.status, refused.value.reason) == (503, Reason.LEDGER_UNAVAILABLE)
    wait_for(lambda: impatient.write(lambda tx: True))
    assert door.send(payload, identifier="tried-twice").status == 200
    assert len(door.runs()) == 1


def test_a1_a_signature_that_is_not_ours_leaves_no_trace(door):
    request = WebhookRequest(
        source=SourceName("jira"),
        headers=(("content-type", "application/json"), ("x-hub-signature", "sha256=" + "0" * 64)),
        body=json.dumps(sample("jira-approved")).encode(),
        received_at=datetime.now(UTC),
    )
    with pytest.raises(WebhookRefused) as refused:
        door.receiving.receive(request)
    assert refused.value.status == 401
    assert door.deliveries() == []


def test_a2_never_means_one_run_for_a_ticket_and_mapping_whatever_happens_to_it_later(door):
    assert len(door.send(sample("jira-teams-cache")).body["runs"]) == 1
    assert door.send(sample("jira-teams-cache")).body["runs"] == []
    other = sample("jira-teams-cache", id="99001", key="SUP-99001")
    assert len(door.send(other).body["runs"]) == 1


def test_a2_per_change_means_one_run_for_each_change(door):
    first, second = sample("jira-approved"), sample("jira-approved")
    second["changelog"]["id"] = "990001"
    assert len(door.send(first).body["runs"]) == 1
    assert len(door.send(second).body["runs"]) == 1
    assert len(door.send(second).body["runs"]) == 0


def test_a3_the_fourth_change_in_an_hour_is_held(door):
    for number in range(4):
        payload = sample("jira-approved")
        payload["changelog"]["id"] = f"99000{number}"
        door.send(payload)
    assert sorted(run.state for run in door.runs()) == [RunState.HELD, *[RunState.QUEUED] * 3]
    (held,) = door.runs(RunState.HELD)
    assert held.reason is Reason.LOOP


def test_a3_our_own_changes_are_ignored_before_any_rule(door):
    payload = sample("jira-approved")
    payload["user"] = {"accountId": door.us.id, "displayName": "Nexthink bridge"}
    receipt = door.send(payload)
    assert (receipt.body["status"], receipt.body["reason"]) == ("ignored", Reason.OWN_CHANGE)
    assert door.runs() == []


def quoting(payload):
    payload["comment"] = {
        "id": "77",
        "body": "quoted:\nbridge-r0123456789ab-answered-1-0a1b2c3d",
        "author": payload["user"],
    }
    return payload


def test_a3_a_person_who_quotes_our_marker_is_still_that_person(door):
    assert door.send(quoting(sample("jira-approved"))).body["status"] == "accepted"
    assert [run.mapping for run in door.runs()] == ["office-repair-when-approved"]


def test_a3_our_marker_in_a_comment_is_ours_where_nobody_says_who_wrote_it(door):
    payload = quoting(sample("jira-approved"))
    del payload["user"]
    del payload["comment"]["author"]
    assert door.send(payload).body["reason"] == Reason.OWN_CHANGE


def test_a3_an_update_waits_until_our_account_is_known_and_a_new_ticket_does_not(door):
    door.accounts = {}
    assert door.send(sample("jira-approved")).body["status"] == "pending"
    assert door.send(sample("jira-teams-cache")).body["status"] == "accepted"
    assert [run.mapping for run in door.runs()] == ["teams-cache-when-chosen"]


def test_a4_a_worker_asks_who_we_are_and_judges_what_had_to_wait_by_the_same_rules(door):
    door.accounts = {}
    door.send(sample("jira-approved"))
    door.catch_up(lambda: SourceName("jira") in door.ledger.read(in_force.own_accounts))
    assert [line.state for line in door.deliveries()] == [DeliveryState.PENDING]
    door.accounts = door.ledger.read(in_force.own_accounts)
    door.house.later(seconds=3)
    door.catch_up(door.runs)
    (line,) = door.deliveries()
    assert line.state is DeliveryState.EVALUATED
    assert line.mapping_set == door.mapping_set.hash
    assert [run.state for run in door.runs()] == [RunState.QUEUED]


def test_a4_a_ticket_system_that_does_not_say_who_we_are_keeps_its_updates_waiting(door, jira):
    door.accounts = {}
    jira.fault("status", status=503, path="*/myself", times=50)
    door.send(sample("jira-approved"))
    door.catch_up(lambda: any(seen["path"].endswith("/myself") for seen in jira.requests()))
    assert [line.state for line in door.deliveries()] == [DeliveryState.PENDING]
    assert door.runs() == []


def test_a5_without_a_mapping_set_everything_waits(door, mapping_set):
    accepted, door.mapping_set = door.mapping_set, None
    assert door.send(sample("jira-teams-cache")).body["status"] == "pending"
    door.mapping_set = accepted
    door.house.later(seconds=3)
    door.catch_up(door.runs)
    assert [run.plan.mapping_set for run in door.runs()] == [accepted.hash]


@pytest.mark.parametrize(
    ("mode", "reason", "occasions"),
    [("shadow", Reason.SHADOW, []), ("announce", Reason.ANNOUNCED, ["announced"])],
)
def test_a_mapping_that_is_not_live_queues_nothing(
    open_door, house, mapping_set, clock, mode, reason, occasions
):
    clock.now = datetime.now(UTC)
    door = open_door(house(), mapping_set(mode))
    door.send(sample("jira-approved"))
    (run,) = door.runs()
    assert (run.state, run.reason) == (RunState.RECORDED, reason)
    assert door.house.occasions(run.id) == occasions
    assert door.house.claim() == ()


@pytest.mark.parametrize(("mode", "occasions"), [("live", ["refused"]), ("shadow", [])])
def test_a_ticket_that_cannot_be_planned_is_told_once_and_in_shadow_not_at_all(
    open_door, house, mapping_set, clock, mode, occasions
):
    clock.now = datetime.now(UTC)
    door = open_door(house(), mapping_set(mode))
    first = door.send(sample("jira-approved-vip"))
    again = door.send(sample("jira-approved-vip"))
    (run,) = door.runs()
    assert (run.state, run.reason) == (RunState.REFUSED, Reason.DEVICE_REFUSED)
    assert (len(first.body["runs"]), again.body["runs"]) == (1, [])
    assert door.house.occasions(run.id) == occasions


def test_what_no_mapping_asks_for_is_kept_with_the_conditions_that_failed(door):
    receipt = door.send(sample("jira-in-progress"))
    assert (receipt.body["status"], receipt.body["reason"]) == ("ignored", Reason.NO_MAPPING)
    (line,) = door.deliveries()
    assert {finding["outcome"] for finding in line.findings} == {"missed"}
    assert any(finding["conditions"] for finding in line.findings)


# ── after an outcome ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def with_after(environ: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """Accept the shipped mappings, the office repair changing its ticket after it was refused."""

    def accept(mode: str) -> Any:
        folder = tmp_path / f"after-{mode}"
        shutil.copytree(ROOT / "mappings", folder)
        file = folder / "jira-office-repair.yaml"
        after = f"    mode: {mode}\n    after: {{refused: {{label: bridge-refused}}}}\n"
        file.write_text(file.read_text().replace("    mode: live\n", after, 1))
        result = bootstrap.check_files(read_settings({**environ, "BRIDGE_MAPPINGS": str(folder)}))
        assert result.problems == ()
        return result.mapping_set

    return accept


@pytest.mark.parametrize(
    ("mode", "owed"), [("live", ["refused", "after"]), ("announce", ["refused"]), ("shadow", [])]
)
def test_a_ticket_that_cannot_be_planned_is_changed_after_its_refusal_by_a_live_mapping_only(
    door, with_after, mode, owed
):
    door.mapping_set = with_after(mode)
    (run,) = door.send(sample("jira-approved-vip")).body["runs"]
    assert door.house.state(run) is RunState.REFUSED
    assert door.house.occasions(run) == owed


def test_a3_the_change_that_we_make_after_an_outcome_starts_nothing(door, house, jira, clock):
    fields = sample("jira-approved")["issue"]["fields"] | {"status": {"id": "10102", "name": "In Progress"}}
    issue = jira.call("PUT", "issues", {"key": "SUP-900", "fields": fields})
    ticket = TicketRef(source=SourceName("jira"), uid=issue["id"], key="SUP-900")
    jira.register(url="http://127.0.0.1:1/", retry_waits=[])
    mine = door.house
    mine.numbers = count(1_000)  # apart from the identifiers of the door
    after = (WriteBack(outcome=RunState.ANSWERED, state="Approved"),)
    mine.ask(ticket=ticket, after=after)
    mine.work()
    mine.post()

    def told() -> list[Any]:
        sent = [json.loads(each["body"]) for each in jira.deliveries()]
        return [event for event in sent if "changelog" in event]

    (event,) = wait_for(told)
    before = len(door.runs())
    receipt = door.send(event)
    assert (receipt.body["reason"], receipt.body["runs"]) == (Reason.OWN_CHANGE, [])
    # Had somebody else made it, the shipped mapping would send.
    event["user"]["accountId"] = "712020:bo"
    event["user"].pop("emailAddress")
    assert len(door.send(event).body["runs"]) == 1
    assert len(door.runs()) == before + 1
