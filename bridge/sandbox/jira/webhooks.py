"""The webhooks of Jira: the bodies and headers of Cloud, Data Center and Automation, and who is told.

It must not decide when a webhook is sent, except for those that a comment causes.
"""

import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import ConfigDict

from bridge.sandbox import credentials as known
from bridge.sandbox.jira.site import PERSON, Deployment, FieldChange, Issue, StoredComment, stamp
from bridge.sandbox.sending import Webhook


class Flavour(StrEnum):
    """Who sends: an admin webhook of either deployment, or Automation in one of its two body formats."""

    CLOUD = "cloud"
    DATACENTER = "datacenter"
    AUTOMATION = "automation"
    AUTOMATION_JIRA_FORMAT = "automation_jira_format"


class Kind(StrEnum):
    ISSUE_CREATED = "issue_created"
    ISSUE_UPDATED = "issue_updated"
    COMMENT_CREATED = "comment_created"


# Cloud waits 5 to 15 minutes before each of its five retries; here it is seconds, in the same proportions.
RETRY_WAITS = (0.5, 0.7, 1.0, 1.2, 1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A registered webhook; `secret` signs (admin webhooks) or is sent in `token_header` (Automation)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    url: str
    flavour: Flavour = Flavour.CLOUD
    secret: str = known.JIRA_WEBHOOK_SECRET
    token_header: str = "Authorization"
    retry_waits: tuple[float, ...] = RETRY_WAITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What happened to an issue, before it takes the shape of one sender."""

    kind: Kind
    issue: Issue
    actor: dict[str, Any]
    changes: tuple[FieldChange, ...] = ()
    change_id: str | None = None
    comment: StoredComment | None = None


def webhook(target: Target, happening: Happening, base_url: str) -> Webhook:
    """Return the request that a target receives, signed as its sender signs."""
    now = datetime.now(UTC)
    body = json.dumps(_body(target.flavour, happening, base_url, now)).encode()
    cloud = target.flavour is Flavour.CLOUD
    return Webhook(
        url=target.url,
        headers=(("Content-Type", "application/json"), *_headers(target, body)),
        body=body,
        # Only Cloud tries again; Data Center and Automation send at most once.
        retry_waits=target.retry_waits if cloud else (),
        retry_header="X-Atlassian-Webhook-Retry" if cloud else None,
    )


def _headers(target: Target, body: bytes) -> tuple[tuple[str, str], ...]:
    if target.flavour in {Flavour.AUTOMATION, Flavour.AUTOMATION_JIRA_FORMAT}:
        plain = target.token_header.lower() != "authorization"
        return ((target.token_header, target.secret if plain else known.bearer(target.secret)),)
    signature = "sha256=" + hmac.new(target.secret.encode(), body, hashlib.sha256).hexdigest()
    if target.flavour is Flavour.DATACENTER:
        agent = "Atlassian HttpClient 3.0.4 / JIRA-10.3.0 (10030000) / Default"
        return (("User-Agent", agent), ("x-hub-signature", signature))
    return (
        ("User-Agent", "Atlassian Webhook HTTP Client"),
        ("X-Atlassian-Webhook-Identifier", str(uuid.uuid4())),
        ("X-Atlassian-Webhook-Flow", "Primary"),
        ("X-Hub-Signature", signature),
    )


def _body(flavour: Flavour, happening: Happening, base_url: str, now: datetime) -> dict[str, Any]:
    if flavour in {Flavour.AUTOMATION, Flavour.AUTOMATION_JIRA_FORMAT}:
        issue = _automation_issue(happening, base_url)
        return issue if flavour is Flavour.AUTOMATION else {"issue": issue}
    head: dict[str, Any] = {"timestamp": int(now.timestamp() * 1000)}
    if happening.kind is Kind.COMMENT_CREATED:
        return head | _comment_event(flavour, happening, base_url)
    return head | _issue_event(happening, base_url)


def _issue_event(happening: Happening, base_url: str) -> dict[str, Any]:
    created = happening.kind is Kind.ISSUE_CREATED
    comment = happening.comment
    sub_kind = "issue_created" if created else "issue_commented" if comment is not None else "issue_generic"
    event: dict[str, Any] = {
        "webhookEvent": f"jira:{happening.kind.value}",
        "issue_event_type_name": sub_kind,
        "user": happening.actor,
        "issue": _issue(happening.issue, base_url),
    }
    if happening.changes and not created:
        event["changelog"] = _changelog(happening)
    if comment is not None:
        event["comment"] = _comment(comment, happening.issue, base_url)
    return event


def _comment_event(flavour: Flavour, happening: Happening, base_url: str) -> dict[str, Any]:
    """Return a comment event: it names no user, and Data Center's names the issue only in an address."""
    assert happening.comment is not None
    event: dict[str, Any] = {
        "webhookEvent": "comment_created",
        "comment": _comment(happening.comment, happening.issue, base_url),
    }
    if flavour is Flavour.CLOUD:
        event["comment"]["jsdPublic"] = not happening.comment.internal
        subset = {"summary", "issuetype", "project", "assignee", "priority", "status"}
        issue = _issue(happening.issue, base_url)
        issue["fields"] = {name: value for name, value in issue["fields"].items() if name in subset}
        event["issue"] = issue
    return event


def _automation_issue(happening: Happening, base_url: str) -> dict[str, Any]:
    issue = _issue(happening.issue, base_url)
    issue["id"] = int(happening.issue.id)
    if happening.changes:
        issue["changelog"] = _changelog(happening)
    return issue


def _issue(issue: Issue, base_url: str) -> dict[str, Any]:
    address = f"{base_url}/rest/api/2/issue/{issue.id}"
    return {"id": issue.id, "key": issue.key, "self": address, "fields": issue.fields}


def _changelog(happening: Happening) -> dict[str, Any]:
    return {"id": happening.change_id, "items": [item(change) for change in happening.changes]}


def item(change: FieldChange) -> dict[str, Any]:
    """Return a changed field as a changelog shows it."""
    return {
        "field": change.field,
        "fieldId": change.field,
        "fieldtype": "custom" if change.field.startswith("customfield_") else "jira",
        "from": change.before_id,
        "fromString": change.before,
        "to": change.after_id,
        "toString": change.after,
    }


def _comment(comment: StoredComment, issue: Issue, base_url: str) -> dict[str, Any]:
    return {
        "self": f"{base_url}/rest/api/2/issue/{issue.id}/comment/{comment.id}",
        "id": comment.id,
        "author": comment.author.person,
        "body": comment.text,
        "updateAuthor": comment.author.person,
        "created": stamp(comment.created),
        "updated": stamp(comment.created),
    }


def caused_by_comment(issue: Issue, comment: StoredComment) -> tuple[Happening, ...]:
    """Return the two events that one comment causes; their identifiers differ."""
    return tuple(
        Happening(kind=kind, issue=issue, actor=comment.author.person, comment=comment)
        for kind in (Kind.COMMENT_CREATED, Kind.ISSUE_UPDATED)
    )


def person_of(flavour: Flavour) -> dict[str, Any]:
    """Return the user who changes issues when nobody else is named."""
    return PERSON[Deployment.DATACENTER if flavour is Flavour.DATACENTER else Deployment.CLOUD]
