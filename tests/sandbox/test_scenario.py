"""The tickets of the demo have the shape of the shipped samples, and the documentation names what exists."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.sandbox import credentials as known
from bridge.sandbox import scenario
from bridge.sandbox.client import NexthinkControl, SandboxError, wait_for
from bridge.sandbox.faults import FaultKind
from bridge.sandbox.jira import app as jira_app
from bridge.sandbox.jira.webhooks import Flavour
from bridge.sandbox.nexthink import app as nexthink
from bridge.sandbox.nexthink.world import default_world
from bridge.sandbox.sending import Sender
from bridge.sandbox.servicenow import app as servicenow_app

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "mappings" / "samples"
DOC = ROOT / "docs" / "sandbox.md"


def keys(document, prefix=""):
    """Return every path of a document, without list positions."""
    if isinstance(document, list):
        return {path for entry in document for path in keys(entry, prefix + "[]")}
    if not isinstance(document, dict):
        return {prefix}
    return {path for name, value in document.items() for path in keys(value, f"{prefix}.{name}")}


def arrived(receiver):
    ((_, _, body),) = receiver.seen
    return json.loads(body)


def sample(name):
    return json.loads((SAMPLES / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("make", "sample_name"),
    [
        (scenario.jira_ticket, "jira-approved.json"),
        (scenario.jira_teams_ticket, "jira-teams-cache.json"),
    ],
)
def test_an_issue_carries_every_field_of_the_sample(jira, receiver, make, sample_name):
    ticket = make(jira.url, to_url=receiver.url, wait=True)
    event = arrived(receiver)
    assert event["issue"]["key"] == ticket.key
    assert keys(sample(sample_name)) - keys(event) == set()


@pytest.mark.parametrize(
    ("make", "sample_name"),
    [
        (scenario.servicenow_ticket, "servicenow-incident.json"),
        (scenario.servicenow_request_item, "servicenow-request-item.json"),
    ],
)
def test_a_record_carries_every_column_of_the_sample(servicenow, receiver, make, sample_name):
    ticket = make(servicenow.url, to_url=receiver.url, wait=True)
    event = arrived(receiver)
    assert (event["number"], event["sys_id"]) == (ticket.key, ticket.uid)
    wanted = sample(sample_name)
    assert keys(wanted) - keys(event) == set()
    for change in wanted["changes"]:
        assert change["to"] in [sent["to"] for sent in event["changes"]]


def test_every_flavour_of_jira_uses_its_own_secret(jira, receiver):
    for flavour in Flavour:
        scenario.jira_ticket(jira.url, to_url=receiver.url, flavour=flavour, wait=True)
    tokens = [headers.get("authorization") for _, headers, _ in receiver.seen]
    automation = f"Bearer {known.JIRA_AUTOMATION_TOKEN}"
    assert tokens == [None, None, automation, automation]
    reporters = [
        json.loads(body).get("issue", {}).get("fields", {}).get("reporter") for _, _, body in receiver.seen
    ]
    assert reporters[0]["accountId"] == "712020:ada"
    assert reporters[1]["name"] == "ada"


def test_every_action_of_the_shipped_catalogue_exists_here():
    catalogue = (ROOT / "mappings" / "actions.yaml").read_text(encoding="utf-8")
    wanted = {
        line.split("uid:")[1].strip() for line in catalogue.splitlines() if line.strip().startswith("uid:")
    }
    assert (
        wanted - {action.uid for action in default_world().actions if action.manual and action.enabled}
        == set()
    )
    assert wanted


def test_the_documentation_lists_every_fault_and_every_control_route():
    text = DOC.read_text(encoding="utf-8")
    assert [kind for kind in FaultKind if f"| `{kind.value}` |" not in text] == []
    sites = (
        nexthink.create_site(default_world()),
        jira_app.create_site(Sender(), str),
        servicenow_app.create_site(Sender(), str),
    )
    rules = {rule.rule for site in sites for rule in site.app.url_map.iter_rules()}
    control = {rule.split("<")[0].rstrip("/") for rule in rules if rule.startswith("/_sandbox/")}
    assert len(control) > 10
    assert [rule for rule in sorted(control) if rule not in text] == []


def test_every_secret_is_long_enough_for_the_bridge():
    secrets = {
        name: value
        for name, value in vars(known).items()
        if name.endswith(("TOKEN", "PASSWORD", "SECRET", "KEY"))
    }
    assert [name for name, value in secrets.items() if len(value) < 24] == []
    assert secrets


def test_a_sandbox_that_is_not_there_is_named(jira):
    with pytest.raises(SandboxError, match="cannot be reached"):
        NexthinkControl(url="http://127.0.0.1:9").calls()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_its_addresses_and_ends_cleanly(number):
    code = "from bridge.sandbox.running import serve; serve(nexthink_port=0, jira_port=0, servicenow_port=0)"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:
        try:
            lines = [process.stdout.readline().split() for _ in range(4)]
            assert [line[0] for line in lines] == ["Nexthink", "NXQL", "Jira", "ServiceNow"]
            assert wait_for(lambda: NexthinkControl(url=lines[0][1]).world()["engines"])
            process.send_signal(number)
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()
