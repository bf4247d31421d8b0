"""docs/openapi.json and the application say the same: routes, statuses, media types, the form of bodies."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from bridge.mapping import schemas

DOCUMENT = json.loads((Path(__file__).resolve().parents[2] / "docs" / "openapi.json").read_text())
OPERATIONS = {
    (path, method.upper()): operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}


def resolved(found: Any) -> Any:
    """Follow a reference inside the document."""
    if "$ref" not in found:
        return found
    target = DOCUMENT
    for step in found["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return target


def see_documented(path: str, method: str, answer: TestResponse) -> None:
    """See that an answer is one that the document names, in its media type and form."""
    response = resolved(OPERATIONS[path, method]["responses"][str(answer.status_code)])
    media = response["content"][answer.mimetype]
    for header in response.get("headers", ()):
        assert header in answer.headers
    if "json" in answer.mimetype:
        schema = {**media["schema"], "components": DOCUMENT["components"]}
        Draft202012Validator(schema).validate(answer.get_json(force=True))


def test_every_route_is_in_the_document_and_the_other_way_round(web: Any) -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in web.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        # The console is for people in a browser, and off by default.
        if not rule.endpoint.startswith("console.")
    }
    assert routes == set(OPERATIONS)


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/health", "/metrics", "/schemas/actions", "/schemas/mappings"]
)
def test_what_is_asked_is_answered_as_documented(web: Any, path: str) -> None:
    see_documented(path, "GET", web.get(path))


@pytest.mark.parametrize("name", ["actions", "mappings"])
def test_what_is_published_for_editors_is_the_schema_that_files_are_held_to(web: Any, name: str) -> None:
    answer = web.get(f"/schemas/{name}")
    schema = json.loads(schemas.text(f"{name}.schema.json"))
    assert answer.get_json(force=True) == schema
    Draft202012Validator.check_schema(schema)


def test_each_answer_to_a_webhook_is_reached_and_as_documented(web: Any, sender: Any) -> None:
    body = sender.created()[1]
    answers = [
        web.post(body),
        web.post(body),
        web.post(b"{}"),
        web.post(b"{"),
        web.post(body, **{"X-Hub-Signature": "sha256=00"}),
        web.post(body, "/webhooks/nobody"),
        web.post(b" " * 70_000),
        web.post(body, **{"Content-Type": "text/plain"}),
    ]
    for answer in answers:
        see_documented("/webhooks/{source}", "POST", answer)
    statuses = {str(answer.status_code) for answer in answers}
    # The 503 is reached in test_served.py, with a locked database.
    assert statuses == set(OPERATIONS["/webhooks/{source}", "POST"]["responses"]) - {"503"}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    source=st.sampled_from(["jira", "servicenow"]) | st.from_regex(r"\A[A-Za-z0-9_.~-]{1,50}\Z"),
    body=st.binary(max_size=200)
    | st.dictionaries(st.text(), st.text()).map(lambda content: json.dumps(content).encode()),
    signature=st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=80),
    kind=st.sampled_from(["application/json", "text/plain", "application/json; charset=utf-16", ""]),
)
def test_whatever_is_sent_without_a_proof_gets_a_documented_refusal_and_makes_no_run(
    web: Any, source: str, body: bytes, signature: str, kind: str
) -> None:
    before = web.runs()
    headers = {"X-Hub-Signature": signature, "Webhook-Signature": signature, "Content-Type": kind}
    answer = web.post(body, f"/webhooks/{source}", **headers)
    see_documented("/webhooks/{source}", "POST", answer)
    assert 400 <= answer.status_code < 500
    assert web.runs() == before
