"""Schemathesis reads docs/openapi.json, makes requests from it, and holds every answer to it."""

import copy
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks
from standardwebhooks import Webhook

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())
# Its own settings, not those of a file that happens to lie in the folder. It writes into what it is given.
DESCRIBED = schemathesis.openapi.from_dict(copy.deepcopy(DOCUMENT), config=schemathesis.Config())
DOOR = DESCRIBED["/webhooks/{source}"]["POST"]
AS_DOCUMENTED = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
NEVER_A_5XX = [*AS_DOCUMENTED, not_a_server_error]
# A request goes through a whole web process with its ledger, one for all examples of a test.
MANY = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
NUMBERS = count(1)

PAYLOADS = [
    json.loads(path.read_text())
    for folder in (ROOT / "tests" / "samples", ROOT / "mappings" / "samples")
    for path in sorted(folder.rglob("*.json"))
]
TEXTS = st.text(max_size=20) | st.sampled_from(
    ["\u202e", "'\"()*%", "${jndi:x}", "WS-ABC-12345", "x" * 5_000]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place inside a JSON value, as what holds it and the key there."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from spots(value[key])


@st.composite
def hostile(draw: st.DrawFn) -> bytes:
    """Return the body of a webhook in which some values are missing, or are something else."""
    payload = copy.deepcopy(draw(st.sampled_from(PAYLOADS)))
    for _ in range(draw(st.integers(0, 4))):
        places = list(spots(payload))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        if draw(st.booleans()):
            holder[key] = draw(VALUES)
        else:
            del holder[key]
    return json.dumps(payload).encode()


BODIES = hostile() | VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=100)


@pytest.fixture
def either(opened: Callable[..., AbstractContextManager[Any]], database_url: str, tmp_path: Path) -> Any:
    """A web process on SQLite, and on PostgreSQL."""
    with opened(tmp_path, database_url) as running:
        yield running


def proof(source: str, body: bytes, secret: str, sender: Any) -> dict[str, str]:
    """Return the headers that prove a body, as Jira and ServiceNow make them."""
    if source == "jira":
        return dict(sender.headers(body))
    now, number = datetime.now(UTC), f"m{next(NUMBERS)}"
    text = body.decode("utf-8", "replace")
    return {
        "Content-Type": "application/json",
        "webhook-id": number,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(number, now, text),
    }


@pytest.mark.parametrize("mode", schemathesis.GenerationMode)
def test_what_the_document_allows_and_what_it_does_not_gets_a_documented_refusal_and_no_run(
    either: Any, mode: schemathesis.GenerationMode
) -> None:
    @settings(MANY, max_examples=60)
    @given(case=DOOR.as_strategy(generation_mode=mode))
    def is_refused(case: schemathesis.Case) -> None:
        answer = case.call_and_validate(app=either.app, checks=NEVER_A_5XX)
        assert 400 <= answer.status_code < 500

    is_refused()
    assert either.runs() == ()


def test_what_is_asked_of_the_inside_is_answered_as_documented(either: Any) -> None:
    @settings(MANY, max_examples=20)
    @given(case=DESCRIBED.include(method="GET").as_strategy())
    def is_answered(case: schemathesis.Case) -> None:
        case.call_and_validate(app=either.app, checks=NEVER_A_5XX)

    is_answered()
    assert either.runs() == ()


def test_a_hostile_body_with_a_valid_proof_is_taken_or_refused_as_documented(
    either: Any, servicenow_secret: str, sender: Any
) -> None:
    statuses = set()

    @MANY
    @given(source=st.sampled_from(["jira", "servicenow"]), body=BODIES)
    def is_taken_or_refused(source: str, body: bytes) -> None:
        headers = proof(source, body, servicenow_secret, sender)
        case = DOOR.Case(path_parameters={"source": source}, headers=headers, media_type="application/json")
        answer = case.call(app=either.app, data=body)
        case.validate_response(answer, checks=NEVER_A_5XX)
        statuses.add(answer.status_code)
        if answer.status_code == 200:
            assert set(answer.json()["runs"]) <= {run.id for run in either.runs()}

    is_taken_or_refused()
    assert {200, 400} <= statuses


def test_a_proof_of_another_body_opens_nothing(either: Any, servicenow_secret: str, sender: Any) -> None:
    @MANY
    @given(source=st.sampled_from(["jira", "servicenow"]), body=hostile(), proven=BODIES)
    def is_refused(source: str, body: bytes, proven: bytes) -> None:
        headers = proof(source, proven if proven != body else b"", servicenow_secret, sender)
        case = DOOR.Case(path_parameters={"source": source}, headers=headers, media_type="application/json")
        answer = case.call(app=either.app, data=body)
        case.validate_response(answer, checks=NEVER_A_5XX)
        assert answer.status_code == 401

    is_refused()
    assert either.runs() == ()


def test_while_the_ledger_is_locked_the_answers_are_the_documented_503(
    opened: Callable[..., AbstractContextManager[Any]], tmp_path: Path, sender: Any
) -> None:
    body = sender.created()[1]
    door = DOOR.Case(
        path_parameters={"source": "jira"}, headers=sender.headers(body), media_type="application/json"
    )
    health = [DESCRIBED[path]["GET"].Case() for path in ("/readyz", "/health")]
    with opened(tmp_path) as web, closing(sqlite3.connect(tmp_path / "bridge.sqlite3")) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = door.call(app=web.app, data=body)
        web.soon(lambda: web.get("/readyz").status_code == 503)
        door.validate_response(answer, checks=AS_DOCUMENTED)
        assert answer.status_code == 503
        for case in health:
            assert case.call_and_validate(app=web.app, checks=AS_DOCUMENTED).status_code == 503
        other.rollback()
    assert answer.headers["content-type"] == ["application/problem+json"]
