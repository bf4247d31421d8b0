"""Tickets as a service desk writes them: created in the simulated system, which then calls the bridge.

It must not wait for what the bridge does, and must not know how the bridge works.
"""

from dataclasses import dataclass
from typing import Any

from bridge.sandbox import credentials as known
from bridge.sandbox.client import TicketControl
from bridge.sandbox.jira.webhooks import Flavour

DEVICE = "WS-ABC-12345"
# Cloud names a person by account and without e-mail, Data Center by login.
REQUESTER_DATACENTER = {
    "name": "ada",
    "key": "JIRAUSER10001",
    "emailAddress": "ada@example.com",
    "displayName": "Ada Example",
    "active": True,
}
REQUESTER = {
    "accountId": "712020:ada",
    "accountType": "atlassian",
    "displayName": "Ada Example",
    "active": True,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A ticket that was created: its key or number, its id, and what names the change that was sent."""

    key: str
    uid: str
    change: str | None


def jira_fields(
    *, devices: tuple[str, ...], status: str, summary: str, labels: tuple[str, ...]
) -> dict[str, Any]:
    """Return the fields of an issue of project SUP; the devices stand in a custom field as Assets objects."""
    return {
        "project": {"id": "10000", "key": "SUP", "name": "Support"},
        "issuetype": {"id": "10010", "name": "Service Request"},
        "status": {"id": "10100", "name": status},
        "priority": {"id": "2", "name": "High"},
        "summary": summary,
        "description": "Word closes when I open a mail merge.",
        "labels": list(labels),
        "reporter": REQUESTER,
        "assignee": None,
        "created": "2026-11-02T08:00:00.000+0000",
        "updated": "2026-11-02T08:05:00.000+0000",
        "customfield_10010": {"requestType": {"id": "11", "name": "Repair software"}},
        "customfield_10050": None,
        "customfield_10051": None,
        "customfield_10088": [
            {"id": str(number), "label": name, "value": name} for number, name in enumerate(devices, 1)
        ],
    }


def jira_ticket(
    jira_url: str,
    *,
    to_url: str,
    key: str = "SUP-101",
    devices: tuple[str, ...] = (DEVICE,),
    status: str = "Approved",
    flavour: Flavour = Flavour.CLOUD,
    secret: str = "",
    labels: tuple[str, ...] = ("auto-remediate",),
    summary: str = "Word closes unexpectedly",
    copies: int = 1,
    wait: bool = False,
) -> Ticket:
    """Create an issue, move it to `status`, and make Jira send that to the bridge at `to_url`.

    `secret` empty means the sandbox's own for the flavour.
    """
    control = TicketControl(url=jira_url)
    fields = jira_fields(devices=devices, status="Waiting for approval", summary=summary, labels=labels)
    if flavour is Flavour.DATACENTER:
        fields["reporter"] = REQUESTER_DATACENTER
    issue = control.call("PUT", "issues", {"key": key, "fields": fields})
    change = {"field": "status", "before": "Waiting for approval", "after": status}
    sent = control.webhook(
        kind="issue_updated",
        key=key,
        fields={"status": {"id": "10101", "name": status}},
        changes=[change | {"before_id": "10100", "after_id": "10101"}],
        target=_jira_target(to_url, flavour, secret),
        copies=copies,
        wait=wait,
    )
    return Ticket(key=key, uid=issue["id"], change=sent["change_id"])


def jira_teams_ticket(
    jira_url: str,
    *,
    to_url: str,
    key: str = "SUP-102",
    text: str = f"please clear {DEVICE}",
    flavour: Flavour = Flavour.CLOUD,
    secret: str = "",
    wait: bool = False,
) -> Ticket:
    """Create an issue whose select field asks for a Teams cache to be cleared, and make Jira send that."""
    control = TicketControl(url=jira_url)
    fields = jira_fields(devices=(), status="Open", summary="Teams shows old pictures", labels=())
    address = f"{jira_url}/rest/api/2/customFieldOption/10201"
    choice = {"self": address, "id": "10201", "value": "Clear Teams cache"}
    chosen = {"customfield_10050": choice, "customfield_10051": text}
    issue = control.call("PUT", "issues", {"key": key, "fields": fields | chosen})
    target = _jira_target(to_url, flavour, secret)
    control.webhook(kind="issue_created", key=key, target=target, wait=wait)
    return Ticket(key=key, uid=issue["id"], change=None)


def _jira_target(to_url: str, flavour: Flavour, secret: str) -> dict[str, Any]:
    automation = flavour in {Flavour.AUTOMATION, Flavour.AUTOMATION_JIRA_FORMAT}
    usual = known.JIRA_AUTOMATION_TOKEN if automation else known.JIRA_WEBHOOK_SECRET
    return {"url": to_url, "flavour": flavour.value, "secret": secret or usual}


def servicenow_columns(
    *, number: str, device: str, state: tuple[str, str], summary: str, table: str
) -> dict[str, Any]:
    """Return the columns of a task with its affected item; choices and references carry both values."""
    computer = {
        "value": "affd3c8437201000deeabfc8bcbe5dc3",
        "display": device,
        "reference": "cmdb_ci_computer",
    }
    portal = {
        "value": "5137153cc611227c000bbd1bd8cd2005",
        "display": "Service Portal",
        "reference": "sys_user",
    }
    agent = {"value": "6816f79cc0a8016401c5a33be04be441", "display": "Bo Agent", "reference": "sys_user"}
    person = {"value": "5a5ab0b1c0a8016500000000000000a1", "display": "Ada Example", "reference": "sys_user"}
    asks = "requested_for" if table == "sc_req_item" else "caller_id"
    return {
        "number": {"value": number},
        "short_description": {"value": summary},
        "description": {"value": "Word closes when I open a mail merge."},
        "state": {"value": state[0], "display": state[1]},
        "priority": {"value": "2", "display": "2 - High"},
        "category": {"value": "software", "display": "Software"},
        "cmdb_ci": computer,
        "opened_by": portal,
        "assigned_to": agent,
        asks: person,
        f"{asks}.email": {"value": "ada@example.com"},
        f"{asks}.user_name": {"value": "ada"},
    }


def servicenow_ticket(
    servicenow_url: str,
    *,
    to_url: str,
    number: str = "INC0010001",
    table: str = "incident",
    device: str = DEVICE,
    before: tuple[str, str] = ("1", "New"),
    after: tuple[str, str] = ("2", "In Progress"),
    columns: dict[str, Any] | None = None,
    secret: str = known.SERVICENOW_WEBHOOK_SECRET,
    summary: str = "Word closes unexpectedly",
    copies: int = 1,
    wait: bool = False,
) -> Ticket:
    """Create a record, change its state, and make the business rule send that to the bridge at `to_url`.

    `columns` are added to those of the record, in the control API's form.
    """
    control = TicketControl(url=servicenow_url)
    every = servicenow_columns(number=number, device=device, state=before, summary=summary, table=table)
    record = control.call("PUT", "records", {"table": table, "columns": every | (columns or {})})
    sent = control.webhook(
        table=table,
        number=number,
        columns={"state": {"value": after[0], "display": after[1]}},
        target={"url": to_url, "secret": secret},
        copies=copies,
        wait=wait,
    )
    return Ticket(key=number, uid=record["sys_id"], change=sent["sys_mod_count"])


def servicenow_request_item(
    servicenow_url: str,
    *,
    to_url: str,
    number: str = "RITM0010002",
    device: str = DEVICE,
    software: str = "7-Zip",
    version: str = "24.09",
    wait: bool = False,
) -> Ticket:
    """Create an approved request item for software, take it into work, and make the rule send that."""
    item = {
        "value": "0a0e1d2bc0a80164019f9e7d0f2a3b4c",
        "display": "Install software",
        "reference": "sc_cat_item",
    }
    return servicenow_ticket(
        servicenow_url,
        to_url=to_url,
        number=number,
        table="sc_req_item",
        device=device,
        before=("1", "Open"),
        after=("2", "Work in Progress"),
        columns={
            "approval": {"value": "approved", "display": "Approved"},
            "cat_item": item,
            "u_software": {"value": software},
            "u_version": {"value": version},
        },
        summary=f"{software} for Ada",
        wait=wait,
    )
