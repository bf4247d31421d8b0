"""What a ServiceNow sender's payload is read as, be it our rule's or less."""

import dataclasses
import hashlib
import hmac
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from bridge.errors import Reason, WebhookRefused
from bridge.models import (
    Change,
    Delivery,
    EventKind,
    Ignored,
    Json,
    Person,
    SourceName,
    TicketEvent,
    TicketRef,
    WebhookRequest,
)
from bridge.ticketing.proofs import HmacProof, TokenProof
from bridge.ticketing.servicenow import ServiceNow, ServiceNowConfig

SYS_ID = "9d385017c611228701d22104cc95c371"
CALLER = "681ccaf9c0a8016400b98a06818d57c7"
NOW = datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC)
TOKEN = "a token of some length"
Deliver = Callable[[Json], Delivery]


def event_of(servicenow: ServiceNow, delivery: Delivery) -> TicketEvent:
    event = servicenow.parse_event(delivery)
    assert isinstance(event, TicketEvent)
    return event


@pytest.mark.parametrize(
    ("name", "kind", "change_key"),
    [
        ("rule-update", EventKind.UPDATED, "count:5:approved"),
        ("rule-insert", EventKind.CREATED, "created"),
        ("rule-comment", EventKind.COMMENTED, "count:5:approved"),
        ("rule-request-item", EventKind.UPDATED, "count:5:approved"),
        ("flat-strings", EventKind.UPDATED, "count:5:unnamed"),
        ("flat-references", EventKind.UPDATED, "count:5:unnamed"),
        ("doorbell", EventKind.UPDATED, None),
    ],
)
def test_every_sender_s_event_is_known_by_kind_and_change(
    servicenow: ServiceNow, delivered: Deliver, name: str, kind: EventKind, change_key: str | None
) -> None:
    event = event_of(servicenow, delivered(f"servicenow/{name}"))
    assert (event.kind, event.change_key) == (kind, change_key)
    assert event.ref.uid == SYS_ID


def test_a_record_is_told_in_the_words_of_the_mapping_language(
    servicenow: ServiceNow, delivered: Deliver
) -> None:
    event = event_of(servicenow, delivered("servicenow/rule-update"))
    ticket = event.ticket
    assert (ticket.key, ticket.type, ticket.project) == ("INC0010001", "incident", None)
    assert (ticket.status, ticket.priority, ticket.affected_item) == (
        "In Progress",
        "2 - High",
        "WS-ABC-12345",
    )
    assert ticket.person == Person(id=CALLER, name="Rita Reporter", email="rita@example.com", login="rita")
    assert (ticket.assignee, ticket.labels) == (Person(), ("auto-remediate", "office"))
    assert (ticket.created_at, ticket.updated_at) == ("2026-05-28 20:00:00", "2026-05-28 20:26:40")
    assert (event.fields["state"], event.fields["raw"]["state"]) == ("In Progress", "2")
    assert event.changes == (Change(name="state", before="New", after="In Progress"),)
    assert event.actor == Person(login="ana")
    assert event.occurred_at == NOW


def test_a_request_item_is_for_whom_the_request_is_never_for_who_typed_it(
    servicenow: ServiceNow, delivered: Deliver
) -> None:
    ticket = event_of(servicenow, delivered("servicenow/rule-request-item")).ticket
    assert ticket.person == Person(id=CALLER, name="Rita Reporter", email="rita@example.com")
    only_opened_by = {"table": "incident", "sys_id": SYS_ID, "opened_by": "Integration"}
    assert event_of(servicenow, delivered(only_opened_by)).ticket.person == Person()


def test_an_address_comes_from_the_configuration_never_from_the_payload(
    servicenow: ServiceNow, delivered: Deliver
) -> None:
    event = event_of(servicenow, delivered("servicenow/rule-update"))
    assert event.ref.url == f"https://desk.example.com/nav_to.do?uri=incident.do%3Fsys_id%3D{SYS_ID}"


def test_flat_old_and_new_values_are_changes_where_they_differ(
    servicenow: ServiceNow, delivered: Deliver
) -> None:
    event = event_of(servicenow, delivered("servicenow/flat-strings"))
    assert event.changes == (Change(name="state", before="1", after="2"),)
    assert event.ticket.person == Person(name="Rita Reporter")
    assert event.ticket.affected_item is None, "a bare sys_id is nothing to read"


def test_the_four_shapes_of_a_reference(servicenow: ServiceNow, delivered: Deliver) -> None:
    event = event_of(servicenow, delivered("servicenow/flat-references"))
    assert event.ticket.affected_item == event.fields["cmdb_ci"] == "WS-ABC-12345"
    assert event.ticket.person == Person(id=CALLER)
    assert (event.fields["caller_id"], event.fields["raw"]["caller_id"]) == (None, CALLER)
    assert event.ticket.assignee == Person(name="Ana Agent")
    assert event.fields["assignment_group"] == "affd3c8437201000deeabfc8bcbe5dc3"


def test_a_table_and_a_sys_id_are_enough(servicenow: ServiceNow, delivered: Deliver) -> None:
    event = event_of(servicenow, delivered("servicenow/doorbell"))
    assert (event.ref.table, event.ref.key, event.occurred_at) == ("incident", SYS_ID, None)
    assert event.fields == {"sys_id": SYS_ID, "raw": {"sys_id": SYS_ID}}


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {"table": "incident"},
        {"sys_id": SYS_ID},
        {"table": "incident", "sys_id": SYS_ID[:-1]},
        {"table": "incident", "sys_id": SYS_ID + "\n"},
        {"table": "incident", "sys_id": "../../" + SYS_ID[6:]},
        {"table": "incident/../sys_user", "sys_id": SYS_ID},
        {"table": "Incident", "sys_id": SYS_ID},
        {"table": True, "sys_id": SYS_ID},
    ],
)
def test_a_body_that_names_no_record_is_a_400(
    servicenow: ServiceNow, delivered: Deliver, payload: Json
) -> None:
    with pytest.raises(WebhookRefused) as refused:
        servicenow.parse_event(delivered(payload))
    assert (refused.value.status, refused.value.reason) == (400, Reason.NOT_A_TICKET)


def test_a_table_that_is_not_listed_and_a_deletion_are_ignored(
    servicenow: ServiceNow, delivered: Deliver
) -> None:
    foreign = servicenow.parse_event(delivered({"table": "sys_user", "sys_id": SYS_ID}))
    deleted = servicenow.parse_event(delivered("servicenow/rule-delete"))
    assert isinstance(foreign, Ignored)
    assert isinstance(deleted, Ignored)
    assert foreign.reason is deleted.reason is Reason.UNSERVED_KIND
    assert foreign.ticket is None
    assert deleted.ticket is not None


NAMES = [
    *(
        "rule",
        "operation",
        "sys_mod_count",
        "updated_by",
        "updated_on",
        "record",
        "changes",
        "comment",
        "field",
    ),
    *(
        "from",
        "to",
        "value",
        "display_value",
        "text",
        "number",
        "caller_id",
        "sys_tags",
        "old_values",
        "state",
    ),
]
near = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(("update", SYS_ID, "incident")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=25,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(near, st.booleans())
def test_any_json_is_an_event_ignored_or_refused_and_nothing_else(
    servicenow: ServiceNow, delivered: Deliver, value: Json, named: bool
) -> None:
    payload = {"table": "incident", "sys_id": SYS_ID} | (
        value if isinstance(value, dict) else {"record": value}
    )
    with suppress(WebhookRefused):
        servicenow.parse_event(delivered(payload if named else [value]))


def request(payload: Json, headers: dict[str, str]) -> WebhookRequest:
    body = json.dumps(payload).encode()
    pairs = {"content-type": "application/json"} | headers
    return WebhookRequest(source=SourceName("sn"), headers=tuple(pairs.items()), body=body, received_at=NOW)


def test_a_signed_identifier_names_the_delivery(
    servicenow: ServiceNow, sample: Callable[[str], Json], key: str
) -> None:
    payload = sample("servicenow/doorbell")
    headers = {
        "webhook-id": "incident:1",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": Webhook(key).sign("incident:1", NOW, json.dumps(payload)),
    }
    delivery = servicenow.open(request(payload, headers))
    assert (delivery.key, delivery.timed) == ("id:incident:1", False)
    assert delivery.signed


@pytest.mark.parametrize(
    ("name", "key"),
    [("doorbell", "signed:{seconds}:{digest}"), ("rule-update", f"incident:{SYS_ID}:5:approved")],
)
def test_a_body_that_names_no_change_is_named_with_the_time_that_is_signed(
    servicenow: ServiceNow, sample: Callable[[str], Json], name: str, key: str
) -> None:
    proof = HmacProof(
        secrets=("k" * 24,),
        signed_text="{timestamp}.{body}",
        timestamp_header="x-time",
        time_window_seconds=7200,
    )
    system = ServiceNow(config=dataclasses.replace(servicenow.config, proof=proof))
    payload, seconds = sample(f"servicenow/{name}"), str(int(NOW.timestamp()))
    signed = f"{seconds}.{json.dumps(payload)}".encode()
    signature = hmac.new(b"k" * 24, signed, hashlib.sha256).hexdigest()
    first = request(payload, {"x-hub-signature": f"sha256={signature}", "x-time": seconds})
    again = dataclasses.replace(first, received_at=NOW + timedelta(hours=1))
    digest = hashlib.sha256(first.body).hexdigest()
    keys = {system.open(first).key, system.open(again).key}
    assert keys == {key.format(seconds=seconds, digest=digest)}


@pytest.mark.parametrize(
    ("name", "key", "timed"),
    [
        ("rule-update", f"incident:{SYS_ID}:5:approved", True),
        ("flat-references", f"incident:{SYS_ID}:5:unnamed", True),
        ("doorbell", None, False),
    ],
)
def test_an_unsigned_identifier_does_not_name_a_delivery(
    sample: Callable[[str], Json], name: str, key: str | None, timed: bool
) -> None:
    proof = TokenProof(secrets=(TOKEN,))
    system = ServiceNow(
        config=ServiceNowConfig(source=SourceName("sn"), base_url="https://desk.example.com", proof=proof)
    )
    headers = {"authorization": f"Bearer {TOKEN}", "webhook-id": "chosen by anybody"}
    asked = request(sample(f"servicenow/{name}"), headers)
    delivery = system.open(asked)
    digest = hashlib.sha256(asked.body).hexdigest()
    assert (delivery.key, delivery.digest) == (key or f"digest:{digest}", digest)
    assert delivery.timed is timed
    assert not delivery.signed  # a token says nothing of the body


@pytest.mark.parametrize(
    "name", ["doorbell", "flat-references", "rule-comment", "rule-delete", "rule-insert", "rule-update"]
)
def test_every_body_rings_for_its_record_alone(servicenow: ServiceNow, delivered: Deliver, name: str) -> None:
    rung = servicenow.ring(delivered(f"servicenow/{name}"))
    assert isinstance(rung, TicketRef)
    assert (rung.uid, rung.key) == (SYS_ID, SYS_ID)
    assert (rung.url or "").startswith("https://desk.example.com/nav_to.do?uri=")


@pytest.mark.parametrize("body", [{}, [], {"table": "incident"}, {"table": "x/y", "sys_id": "a" * 32}])
def test_a_body_without_table_and_sys_id_does_not_ring(
    servicenow: ServiceNow, delivered: Deliver, body: Json
) -> None:
    with pytest.raises(WebhookRefused) as refused:
        servicenow.ring(delivered(body))
    assert (refused.value.status, refused.value.reason) == (400, Reason.NOT_A_TICKET)
