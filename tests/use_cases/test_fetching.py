"""What is read in several requests has one deadline, and a system without an answer is no gone ticket."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from bridge.connections import Connections, Source
from bridge.errors import Reason
from bridge.fetching import Fetching, converse
from bridge.models import FetchedTicket, NotRead, SourceName, TicketRef
from bridge.sandbox import credentials as known
from bridge.sandbox.client import TicketControl
from bridge.sandbox.running import Sandbox
from bridge.ticketing.jira import Jira, JiraConfig
from bridge.ticketing.proofs import HmacProof
from bridge.transport import Transport

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
NAME = SourceName("jira")


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def control(running: Sandbox) -> TicketControl:
    control = TicketControl(url=running.jira_url)
    control.reset()
    return control


def source(url: str) -> Source:
    config = JiraConfig(
        source=NAME,
        base_url=url,
        proof=HmacProof(secrets=(known.JIRA_WEBHOOK_SECRET,)),
        username=known.JIRA_CLOUD_USERNAME,
        token=known.JIRA_CLOUD_TOKEN,
    )
    return Source(system=Jira(config), transport=Transport(ca_file=None), max_body_bytes=1_000_000)


def issue(control: TicketControl) -> TicketRef:
    fields = {"summary": "x", "status": {"name": "Open"}}
    made = control.call("PUT", "issues", {"key": "SUP-1", "fields": fields})
    return TicketRef(source=NAME, uid=made["id"], key="SUP-1")


def test_a_ticket_is_read_over_a_socket(running: Sandbox, control: TicketControl) -> None:
    ref = issue(control)
    connections = Connections(sources={NAME: source(running.jira_url)}, portals={})
    read = Fetching(connections=lambda: connections).ticket(ref, SINCE)
    assert isinstance(read, FetchedTicket)
    assert read.ref.key == "SUP-1"


def test_a_source_that_is_not_configured_is_told() -> None:
    connections = Connections(sources={}, portals={})
    read = Fetching(connections=lambda: connections).changed(NAME, SINCE)
    assert isinstance(read, NotRead)
    assert (read.gone, read.reason) == (False, Reason.UNKNOWN_SOURCE)


def test_a_system_that_does_not_answer_is_not_a_gone_ticket() -> None:
    nowhere = source("http://127.0.0.1:1")
    ref = TicketRef(source=NAME, uid="1", key="SUP-1")
    read = converse(nowhere.transport, nowhere.system.fetch_ticket(ref, SINCE), seconds=5)
    assert isinstance(read, NotRead)
    assert (read.gone, read.reason) == (False, Reason.NOT_CONNECTED)


def test_all_requests_of_one_reading_share_its_time(running: Sandbox, control: TicketControl) -> None:
    ref = issue(control)
    slow = source(running.jira_url)
    control.fault("delay", seconds=0.6, method="GET", times=2)
    begun = time.monotonic()
    read = converse(slow.transport, slow.system.fetch_ticket(ref, SINCE), seconds=1.0)
    assert isinstance(read, NotRead)
    assert (read.gone, read.reason) == (False, Reason.DEADLINE)
    assert time.monotonic() - begun < 1.5
