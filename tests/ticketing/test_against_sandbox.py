"""The dialects speak, over sockets, with simulated systems that are strict about the contracts."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge.models import (
    HttpRequest,
    HttpResponse,
    MarkerAbsent,
    MorePages,
    NotPosted,
    OwedComment,
    Posted,
    PostFailure,
    Report,
    SourceName,
    TicketRef,
    Visibility,
)
from bridge.sandbox import credentials as known
from bridge.sandbox.client import TicketControl
from bridge.sandbox.running import Sandbox
from bridge.sandbox.scenario import jira_fields, servicenow_columns
from bridge.ticketing import Exposed, TicketSystem
from bridge.ticketing.jira import Jira, JiraConfig
from bridge.ticketing.proofs import HmacProof, StandardProof
from bridge.ticketing.servicenow import ServiceNow, ServiceNowConfig
from bridge.transport import Transport

Owed = Callable[..., OwedComment]
JIRA: dict[str, dict[str, Any]] = {
    "cloud": {"username": known.JIRA_CLOUD_USERNAME, "token": known.JIRA_CLOUD_TOKEN},
    "cloud, jsm route": {
        "username": known.JIRA_CLOUD_USERNAME,
        "token": known.JIRA_CLOUD_TOKEN,
        "internal_comments": "jsm",
    },
    "data center, token": {"deployment": "datacenter", "token": known.JIRA_DATACENTER_TOKEN},
    "data center, password": {
        "deployment": "datacenter",
        "username": known.JIRA_DATACENTER_USERNAME,
        "password": known.JIRA_DATACENTER_PASSWORD,
    },
}
SERVICENOW: dict[str, dict[str, Any]] = {
    "servicenow": {"username": known.SERVICENOW_USERNAME, "password": known.SERVICENOW_PASSWORD},
    "servicenow, token": {"account": known.SERVICENOW_USERNAME, "token": known.SERVICENOW_TOKEN},
    "servicenow, key": {
        "account": known.SERVICENOW_USERNAME,
        "token": known.SERVICENOW_API_KEY,
        "api_key_header": True,
        "code_tags": False,
    },
}


@dataclasses.dataclass(frozen=True, slots=True)
class Desk:
    """A ticket system, one ticket of it, and a line to it."""

    system: TicketSystem
    ticket: TicketRef
    control: TicketControl
    transport: Transport

    def ask(self, request: HttpRequest | None) -> HttpResponse:
        assert request is not None
        response = self.transport.send(request, deadline=10)
        assert isinstance(response, HttpResponse), response
        return response

    def post(self, comment: OwedComment) -> Posted | Exposed | NotPosted:
        return self.system.read_comment(self.ask(self.system.comment_request(self.ticket, comment)), comment)

    def find(self, comment: OwedComment) -> Any:
        found: Any = MorePages(start=0)
        while isinstance(found, MorePages):
            request = self.system.search_request(self.ticket, comment, found.start)
            found = self.system.read_search(self.ask(request), self.ticket, comment, found.start)
        return found


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture(params=[*JIRA, *SERVICENOW])
def desk(request: pytest.FixtureRequest, sandbox: Sandbox) -> Desk:
    name = request.param
    return jira_desk(sandbox, JIRA[name]) if name in JIRA else servicenow_desk(sandbox, SERVICENOW[name])


def jira_desk(sandbox: Sandbox, options: dict[str, Any]) -> Desk:
    control = TicketControl(url=sandbox.jira_url)
    control.reset()
    fields = jira_fields(devices=("WS-ABC-12345",), status="Open", summary="A summary", labels=())
    issue = control.call("PUT", "issues", {"key": "SUP-101", "fields": fields})
    proof = HmacProof(secrets=(known.JIRA_WEBHOOK_SECRET,))
    config = JiraConfig(source=SourceName("jira"), base_url=sandbox.jira_url, proof=proof, **options)
    ticket = TicketRef(source=SourceName("jira"), uid=str(issue["id"]), key="SUP-101")
    return Desk(Jira(config), ticket, control, Transport(ca_file=None))


def servicenow_desk(sandbox: Sandbox, options: dict[str, Any]) -> Desk:
    control = TicketControl(url=sandbox.servicenow_url)
    control.reset()
    columns = servicenow_columns(
        number="INC0010001", device="WS-ABC-12345", state=("1", "New"), summary="A summary", table="incident"
    )
    record = control.call("PUT", "records", {"table": "incident", "columns": columns})
    proof = StandardProof(secrets=(known.SERVICENOW_WEBHOOK_SECRET,))
    source = SourceName("servicenow")
    config = ServiceNowConfig(source=source, base_url=sandbox.servicenow_url, proof=proof, **options)
    ticket = TicketRef(source=source, uid=record["sys_id"], key="INC0010001", table="incident")
    return Desk(ServiceNow(config), ticket, control, Transport(ca_file=None))


def test_our_account_is_told(desk: Desk) -> None:
    account = desk.system.read_account(desk.ask(desk.system.account_request()))
    assert not isinstance(account, NotPosted)
    assert account.identifiers


@pytest.mark.parametrize("visibility", Visibility)
def test_a_dressed_report_is_taken_and_found_again(
    desk: Desk, report: Report, owed: Owed, visibility: Visibility
) -> None:
    comment = owed(desk.system.dress(report), visibility)
    assert desk.find(comment) == MarkerAbsent()
    assert isinstance(desk.post(comment), Posted)
    assert isinstance(desk.find(comment), Posted)
    assert desk.find(dataclasses.replace(comment, marker=f"{comment.marker}2")) == MarkerAbsent()


def test_the_largest_comment_is_taken(desk: Desk, report: Report, owed: Owed) -> None:
    large = dataclasses.replace(report, rows=report.rows * 400, facts=(("[x]{y}|" * 9, '"<&' * 400),) * 30)
    assert isinstance(desk.post(owed(desk.system.dress(large))), Posted)


def test_a_ticket_that_is_gone_is_permanent(desk: Desk, owed: Owed, report: Report) -> None:
    other = "9" * 9 if desk.ticket.table is None else "f" * 32
    gone = dataclasses.replace(desk, ticket=dataclasses.replace(desk.ticket, uid=other))
    told = gone.post(owed(desk.system.dress(report)))
    assert isinstance(told, NotPosted)
    assert told.failure is PostFailure.PERMANENT
    assert isinstance(gone.find(owed()), NotPosted)


@pytest.mark.parametrize(
    "flavour", ["cloud", "cloud, jsm route"]
)  # Data Center does not say who sees a comment
def test_a_note_that_becomes_public_is_seen_found_and_removed(
    sandbox: Sandbox, report: Report, owed: Owed, flavour: str
) -> None:
    desk = jira_desk(sandbox, JIRA[flavour])
    desk.control.behave(drops_internal=True)
    comment = owed(desk.system.dress(report))
    exposed = desk.post(comment)
    assert isinstance(exposed, Exposed)
    assert desk.find(comment) == exposed
    assert desk.ask(desk.system.remove_request(desk.ticket, exposed.id)).status == 204
    assert desk.find(comment) == MarkerAbsent()
