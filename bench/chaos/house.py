"""The house of a bridge that is tried: mappings for every kind of Jira source, a catalogue, settings.

It must not start anything.
"""

import json
import shutil
from pathlib import Path

from bridge.sandbox import credentials as known
from bridge.sandbox.jira.webhooks import Flavour
from bridge.sandbox.running import Sandbox

ROOT = Path(__file__).resolve().parents[2]
# The beat of every worker here: a session that stands still is dead after six of them.
BEAT_SECONDS = 0.2
JIRA_SOURCES = ("jira", "datacenter", "automation", "desk")
FLAVOURS = {
    "jira": Flavour.CLOUD,
    "desk": Flavour.CLOUD,
    "datacenter": Flavour.DATACENTER,
    "automation": Flavour.AUTOMATION,
}
# One portal under two names; of the second no device is looked up.
PORTALS = ("MAIN", "DIRECT")
# What a ticket's label asks for: the action of the catalogue, how its devices are named, and the mode.
LABELS = {
    "repair": ("repair-office", "name", "live"),
    "inventory": ("collect-inventory", "name", "live"),
    "direct": ("repair-directly", "uid", "live"),
    "announce": ("repair-office", "name", "announce"),
    "shadow": ("repair-office", "name", "shadow"),
}
# When a call of these actions must be over: the 20 s for the Engines, and the 15 s that the bridge adds.
DEADLINE_SECONDS = 35.0
ACTIONS = """
version: 1
actions:
  repair-office:
    title: Repair Microsoft Office
    uid: 07844969-1889-4de3-9026-020af94be855
    portal: main
    devices: {names: 'WS-[A-Z]{3}-\\d{5}', never: ['WS-VIP-.*']}
    timeout_seconds: 20
    params:
      Mode: {one_of: [silent, prompt, force], default: silent}
      Asked by: {shape: name}
  # Where nobody is asked about devices: such a run is admitted in the transaction that claims it.
  repair-directly:
    title: Repair Microsoft Office, by UID
    uid: 07844969-1889-4de3-9026-020af94be855
    portal: direct
    devices: {names: '.*'}
    timeout_seconds: 20
    params:
      Mode: {one_of: [silent, prompt, force], default: silent}
  install-software:
    title: Install software
    uid: 1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed
    portal: main
    devices: {names: 'WS-[A-Z]{3}-\\d{5}'}
    timeout_seconds: 20
    params:
      Package: {one_of: [7zip, notepadplusplus, vlc], required: true}
      Version: {pattern: '\\d+(\\.\\d+){0,3}'}
  collect-inventory:
    title: Collect inventory
    uid: c0ffee00-0000-4000-8000-000000000001
    portal: main
    devices: {names: 'WS-[A-Z]{3}-\\d{5}'}
    timeout_seconds: 20
"""


def mapping(source: str, label: str) -> str:
    action, by, mode = LABELS[label]
    params = "{Asked by: {from: ticket.person.name}}" if action == "repair-office" else "{}"
    return f"""
  - id: {label}-{source}
    source: {source}
    events: [created, updated]
    when:
      - {{field: ticket.status, equals: Approved}}
      - {{field: ticket.labels, contains: {label}}}
    action: {action}
    devices: {{from: 'fields.customfield_10088[].label', by: {by}}}
    params: {params}
    mode: {mode}
    comment: {{intro: 'Asked by $person.'}}
"""


def mapping_test(source: str) -> str:
    return f"""
  - name: a ticket of {source} without one of our labels runs nothing
    source: {source}
    payload: samples/jira-approved.json
    expect: []
"""


def environment(sandbox: Sandbox, folder: Path, database_url: str, port: int) -> dict[str, str]:
    """Settings of a bridge with every kind of source; all secrets are the sandbox's made-up ones."""
    signed = {"VERIFY": "hmac", "SECRETS": json.dumps([known.JIRA_WEBHOOK_SECRET])}
    cloud = {"USERNAME": known.JIRA_CLOUD_USERNAME, "TOKEN": known.JIRA_CLOUD_TOKEN}
    jira = {"KIND": "jira", "BASE_URL": sandbox.jira_url}
    sources = {
        "JIRA": {**jira, **signed, **cloud},
        "DESK": {**jira, **signed, **cloud, "INTERNAL_COMMENTS": "jsm"},
        "DATACENTER": {
            **jira,
            **signed,
            "DEPLOYMENT": "datacenter",
            "USERNAME": known.JIRA_DATACENTER_USERNAME,
            "PASSWORD": known.JIRA_DATACENTER_PASSWORD,
        },
        "AUTOMATION": {
            **jira,
            **cloud,
            "VERIFY": "token",
            "SECRETS": json.dumps([known.JIRA_AUTOMATION_TOKEN]),
        },
        "SERVICENOW": {
            "KIND": "servicenow",
            "BASE_URL": sandbox.servicenow_url,
            "VERIFY": "standard",
            "SECRETS": json.dumps([known.SERVICENOW_WEBHOOK_SECRET]),
            "USERNAME": known.SERVICENOW_USERNAME,
            "PASSWORD": known.SERVICENOW_PASSWORD,
        },
    }
    portal = {
        "BASE_URL": sandbox.nexthink_url,
        "USERNAME": known.NEXTHINK_USERNAME,
        "PASSWORD": known.NEXTHINK_PASSWORD,
        # Either may have every sender: it is one portal under two names.
        "MAX_IN_FLIGHT": "2000",
    }
    return {
        "BRIDGE_DATABASE_URL": database_url,
        "BRIDGE_MAPPINGS": str(folder / "mappings"),
        "BRIDGE_BIND": f"127.0.0.1:{port}",
        "BRIDGE_WEB_WORKERS": "1",
        "BRIDGE_BEAT_SECONDS": str(BEAT_SECONDS),
        "BRIDGE_CONSOLE": "open",
        "BRIDGE_PER_HOUR": "1000000",
        "BRIDGE_PAUSE_FILE": str(folder / "pause"),
        **{
            f"BRIDGE_PORTALS__{name}__{setting}": value
            for name in PORTALS
            for setting, value in portal.items()
        },
        "BRIDGE_PORTALS__MAIN__NXQL_URL": sandbox.nxql_url,
        **{
            f"BRIDGE_SOURCES__{name}__{setting}": value
            for name, settings in sources.items()
            for setting, value in settings.items()
        },
    }


def furnish(folder: Path) -> None:
    """Write the mappings and their catalogue into a folder."""
    mappings = folder / "mappings"
    mappings.mkdir()
    (mappings / "actions.yaml").write_text(ACTIONS)
    every = "".join(mapping(source, label) for source in JIRA_SOURCES for label in LABELS)
    tests = "".join(map(mapping_test, JIRA_SOURCES))
    (mappings / "journeys.yaml").write_text(f"version: 1\nmappings:\n{every}\ntests:\n{tests}")
    shutil.copytree(ROOT / "mappings" / "samples", mappings / "samples")
    for name in ("servicenow-incident.yaml", "servicenow-request-item.yaml"):
        shutil.copy(ROOT / "mappings" / name, mappings)
