"""The comment route of Jira Service Management; its bodies and errors have shapes of their own.

It must not be used for anything that the platform routes can do.
"""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify

from bridge.sandbox.jira.reception import account, json_body
from bridge.sandbox.jira.site import Issue, JiraSite, StoredComment, stamp
from bridge.sandbox.jira.writing import MAX_TEXT


class ServiceDeskError(Exception):
    """A refusal in the shape of Jira Service Management."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"errorMessage": message, "i18nErrorMessage": {"i18nKey": message, "parameters": []}}


def routes(site: JiraSite) -> Blueprint:
    """Return the routes of the service desk API."""
    blueprint = Blueprint("service_desk", __name__)

    @blueprint.post("/rest/servicedeskapi/request/<key>/comment")
    def add(key: str) -> tuple[Response, int]:
        issue = request_of(site, key)
        text, public = _read(json_body())
        if not issue.open_for_comments:
            raise ServiceDeskError(403, "You may not comment on this request")
        stored = site.add_comment(
            issue,
            StoredComment(
                id=site.next_id(),
                issue=issue.id,
                author=account(),
                body=text,
                text=text,
                internal=not public,
                properties=(("sd.public.comment", {"internal": not public}),),
                visibility=None,
                created=datetime.now(UTC),
            ),
        )
        if stored is None:
            raise ServiceDeskError(413, "The request has reached its limit of comments")
        return jsonify(_show(stored)), 201

    return blueprint


def request_of(site: JiraSite, key: str) -> Issue:
    """Return an issue that is a request of a service desk, or refuse with 404."""
    issue = site.issue(key)
    if issue is None or not issue.service_desk:
        raise ServiceDeskError(404, "The issue is no request, or you may not see it")
    return issue


def moment(at: datetime) -> dict[str, Any]:
    """Return a time in every form that the service desk API gives it."""
    return {"iso8601": stamp(at), "jira": stamp(at), "epochMillis": int(at.timestamp() * 1000)}


def _read(document: Any) -> tuple[str, bool]:
    if not isinstance(document, dict) or not set(document) <= {"body", "public"}:
        raise ServiceDeskError(400, "Only body and public are allowed")
    text, public = document.get("body"), document.get("public", True)
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT or not isinstance(public, bool):
        raise ServiceDeskError(400, "The comment is not valid")
    return text, public


def _show(comment: StoredComment) -> dict[str, Any]:
    return {
        "id": comment.id,
        "body": comment.text,
        "public": not comment.internal,
        "author": comment.author.person,
        "created": moment(comment.created),
    }
