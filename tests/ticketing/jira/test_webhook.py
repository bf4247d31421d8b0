"""What each kind of Jira sender's payload is read as."""

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

from bridge.errors import Reason, WebhookRefused
from bridge.models import (
    Change,
    Delivery,
    EventKind,
    Ignored,
    Json,
    SourceName,
    TicketEvent,
    TicketRef,
    WebhookRequest,
)
from bridge.ticketing.jira import Jira
from bridge.ticketing.proofs import HmacProof, TokenProof

SECRET = b"a webhook secret of some length"
NOW = datetime(2026, 5, 28, 20, 26, 41, tzinfo=UTC)
SENT = datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC)
Deliver = Callable[[Json], Delivery]


def event_of(jira: Jira, delivery: Delivery) -> TicketEvent:
    event = jira.parse_event(delivery)
    assert isinstance(event, TicketEvent)
    return event


def signed(payload: Json, **headers: str) -> WebhookRequest:
    body = json.dumps(payload).encode()
    signature = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    pairs = {"content-type": "application/json; charset=UTF-8", "x-hub-signature": signature} | headers
    return WebhookRequest(source=SourceName("jira"), headers=tuple(pairs.items()), body=body, received_at=NOW)


@pytest.mark.parametrize(
    ("name", "kind", "change_key", "actor"),
    [
        ("cloud-issue-created", EventKind.CREATED, "created", "5b10a2844c20165700ede21g"),
        ("cloud-issue-updated", EventKind.UPDATED, "changelog:900", "5b10a2844c20165700ede21g"),
        ("cloud-issue-updated-adf", EventKind.UPDATED, "changelog:901", "5b10a2844c20165700ede21g"),
        ("cloud-comment-created", EventKind.COMMENTED, "comment:77", "5b10a2844c20165700ede21g"),
        ("cloud-issue-commented", EventKind.COMMENTED, "comment:77", "5b10a2844c20165700ede21g"),
        ("datacenter-issue-updated", EventKind.UPDATED, "changelog:902", "JIRAUSER10100"),
        ("datacenter-comment-created", EventKind.COMMENTED, "comment:78", "JIRAUSER10100"),
        ("automation-bare-issue", EventKind.UPDATED, None, None),
        ("automation-new-issue", EventKind.CREATED, "created", None),
        ("automation-jira-format", EventKind.UPDATED, None, None),
        ("automation-custom-data", EventKind.UPDATED, None, None),
        ("jsm-automation", EventKind.COMMENTED, "comment:79", "5b10a2844c20165700ede21g"),
    ],
)
def test_every_sender_s_event_is_known_by_kind_change_and_actor(
    jira: Jira, delivered: Deliver, name: str, kind: EventKind, change_key: str | None, actor: str | None
) -> None:
    event = event_of(jira, delivered(f"jira/{name}"))
    assert (event.kind, event.change_key) == (kind, change_key)
    assert (event.actor.id if event.actor else None) == actor
    assert event.ref.uid == event.ticket.uid == "501"


def test_an_issue_is_told_in_the_words_of_the_mapping_language(cloud: Jira, delivered: Deliver) -> None:
    event = event_of(cloud, delivered("jira/cloud-issue-updated"))
    ticket = event.ticket
    assert (ticket.key, ticket.project, ticket.type) == ("SUP-7", "SUP", "Service request")
    assert (ticket.request_type, ticket.status, ticket.priority) == ("Repair software", "Approved", "High")
    assert (ticket.summary, ticket.labels) == ("Office does not start", ("auto-remediate", "office"))
    assert (ticket.person.name, ticket.assignee.name) == ("Rita Reporter", None)
    assert ticket.created_at == "2026-05-28T20:00:00.000+0000"
    assert event.fields["customfield_10088"][0]["label"] == "WS-ABC-12345"
    assert event.occurred_at == SENT
    assert set(event.changes) == {
        Change(name="status", before="Open", after="Approved"),
        Change(name="customfield_10088", before=None, after="WS-ABC-12345"),
        Change(name="Device", before=None, after="WS-ABC-12345"),
    }


STATUS = {"field": "status", "fieldtype": "jira", "fieldId": "status", "toString": "In Progress"}


@pytest.mark.parametrize(
    "forged", ["status", "Status", "STATUS", "priority", "Fix Version", "customfield_10088"]
)
@pytest.mark.parametrize("number", ["customfield_99999", None])
def test_a_custom_field_never_changes_under_the_name_of_another_field(
    cloud: Jira, delivered: Deliver, sample: Callable[[str], Json], forged: str, number: str | None
) -> None:
    item = {"field": forged, "fieldtype": "custom", "fieldId": number, "toString": "Approved"}
    own = {number: "Approved"} if number else {}
    for items, others in (([item], {}), ([STATUS, item], {"status": "In Progress"}), ([item, STATUS], None)):
        payload = sample("jira/cloud-issue-updated")
        payload["changelog"]["items"] = items
        event = event_of(cloud, delivered(payload))
        expected = own | ({"status": "In Progress"} if others is None else others)
        assert {change.name: change.after for change in event.changes} == expected


def test_a_field_is_custom_unless_jira_calls_it_its_own(cloud: Jira, delivered: Deliver) -> None:
    untyped = {"field": "status", "fieldId": "customfield_99999", "toString": "Approved"}
    payload = {"id": "501", "key": "SUP-7", "changelog": {"items": [untyped]}}
    event = event_of(cloud, delivered(payload))
    assert [change.name for change in event.changes] == ["customfield_99999"]


def test_data_center_users_have_login_and_address(datacenter: Jira, delivered: Deliver) -> None:
    event = event_of(datacenter, delivered("jira/datacenter-issue-updated"))
    assert event.actor is not None
    assert event.actor.identifiers == {"JIRAUSER10100", "ana", "ana@example.com"}
    assert event.ticket.person.email == "ana@example.com"
    assert event.texts == ("approved",)


def test_adf_text_is_flattened(cloud: Jira, delivered: Deliver) -> None:
    event = event_of(cloud, delivered("jira/cloud-issue-updated-adf"))
    assert event.ticket.description == "Excel crashes\n@Ana\nWS-1\nBROKEN"


def test_an_adf_document_of_wrong_shapes_has_the_text_that_it_has(cloud: Jira, delivered: Deliver) -> None:
    broken = {"type": [], "content": [None, {"type": {}, "text": "x"}, {"type": "text", "text": "left"}]}
    payload = {"id": "501", "key": "SUP-7", "fields": {"description": broken}}
    assert event_of(cloud, delivered(payload)).ticket.description == "left"


def test_a_data_center_comment_names_its_issue_by_number_only(datacenter: Jira, delivered: Deliver) -> None:
    event = event_of(datacenter, delivered("jira/datacenter-comment-created"))
    assert (event.ref.uid, event.ref.key, event.ref.url) == ("501", "501", None)
    assert event.ticket.summary is None
    assert event.texts == ("please run it",)


def test_an_address_comes_from_the_configuration_never_from_the_payload(
    jira: Jira, delivered: Deliver
) -> None:
    event = event_of(jira, delivered("jira/cloud-issue-created"))
    assert event.ref.url == event.ticket.url == "https://jira.example.com/browse/SUP-7"
    scoped = Jira(config=dataclasses.replace(jira.config, site_url="https://people.example.com"))
    assert (
        event_of(scoped, delivered("jira/cloud-issue-created")).ref.url
        == "https://people.example.com/browse/SUP-7"
    )


def test_a_whole_history_is_not_a_change(cloud: Jira, delivered: Deliver) -> None:
    assert event_of(cloud, delivered("jira/automation-bare-issue")).changes == ()


@pytest.mark.parametrize("name", ["cloud-issue-deleted", "cloud-comment-edited"])
def test_what_is_not_served_is_ignored_with_its_ticket(cloud: Jira, delivered: Deliver, name: str) -> None:
    ignored = cloud.parse_event(delivered(f"jira/{name}"))
    assert isinstance(ignored, Ignored)
    assert ignored.reason is Reason.UNSERVED_KIND
    assert ignored.ticket is not None
    assert ignored.ticket.key == "SUP-7"


def test_events_without_an_issue_are_ignored_not_refused(cloud: Jira, delivered: Deliver) -> None:
    ignored = cloud.parse_event(delivered({"webhookEvent": "sprint_started", "sprint": {"id": 1}}))
    assert isinstance(ignored, Ignored)
    assert (ignored.detail, ignored.ticket) == ("sprint_started", None)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        7,
        {},
        {"issue": {"id": "1"}},
        {"issue": {"id": "1/../2", "key": "SUP-7"}},
        {"issue": {"id": "1", "key": "SUP-7/../x"}},
        {"issue": {"id": "1\n", "key": "SUP-7"}},
        {"issue": {"id": "1", "key": "SUP-7\n"}},
        {"issue": {"id": True, "key": "SUP-7"}},
        {
            "webhookEvent": "comment_created",
            "comment": {"id": "1", "self": "https://x.example/issue/../1/comment/2"},
        },
    ],
)
def test_a_body_that_names_no_issue_is_a_400(cloud: Jira, delivered: Deliver, payload: Json) -> None:
    with pytest.raises(WebhookRefused) as refused:
        cloud.parse_event(delivered(payload))
    assert (refused.value.status, refused.value.reason) == (400, Reason.NOT_A_TICKET)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = [
    *("webhookEvent", "timestamp", "issue", "id", "key", "fields", "changelog", "items", "field", "comment"),
    *("body", "self", "user", "accountId", "labels", "reporter", "project", "status", "requestType", "text"),
    *("issue_event_type_name", "content", "type", "attrs", "created", "updated", "description"),
]
WORDS = ("jira:issue_updated", "jira:issue_created", "comment_created", "SUP-7", "501", 501, "doc", "mention")
near = st.recursive(
    st.sampled_from(WORDS) | anything,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=25,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(near, st.booleans())
def test_any_json_is_an_event_ignored_or_refused_and_nothing_else(
    cloud: Jira, delivered: Deliver, value: Json, wrap: bool
) -> None:
    issue = {"id": "501", "key": "SUP-7", "fields": value, "changelog": value}
    payload = {"issue": issue, "comment": value, "user": value, "timestamp": value} if wrap else value
    if isinstance(payload, str):
        payload = [payload]
    with suppress(WebhookRefused):
        cloud.parse_event(delivered(payload))


def test_a_signed_webhook_is_opened(cloud: Jira, sample: Callable[[str], Json]) -> None:
    request = signed(sample("jira/cloud-issue-updated"))
    delivery = cloud.open(request)
    assert delivery.digest == hashlib.sha256(request.body).hexdigest()
    assert delivery.timed
    assert delivery.payload["issue"]["key"] == "SUP-7"
    assert delivery.key == "jira:issue_updated:501:900:1780000000000"


@pytest.mark.parametrize(
    ("name", "headers", "key"),
    [
        ("cloud-issue-updated", {"x-atlassian-webhook-identifier": "w-1"}, "id:w-1"),
        (
            "cloud-issue-updated",
            {"x-atlassian-webhook-identifier": "jira:issue_updated:501:901:1780000000000"},
            "id:jira:issue_updated:501:901:1780000000000",
        ),
        (
            "cloud-issue-updated",
            {"x-atlassian-webhook-identifier": "x" * 5000},
            "jira:issue_updated:501:900:1780000000000",
        ),
        ("cloud-comment-created", {}, "comment_created:501:77:1780000000000"),
        ("cloud-issue-created", {}, "jira:issue_created:501:-:1780000000000"),
        ("datacenter-comment-created", {}, "comment_created:501:78:1780000000000"),
    ],
)
def test_a_delivery_is_named_by_its_sender_or_by_its_change(
    cloud: Jira, sample: Callable[[str], Json], name: str, headers: dict[str, str], key: str
) -> None:
    assert cloud.open(signed(sample(f"jira/{name}"), **headers)).key == key


def test_a_delivery_without_names_or_time_is_its_digest(cloud: Jira, sample: Callable[[str], Json]) -> None:
    delivery = cloud.open(signed(sample("jira/automation-bare-issue")))
    assert (delivery.key, delivery.timed) == (f"digest:{delivery.digest}", False)


def test_the_same_bytes_with_a_signed_time_are_one_delivery_for_ever_whatever_header_is_put_beside_them(
    cloud: Jira, sample: Callable[[str], Json]
) -> None:
    proof = HmacProof(
        secrets=(SECRET.decode(),),
        signed_text="{timestamp}.{body}",
        timestamp_header="x-time",
        time_window_seconds=86_400,
    )
    system = Jira(config=dataclasses.replace(cloud.config, proof=proof))
    body, seconds = json.dumps(sample("jira/automation-bare-issue")).encode(), int(NOW.timestamp())

    def sent(seconds: int, identifier: str, at: datetime) -> Delivery:
        signature = hmac.new(SECRET, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
        headers = (
            ("content-type", "application/json"),
            ("x-hub-signature", f"sha256={signature}"),
            ("x-time", str(seconds)),
            ("x-atlassian-webhook-identifier", identifier),
        )
        return system.open(
            WebhookRequest(source=SourceName("jira"), headers=headers, body=body, received_at=at)
        )

    first = sent(seconds, "w-1", NOW)
    replayed = sent(seconds, "w-2", NOW + timedelta(hours=1))
    another = sent(seconds + 60, "w-3", NOW + timedelta(hours=1))
    assert first.key == replayed.key == f"signed:{seconds}:{first.digest}"
    assert another.key == f"signed:{seconds + 60}:{first.digest}"
    assert not first.timed


def test_the_signature_is_checked_before_type_and_json(cloud: Jira) -> None:
    unsigned = WebhookRequest(source=SourceName("jira"), headers=(), body=b"{", received_at=NOW)
    statuses = []
    for request in (
        unsigned,
        signed({}, **{"content-type": "text/plain"}),
        dataclasses.replace(unsigned, body=b""),
    ):
        with pytest.raises(WebhookRefused) as refused:
            cloud.open(request)
        statuses.append(refused.value.status)
    assert statuses == [401, 415, 401]


def test_a_signature_says_that_the_body_is_the_senders_word(
    cloud: Jira, sample: Callable[[str], Json]
) -> None:
    assert cloud.open(signed(sample("jira/cloud-issue-updated"))).signed
    proof = TokenProof(secrets=("a token of some length",))
    unsigned = Jira(config=dataclasses.replace(cloud.config, proof=proof))
    headers = (("content-type", "application/json"), ("authorization", "Bearer a token of some length"))
    body = json.dumps(sample("jira/automation-bare-issue")).encode()
    request = WebhookRequest(source=SourceName("jira"), headers=headers, body=body, received_at=NOW)
    assert not unsigned.open(request).signed


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("cloud-issue-updated", "SUP-7"),
        ("cloud-issue-deleted", "SUP-7"),
        ("cloud-comment-edited", "SUP-7"),
        ("datacenter-comment-created", "501"),  # it names its issue by number only
        ("automation-bare-issue", "SUP-7"),
        ("automation-jira-format", "SUP-7"),
        ("jsm-automation", "SUP-7"),
    ],
)
def test_every_body_rings_for_its_issue_alone(jira: Jira, delivered: Deliver, name: str, key: str) -> None:
    rung = jira.ring(delivered(f"jira/{name}"))
    assert isinstance(rung, TicketRef)
    assert (rung.uid, rung.key) == ("501", key)


def test_an_event_without_an_issue_does_not_ring(jira: Jira, delivered: Deliver) -> None:
    ignored = jira.ring(delivered({"webhookEvent": "sprint_started", "sprint": {"id": 1}}))
    assert isinstance(ignored, Ignored)
    for body in ({}, [], {"webhookEvent": "jira:issue_updated"}, {"issue": {"id": "x", "key": "SUP-7"}}):
        with pytest.raises(WebhookRefused) as refused:
            jira.ring(delivered(body))
        assert (refused.value.status, refused.value.reason) == (400, Reason.NOT_A_TICKET)
