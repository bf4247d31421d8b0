"""Tickets as a service desk writes them: created in the simulated system, which then calls the bridge.

It must not wait for what the bridge does, and must not know how the bridge works.
"""

from dataclasses import dataclass
from typing import Any

from bridge.sandbox import credentials as known
from bridge.sandbox.client import TicketControl
from bridge.sandbox.jira.webhooks import Flavour

DEVICE = "WS-ABC-12345"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A ticket that was created: its key or number, its id, and what names the change that was sent."""

    key: str
    uid: str
    change: str | None


def jira_fields(
    *, devices: tuple[str, ...], status: str, summary: str, labels: tuple[str, ...], priority: str = "Medium"
) -> dict[str, Any]:
    """Return the fields of an issue of project SUP; the devices stand in a custom field as Assets objects."""
    return {
        "project": {"id": "10000", "key": "SUP", "name": "Support"},
        "issuetype": {"id": "10010", "name": "Service Request"},
        "status": {"id": "10100", "name": status},
        "priority": {"id": "3", "name": priority},
        "summary": summary,
        "description": "Word closes when I open a mail merge.",
        "labels": list(labels),
        "reporter": {"accountId": "712020:ada", "displayName": "Ada Example", "active": True},
        "assignee": None,
        "created": "2026-11-02T08:00:00.000+0000",
        "updated": "2026-11-02T08:05:00.000+0000",
        "customfield_10010": {"requestType": {"id": "11", "name": "Service request"}},
        "customfield_10088": [{"label": name, "value": name} for name in devices],
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
    issue = control.call("PUT", "issues", {"key": key, "fields": fields})
    automation = flavour in {Flavour.AUTOMATION, Flavour.AUTOMATION_JIRA_FORMAT}
    usual = known.JIRA_AUTOMATION_TOKEN if automation else known.JIRA_WEBHOOK_SECRET
    sent = control.webhook(
        kind="issue_updated",
        key=key,
        fields={"status": {"id": "10101", "name": status}},
        changes=[
            {
                "field": "status",
                "before": "Waiting for approval",
                "before_id": "10100",
                "after": status,
                "after_id": "10101",
            }
        ],
        target={"url": to_url, "flavour": flavour.value, "secret": secret or usual},
        copies=copies,
        wait=wait,
    )
    return Ticket(key=key, uid=issue["id"], change=sent["change_id"])


def servicenow_columns(
    *, number: str, device: str, state: tuple[str, str], summary: str, table: str
) -> dict[str, Any]:
    """Return the columns of a task with its affected item; choices and references carry both values."""
    person = {
        "value": "5a5ab0b1c0a8016500000000000000a1",
        "display": "Ada Example",
        "reference": "sys_user",
    }
    columns: dict[str, Any] = {
        "number": {"value": number},
        "short_description": {"value": summary},
        "description": {"value": "Word closes when I open a mail merge."},
        "state": {"value": state[0], "display": state[1]},
        "priority": {"value": "2", "display": "2 - High"},
        "category": {"value": "software", "display": "Software"},
        "cmdb_ci": {
            "value": "c1c1c1c1c0a8016500000000000000d1",
            "display": device,
            "reference": "cmdb_ci_computer",
        },
        "opened_by": person,
        "assigned_to": {"value": "", "display": "", "reference": "sys_user"},
    }
    columns["requested_for" if table == "sc_req_item" else "caller_id"] = person
    return columns


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
