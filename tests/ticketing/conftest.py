"""Configured sources, a report, and samples, for the tests of every ticket system; desks in the sandbox."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.fetching import converse
from bridge.models import (
    Delivery,
    EngineRow,
    HttpRequest,
    HttpResponse,
    Json,
    MorePages,
    NotPosted,
    Occasion,
    OwedComment,
    Posted,
    Report,
    SourceName,
    TicketRef,
    Tone,
    Visibility,
)
from bridge.sandbox import credentials as known
from bridge.sandbox.client import TicketControl
from bridge.sandbox.running import Sandbox
from bridge.sandbox.scenario import jira_fields, servicenow_columns
from bridge.ticketing import Conversation, Exposed, TicketSystem
from bridge.ticketing.jira import Jira, JiraConfig
from bridge.ticketing.proofs import HmacProof, StandardProof
from bridge.ticketing.servicenow import ServiceNow, ServiceNowConfig
from bridge.transport import Transport

SAMPLES = Path(__file__).parent.parent / "samples"
MARKER = "bridge-01hx9-answered-1"

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

    def read(self, conversation: Conversation[Any]) -> Any:
        return converse(self.transport, conversation, seconds=10)


@pytest.fixture
def sample() -> Callable[[str], Json]:
    return lambda name: json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))


@pytest.fixture
def delivered(sample: Callable[[str], Json]) -> Callable[[Json], Delivery]:
    """Return a verified delivery of a payload, or of the sample of that name."""

    def deliver(payload: Json) -> Delivery:
        content = sample(payload) if isinstance(payload, str) else payload
        return Delivery(
            source=SourceName("desk"),
            key="k",
            digest="0" * 64,
            timed=True,
            payload=content,
            received_at=datetime(2026, 5, 28, 20, 26, 41, tzinfo=UTC),
        )

    return deliver


@pytest.fixture
def report() -> Report:
    return Report(
        headline="Request accepted by 1 of 2 Engines",
        tone=Tone.WARNING,
        intro="Office repair for 1 device.\nAsked by Rita.",
        rows=(
            EngineRow(engine="engine-a", result="Accepted", tone=Tone.GOOD, meaning="The Engine took it."),
            EngineRow(engine="engine-b", result="Not connected", tone=Tone.BAD, meaning="Nothing ran there."),
        ),
        facts=(("Action", "Repair Office"), ("Devices", "WS-ABC-12345"), ("Run", "01hx9")),
        advice=("Ask an administrator to connect the Engine.",),
        marker=MARKER,
    )


@pytest.fixture
def detailed(report: Report) -> Report:
    """Return a report that says where in the console its story stands."""
    return dataclasses.replace(report, details="https://bridge-1.example.com:8443/runs/r01hx9")


@pytest.fixture
def owed() -> Callable[..., OwedComment]:
    def make(text: str = "text", visibility: Visibility = Visibility.INTERNAL) -> OwedComment:
        return OwedComment(occasion=Occasion.ANSWERED, n=1, marker=MARKER, text=text, visibility=visibility)

    return make


# ── the sandbox ──


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture(params=[*JIRA, *SERVICENOW])
def desk(request: pytest.FixtureRequest, sandbox: Sandbox) -> Desk:
    """Return every kind of ticket system in turn."""
    name = request.param
    return jira_desk(sandbox, JIRA[name]) if name in JIRA else servicenow_desk(sandbox, SERVICENOW[name])


@pytest.fixture
def jira_at(sandbox: Sandbox) -> Callable[..., Desk]:
    """Return the Jira of a name, with further options."""
    return lambda name, **options: jira_desk(sandbox, JIRA[name] | options)


@pytest.fixture
def servicenow_at(sandbox: Sandbox) -> Callable[..., Desk]:
    return lambda **options: servicenow_desk(sandbox, SERVICENOW["servicenow"] | options)


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


# ── answers as they are documented ──


@pytest.fixture
def told() -> Callable[..., Any]:
    """Carry a conversation out with prepared answers (status and JSON); return its end and the requests."""

    def tell(conversation: Conversation[Any], *answers: Json | tuple[int, Json]) -> tuple[Any, list[Any]]:
        waiting = [answer if isinstance(answer, tuple) else (200, answer) for answer in answers]
        requests: list[HttpRequest] = []
        try:
            requests.append(next(conversation))
            while True:
                status, content = waiting.pop(0)
                body = json.dumps(content).encode()
                requests.append(conversation.send(HttpResponse(status=status, body=body)))
        except StopIteration as end:
            assert waiting == [], "not every answer was asked for"
            return end.value, requests

    return tell
