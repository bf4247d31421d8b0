"""The door for webhooks: what is believed is committed before the 200, and nothing else gets in."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import web as web_package
from bridge.bootstrap import utc_now
from bridge.ledger import listing

# Each example is a request to a whole web process with its ledger; how long one takes says nothing.
SHARED = settings(max_examples=80, deadline=None)


def is_problem(response: Any, status: int, reason: str | None = None) -> bool:
    content = json.loads(response.data)
    return (
        response.status_code == status == content["status"]
        and response.content_type == "application/problem+json"
        and {"type", "title", "detail"} <= content.keys()
        and content.get("reason") == reason
    )


# ── what is accepted ─────────────────────────────────────────────────────────────────────────────────────


def test_a1_a_delivery_and_its_run_are_committed_before_the_200(web: Any, sender: Any) -> None:
    ticket, body = sender.created()
    response = web.post(body)
    assert response.status_code == 200
    (run,) = web.runs(ticket)
    assert response.json == {
        "status": "accepted",
        "delivery": run.delivery,
        "reason": None,
        "runs": [run.id],
    }


def test_a1_what_comes_again_is_answered_with_the_first_delivery(web: Any, sender: Any) -> None:
    ticket, body = sender.created()
    first = web.post(body)
    again = web.post(body)
    assert again.status_code == 200
    assert (again.json["status"], again.json["delivery"]) == ("duplicate", first.json["delivery"])
    assert len(web.runs(ticket)) == 1


def test_a_ticket_that_fits_no_mapping_is_accepted_with_the_reason(web: Any, sender: Any) -> None:
    ticket, body = sender.created(customfield_10050={"value": "Nothing"})
    response = web.post(body)
    assert response.status_code == 200
    assert (response.json["status"], response.json["reason"]) == ("ignored", "no_mapping")
    assert web.runs(ticket) == ()


def test_a1_fifty_identical_deliveries_at_once_make_one_run(
    opened: Callable[..., Any], sender: Any, database_url: str, tmp_path: Path
) -> None:
    ticket, body = sender.created()
    with opened(tmp_path, database_url) as web, ThreadPoolExecutor(50) as senders:
        responses = list(senders.map(lambda _: web.post(body), range(50)))
        assert {response.status_code for response in responses} == {200}
        assert sorted(response.json["status"] for response in responses).count("accepted") == 1
        assert len({response.json["delivery"] for response in responses}) == 1
        assert len(web.runs(ticket)) == 1


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────

_BODIES = {
    "empty": (b"", 400, "not_json"),
    "no json": (b"canary", 400, "not_json"),
    "cut short": (b'{"issue": ', 400, "not_json"),
    "not a number": (b'{"issue": NaN}', 400, "not_json"),
    "infinity": (b'{"issue": -Infinity}', 400, "not_json"),
    "infinity in digits": (b'{"issue": 1e999}', 400, "not_json"),
    "a number of 5,000 digits": (b'{"issue": ' + b"9" * 5_000 + b"}", 400, "not_json"),
    "a key twice": (b'{"issue": 1, "issue": 2}', 400, "not_json"),
    "deep lists": (b"[" * 30_000 + b"]" * 30_000, 400, "not_json"),
    "deep objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400, "not_json"),
    "a byte order mark": (b"\xef\xbb\xbf{}", 400, "not_json"),
    "UTF-16": ('{"issue": 1}'.encode("utf-16"), 400, "not_json"),
    "not UTF-8": (b'{"issue": "\xff"}', 400, "not_json"),
    "half a surrogate pair": (b'{"issue": "\\ud800"}', 400, "not_json"),
    "a NUL": (b'{"issue": "\\u0000"}', 400, "not_json"),
    "a list": (b"[]", 400, "not_a_ticket"),
    "null": (b"null", 400, "not_a_ticket"),
    "a text": (b'"issue"', 400, "not_a_ticket"),
    "an object of something else": (b'{"webhookEvent": "jira:issue_created"}', 400, "not_a_ticket"),
    "one byte too many": (b" " * 65_537, 413, "too_large"),
}


@pytest.mark.parametrize("case", _BODIES)
def test_a_signed_body_that_is_no_ticket_is_refused_and_leaves_nothing(web: Any, case: str) -> None:
    body, status, reason = _BODIES[case]
    before = web.ledger.read(listing.page_of_deliveries, limit=1_000).deliveries
    assert is_problem(web.post(body), status, reason)
    assert web.ledger.read(listing.page_of_deliveries, limit=1_000).deliveries == before


_HEADERS: dict[str, tuple[dict[str, str | None], int, str]] = {
    "no signature": ({"X-Hub-Signature": None}, 401, "bad_signature"),
    "an empty signature": ({"X-Hub-Signature": ""}, 401, "bad_signature"),
    "another signature": ({"X-Hub-Signature": "sha256=" + "0" * 64}, 401, "bad_signature"),
    "bytes for a signature": ({"X-Hub-Signature": "sha256=\xff\xfe\x01"}, 401, "bad_signature"),
    "a long signature": ({"X-Hub-Signature": "sha256=" + "f" * 7_000}, 401, "bad_signature"),
    "a token instead": ({"X-Hub-Signature": None, "Authorization": "Bearer x"}, 401, "bad_signature"),
    "no content type": ({"Content-Type": None}, 415, "wrong_type"),
    "a form": ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "wrong_type"),
    "a form with files": ({"Content-Type": "multipart/form-data; boundary=x"}, 415, "wrong_type"),
    "plain text": ({"Content-Type": "text/plain"}, 415, "wrong_type"),
    "another encoding": ({"Content-Type": "application/json; charset=utf-16"}, 415, "wrong_type"),
    "compressed": ({"Content-Encoding": "gzip"}, 415, "wrong_type"),
}


@pytest.mark.parametrize("case", _HEADERS)
def test_headers_that_do_not_prove_or_announce_a_ticket_are_refused(web: Any, sender: Any, case: str) -> None:
    changes, status, reason = _HEADERS[case]
    ticket, body = sender.created()
    headers = {**sender.headers(body), **changes}
    response = web.app.test_client().post(
        "/webhooks/jira",
        data=body,
        headers=[(name, value) for name, value in headers.items() if value is not None],
    )
    assert is_problem(response, status, reason)
    assert web.runs(ticket) == ()


def test_a_signature_given_twice_is_refused(web: Any, sender: Any) -> None:
    ticket, body = sender.created()
    headers = [*sender.headers(body).items(), ("X-Hub-Signature", sender.headers(body)["X-Hub-Signature"])]
    response = web.app.test_client().post("/webhooks/jira", data=body, headers=headers)
    assert is_problem(response, 401, "bad_signature")
    assert web.runs(ticket) == ()


def test_a_proof_of_one_source_does_not_open_another(web: Any, sender: Any) -> None:
    ticket, body = sender.created()
    assert is_problem(web.post(body, "/webhooks/servicenow"), 401, "bad_signature")
    assert web.runs(ticket) == ()


@pytest.mark.parametrize("name", ["nowhere", "JIRA", "jira%00", "%F0%28%8C", "j" * 300, "jira;x"])
def test_a_source_that_is_not_configured_is_not_found(web: Any, sender: Any, name: str) -> None:
    _, body = sender.created()
    assert is_problem(web.post(body, f"/webhooks/{name}"), 404, "unknown_source")


# Leading slashes mean nothing to the framework, and all else has to be exactly right.
SAME = ("//webhooks/jira", "//", "//health")
WRONG = (
    *("/webhooks//jira", "/webhooks/jira/", "//evil.example/webhooks/jira", "/health/", "/runs//x"),
    *("/nothing", "/runs/x/", "/static", "/static//console.css", "/deliveries/x//"),
)


@pytest.mark.parametrize("path", [*SAME, *WRONG])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_address_is_answered_with_a_redirect(web: Any, sender: Any, path: str, method: str) -> None:
    _, body = sender.created()
    response = web.app.test_client().open(
        method=method,
        data=body,
        headers={"Host": "evil.example"},
        environ_overrides={"PATH_INFO": path},
    )
    assert not 300 <= response.status_code < 400
    assert "Location" not in response.headers
    assert b"evil" not in response.data
    assert path in SAME or response.status_code in {404, 405}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CANARY"])
def test_nothing_but_post_has_a_meaning(web: Any, method: str) -> None:
    response = web.app.test_client().open("/webhooks/jira", method=method)
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"


def test_a_refusal_repeats_nothing_of_the_request(web: Any) -> None:
    response = web.app.test_client().post(
        "/webhooks/jira?token=canary-query",
        data=b"canary-body",
        headers={"X-Hub-Signature": "canary-header", "Content-Type": "canary/type"},
    )
    assert response.status_code == 401
    assert b"canary" not in response.data


@given(
    path=st.sampled_from(["/webhooks/jira", "/webhooks/servicenow"]),
    body=st.binary(max_size=2_000) | st.just(b'{"issue": {}}'),
    headers=st.dictionaries(
        st.sampled_from(
            [
                "X-Hub-Signature",
                "Webhook-Id",
                "Webhook-Timestamp",
                "Webhook-Signature",
                "Content-Type",
                "Content-Encoding",
                "Authorization",
                "X-Atlassian-Webhook-Identifier",
            ]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=200)
        | st.sampled_from(["application/json", "v1,", "sha256=", "1780000000", "Bearer "]),
    ),
)
@SHARED
def test_whatever_comes_without_a_proof_is_a_4xx_and_never_a_delivery(
    web: Any, path: str, body: bytes, headers: dict[str, str]
) -> None:
    before = len(web.ledger.read(listing.page_of_deliveries, limit=10_000).deliveries)
    response = web.app.test_client().post(path, data=body, headers=headers)
    assert 400 <= response.status_code < 500
    assert json.loads(response.data)["status"] == response.status_code
    assert len(web.ledger.read(listing.page_of_deliveries, limit=10_000).deliveries) == before


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=8)
            | st.sampled_from(["issue", "key", "id", "fields", "comment", "changelog", "user", "timestamp"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(part=st.sampled_from(["all", "issue", "fields", "changelog", "user", "comment"]), value=_JSON)
@SHARED
def test_whatever_comes_with_a_proof_is_never_a_5xx(web: Any, sender: Any, part: str, value: Any) -> None:
    _, genuine = sender.created()
    event = json.loads(genuine)
    if part == "all":
        event = value
    elif part == "fields":
        event["issue"]["fields"] = value
    else:
        event[part] = value
    assert web.post(json.dumps(event).encode()).status_code in {200, 400}


# ── when we cannot ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def unlucky(web: Any) -> Any:
    """The same web process with answers from inside that fail."""

    def fails() -> Any:
        raise RuntimeError("canary")

    bridge = web.process.bridge
    return web_package.create_app(
        receiving=bridge.receiving,
        connections=fails,
        vitals=web.process.vitals,
        has_mapping_set=fails,
        clock=utc_now,
        threads=4,
        add_console=None,
    )


def test_our_own_failure_asks_the_sender_to_come_again_and_says_nothing_else(
    unlucky: Any, sender: Any
) -> None:
    _, body = sender.created()
    response = unlucky.test_client().post("/webhooks/jira", data=body, headers=sender.headers(body))
    assert is_problem(response, 503)
    assert response.headers["Retry-After"] == "30"
    assert b"canary" not in response.data


def test_a_failure_elsewhere_is_a_500_without_details(unlucky: Any) -> None:
    response = unlucky.test_client().get("/readyz")
    assert is_problem(response, 500)
    assert b"canary" not in response.data
    assert unlucky.test_client().get("/livez").status_code == 200


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's hold on the database file, until it is rolled back."""
    other = sqlite3.connect(tmp_path / "bridge.sqlite3", isolation_level=None, check_same_thread=False)
    yield other
    other.close()


def test_while_the_database_is_locked_webhooks_are_told_to_wait_and_health_answers_at_once(
    opened: Callable[..., Any], sender: Any, tmp_path: Path, locked: sqlite3.Connection
) -> None:
    ticket, body = sender.created()
    with opened(tmp_path) as web, ThreadPoolExecutor(30) as senders:
        locked.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        waiting = [senders.submit(web.post, body) for _ in range(30)]
        for _ in range(10):
            for path in ("/livez", "/readyz", "/health", "/metrics"):
                asked = time.monotonic()
                response = web.get(path)
                assert time.monotonic() - asked < 0.1
                assert path == "/readyz" or response.status_code in {200, 503}
            time.sleep(0.05)
        responses = [each.result(20) for each in waiting]
        assert time.monotonic() - began < 6
        assert all(is_problem(each, 503, "ledger_unavailable") for each in responses)
        assert {each.headers["Retry-After"] for each in responses} == {"30"}
        web.soon(lambda: web.get("/readyz").status_code == 503)
        assert web.get("/health").json["status"] == "fail"
        locked.execute("ROLLBACK")
        web.soon(lambda: web.get("/readyz").status_code == 200)
        assert web.post(body).status_code == 200
        assert len(web.runs(ticket)) == 1
