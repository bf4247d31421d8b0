"""The business rule that is shipped in docs: what it sends is believed and read."""

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.models import Change, EventKind, Json, Person, SourceName, TicketEvent, WebhookRequest
from bridge.ticketing.servicenow import ServiceNow

HERE = Path(__file__).parent
RULE = HERE.parents[2] / "docs" / "servicenow-business-rule.js"
NODE = shutil.which("node")
NOW = datetime(2026, 5, 28, 20, 26, 45, tzinfo=UTC)
SYS_ID = "9d385017c611228701d22104cc95c371"
CALLER = "681ccaf9c0a8016400b98a06818d57c7"

pytestmark = pytest.mark.skipif(NODE is None, reason="node, which runs the script, is not installed")

RECORD: dict[str, Json] = {
    "sys_id": {"value": SYS_ID},
    "number": {"value": "INC0010001"},
    "state": {"value": "2", "display_value": "In Progress"},
    "short_description": {"value": "Büro ${x} {y} 😀 \x7f \u2028 'quoted' \"text\""},
    "caller_id": {
        "value": CALLER,
        "display_value": "Rita Reporter",
        "columns": {"email": {"value": "rita@example.com"}, "user_name": {"value": "rita"}},
    },
    "opened_by": {"value": "5137153cc611227c000bbd1bd8cd2005", "display_value": "Integration"},
    "cmdb_ci": {"value": "affd3c8437201000deeabfc8bcbe5dc3", "display_value": "WS-ABC-12345"},
    "assigned_to": {"value": ""},
    "sys_mod_count": {"value": "5"},
    "sys_updated_by": {"value": "ana"},
    "sys_updated_on": {"value": "2026-05-28 20:26:40", "display_value": "28/05/2026 22:26:40"},
}


def earlier(**values: Json) -> dict[str, Json]:
    return copy.deepcopy(RECORD) | {"sys_mod_count": {"value": "4"}} | values


@pytest.fixture
def run(key: str) -> Callable[..., list[Json]]:
    """Run the rule on one save of a record, and return the messages that it sends."""

    def run_rule(**scenario: Json) -> list[Json]:
        properties = {
            "bridge.webhook.url": "https://bridge.example.com/webhooks/servicenow",
            "bridge.webhook.key": key,
            "bridge.account": "svc.bridge",
        }
        whole = {
            "rule": str(RULE),
            "properties": properties,
            "user": "ana",
            "table": "incident",
            "operation": "update",
            "current": RECORD,
            "previous": earlier(),
            "journal": {},
            "now": int(NOW.timestamp() * 1000) + 999,
        } | scenario
        done = subprocess.run(
            [str(NODE), str(HERE / "platform.js")],
            input=json.dumps(whole),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        sent: list[Json] = json.loads(done.stdout)
        return sent

    return run_rule


@pytest.fixture
def received(run: Callable[..., list[Json]], servicenow: ServiceNow) -> Callable[..., TicketEvent]:
    """Run the rule and return what the bridge reads in its one message."""

    def receive(**scenario: Json) -> TicketEvent:
        (message,) = run(**scenario)
        request = WebhookRequest(
            source=SourceName("servicenow"),
            headers=tuple(message["headers"].items()),
            body=message["body"].encode("utf-8"),
            received_at=NOW,
        )
        delivery = servicenow.open(request)
        assert delivery.key == f"id:{message['headers']['webhook-id']}"
        assert delivery.timed
        event = servicenow.parse_event(delivery)
        assert isinstance(event, TicketEvent)
        return event

    return receive


def test_an_update_is_signed_believed_and_read_whole(received: Callable[..., TicketEvent]) -> None:
    event = received(previous=earlier(state={"value": "1", "display_value": "New"}))
    assert (event.kind, event.change_key) == (EventKind.UPDATED, "count:5:bridge")
    assert event.changes == (Change(name="state", before="New", after="In Progress"),)
    assert event.ref.key == "INC0010001"
    assert event.ticket.person == Person(
        id=CALLER, name="Rita Reporter", email="rita@example.com", login="rita"
    )
    assert (event.ticket.status, event.ticket.affected_item) == ("In Progress", "WS-ABC-12345")
    assert event.ticket.summary == RECORD["short_description"]["value"]
    assert event.fields["raw"]["state"] == "2"
    assert event.actor == Person(login="ana")
    assert event.occurred_at == datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC)


def test_a_new_record_is_created_without_changes(received: Callable[..., TicketEvent]) -> None:
    event = received(operation="insert", previous=None)
    assert (event.kind, event.change_key, event.changes) == (EventKind.CREATED, "created", ())


def test_a_note_alone_is_a_comment_with_its_text(received: Callable[..., TicketEvent]) -> None:
    event = received(journal={"work_notes": "28/05/2026 - Ana (Work notes)\nplease run it"})
    assert event.kind is EventKind.COMMENTED
    assert event.texts == ("28/05/2026 - Ana (Work notes)\nplease run it",)


def test_what_is_sent_is_ascii_and_not_substituted(run: Callable[..., list[Json]]) -> None:
    (message,) = run()
    assert message["body"].isascii()
    assert message["literal"]
    assert message["method"] == "post"
    assert message["url"] == "https://bridge.example.com/webhooks/servicenow"


def test_the_conversation_is_not_sent_as_columns(received: Callable[..., TicketEvent]) -> None:
    assert not {"comments", "work_notes"} & set(received().fields)


def test_our_own_account_s_changes_are_not_sent(run: Callable[..., list[Json]]) -> None:
    assert run(user="svc.bridge") == []
