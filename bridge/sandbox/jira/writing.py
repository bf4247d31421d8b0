"""What Jira takes as a comment and how it shows one: Cloud (v3, documents) and Data Center (v2, wiki text).

It must not speak HTTP beyond the status and object of a refusal.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jsonschema import Draft202012Validator

from bridge.sandbox.jira import adf
from bridge.sandbox.jira.site import Account, Deployment, Issue, JiraSite, StoredComment, internal_by, stamp

MAX_TEXT = 32_767
MAX_PROPERTY = 32_768
MAX_PROPERTY_KEY = 255
_ALLOWED = {"body", "visibility", "properties"}
_TOO_LONG = "The entered text is too long. It exceeds the allowed limit of 32,767 characters."


class JiraError(Exception):
    """A refusal in Jira's own shape; `hint` says to the developer what the real one keeps to itself."""

    def __init__(
        self, status: int, message: str = "", *, errors: dict[str, str] | None = None, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"errorMessages": [message] if message else [], "errors": errors or {}}
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A comment that was found valid and is not stored yet."""

    body: Any
    text: str
    properties: tuple[tuple[str, Any], ...]
    visibility: dict[str, Any] | None


def read_draft(document: Any, version: int, schema: Draft202012Validator) -> Draft:
    """Check the body of an add-comment request of one API version."""
    if not isinstance(document, dict):
        raise JiraError(400, "Invalid request payload. Refer to the REST API documentation and try again.")
    if unknown := set(document) - _ALLOWED:
        raise JiraError(400, f'Unrecognized field "{min(unknown)}"')
    body = document.get("body")
    text = _document_text(body, schema) if version == 3 else _wiki_text(body)
    return Draft(
        body=body,
        text=text,
        properties=_properties(document.get("properties", [])),
        visibility=_visibility(document.get("visibility")),
    )


def _document_text(body: object, schema: Draft202012Validator) -> str:
    if problem := adf.problem(body, schema):
        raise JiraError(400, "INVALID_INPUT", errors={"comment": "INVALID_INPUT"}, hint=problem)
    # What counts is the serialised document, not its text.
    if len(json.dumps(body, ensure_ascii=False)) > MAX_TEXT:
        raise JiraError(400, errors={"comment": _TOO_LONG})
    text = adf.text_of(body)
    _refuse_empty(text)
    return text


def _wiki_text(body: object) -> str:
    if not isinstance(body, str):
        raise JiraError(400, errors={"comment": "Operation value must be a string"})
    if len(body) > MAX_TEXT:
        raise JiraError(400, errors={"comment": _TOO_LONG})
    _refuse_empty(body)
    return body


def _refuse_empty(text: str) -> None:
    if not text.strip():
        raise JiraError(400, errors={"comment": "Comment body can not be empty!"})


def _properties(given: object) -> tuple[tuple[str, Any], ...]:
    if not isinstance(given, list):
        raise JiraError(400, errors={"properties": "a list of entity properties is wanted"})
    for entry in given:
        if not isinstance(entry, dict) or set(entry) != {"key", "value"} or not isinstance(entry["key"], str):
            raise JiraError(400, errors={"properties": "an entity property is a key and a value"})
        check_property(entry["key"], entry["value"])
    return tuple((entry["key"], entry["value"]) for entry in given)


def check_property(key: str, value: object) -> None:
    """Refuse a property whose key or value is too long."""
    if not 0 < len(key) <= MAX_PROPERTY_KEY:
        raise JiraError(400, errors={"key": "The property key must be 1 to 255 characters long."})
    if len(json.dumps(value)) > MAX_PROPERTY:
        raise JiraError(413, errors={"value": "The property value is longer than 32,768 characters."})


def _visibility(given: object) -> dict[str, Any] | None:
    if given is None:
        return None
    if (
        not isinstance(given, dict)
        or not set(given) <= {"type", "value", "identifier"}
        or given.get("type") not in {"group", "role"}
        or not ({"value", "identifier"} & set(given))
    ):
        raise JiraError(400, errors={"visibility": "The visibility is not valid."})
    return given


def store(site: JiraSite, issue: Issue, account: Account, draft: Draft) -> StoredComment:
    """Store a valid comment, or refuse it where the issue takes none."""
    if not issue.open_for_comments:
        raise JiraError(400, errors={"comment": "You do not have the permission to comment on this issue."})
    stored = site.add_comment(
        issue,
        StoredComment(
            id=site.next_id(),
            issue=issue.id,
            author=account,
            body=draft.body,
            text=draft.text,
            internal=internal_by(dict(draft.properties)),
            properties=draft.properties,
            visibility=draft.visibility,
            created=datetime.now(UTC),
        ),
    )
    if stored is None:
        raise JiraError(413, "The issue has reached its limit of comments.")
    return stored


def show(
    comment: StoredComment, *, version: int, url: str, deployment: Deployment, properties: bool
) -> dict[str, Any]:
    """Return a comment as the API shows it; properties only where they were asked for."""
    shown: dict[str, Any] = {
        "self": f"{url}/rest/api/{version}/issue/{comment.issue}/comment/{comment.id}",
        "id": comment.id,
        "author": comment.author.person,
        "body": _body_in(comment, version),
        "updateAuthor": comment.author.person,
        "created": stamp(comment.created),
        "updated": stamp(comment.created),
    }
    if deployment is Deployment.CLOUD:
        shown["jsdPublic"] = not comment.internal
    if comment.visibility is not None:
        shown["visibility"] = comment.visibility
    if properties:
        shown["properties"] = [{"key": key, "value": value} for key, value in comment.properties]
    return shown


def _body_in(comment: StoredComment, version: int) -> Any:
    if version == 3:
        return comment.body if isinstance(comment.body, dict) else adf.document_of(comment.text)
    return comment.body if isinstance(comment.body, str) else comment.text
