"""Turn a verified Jira delivery into what happened: admin webhooks, Automation and JSM automation.

It must not verify anything, nor decide whether a mapping wants the event.
"""

from typing import Final

import re2

from bridge.errors import Reason, WebhookRefused
from bridge.models import (
    Change,
    Delivery,
    EventKind,
    Ignored,
    Json,
    Person,
    TicketEvent,
    TicketRef,
    WebhookRequest,
)
from bridge.ticketing.jira import adf_text, changelog
from bridge.ticketing.jira.config import JiraConfig
from bridge.ticketing.jira.issue import Issue, find_issue, issue_of_comment, person, reference, ticket
from bridge.ticketing.payloads import members, moment_of_milliseconds, text
from bridge.ticketing.proofs import Proven

_IDENTIFIER_HEADER: Final = "x-atlassian-webhook-identifier"
_IDENTIFIER: Final = re2.compile(r"[!-~]{1,200}")
_NUMBER: Final = re2.compile(r"[0-9]{1,19}")
_NO_ISSUE: Final = "the body names no issue by id and key"
_ISSUE_EVENTS: Final = frozenset({"jira:issue_created", "jira:issue_updated"})
# Sent as jira:issue_updated with the comment, but nobody commented: a text was corrected or taken away.
_COMMENT_EDITS: Final = frozenset({"issue_comment_edited", "issue_comment_deleted"})


def delivery_key(request: WebhookRequest, payload: Json, digest: str, proven: Proven) -> str:
    """Return what names this delivery: the sender's identifier, what it is about, or its body."""
    return (
        proven.identifier
        or _unsigned_identifier(request, proven)
        or _about(payload)
        or proven.body_key(digest)
    )


def _unsigned_identifier(request: WebhookRequest, proven: Proven) -> str | None:
    """Return the identifier that Jira sends beside the body.

    Jira signs the body only, so it proves nothing (rule A1); the run's own key does. Where a time is signed,
    the same bytes must not become a second delivery by another header.
    """
    identifiers = [value for name, value in request.headers if name == _IDENTIFIER_HEADER]
    known = len(identifiers) == 1 and _IDENTIFIER.fullmatch(identifiers[0])
    return f"id:{identifiers[0]}" if known and proven.seconds is None else None


def _about(payload: Json) -> str | None:
    """Return the event, issue, change and time that the body names."""
    content = members(payload)
    event, sent_at = text(content.get("webhookEvent")), text(content.get("timestamp"))
    issue = _issue(content)
    if event is None or sent_at is None or issue is None or len(event) > 100:
        return None
    about = _number(content, "changelog") or _number(content, "comment") or "-"
    return f"{event}:{issue.id}:{about}:{sent_at}"


def is_timed(payload: Json) -> bool:
    """Say whether the body carries the time of the event, so that it cannot be sent anew for another one."""
    return moment_of_milliseconds(members(payload).get("timestamp")) is not None


def parse_event(config: JiraConfig, delivery: Delivery) -> TicketEvent | Ignored:
    """Read what happened; raise WebhookRefused (400, NOT_A_TICKET) where the body names no issue."""
    payload = members(delivery.payload)
    event = text(payload.get("webhookEvent"))
    issue = _issue(payload)
    if event is not None and (event not in {*_ISSUE_EVENTS, "comment_created"} or _is_comment_edit(payload)):
        kind = text(payload.get("issue_event_type_name")) or event
        ref = reference(config, issue) if issue else None
        return Ignored(reason=Reason.UNSERVED_KIND, detail=kind[:100], ticket=ref)
    if issue is None:
        raise WebhookRefused(400, Reason.NOT_A_TICKET, _NO_ISSUE)
    ref = reference(config, issue)
    changes = _changes(payload, issue)
    kind, change_key = _kind(event, payload, issue, changes)
    comment = members(payload.get("comment"))
    body = adf_text.flatten(comment.get("body"))
    return TicketEvent(
        ref=ref,
        ticket=ticket(ref, issue),
        kind=kind,
        actor=_actor(kind, payload, comment),
        fields=issue.fields,
        changes=changes,
        change_key=change_key,
        occurred_at=moment_of_milliseconds(payload.get("timestamp")),
        texts=(body,) if body else (),
        payload=delivery.payload,
    )


def ring(config: JiraConfig, delivery: Delivery) -> TicketRef | Ignored:
    """Read no more than which issue it is; raise WebhookRefused (400, NOT_A_TICKET) where none is named.

    A kind of event that knows no issue is ignored; else even the kind is not believed.
    """
    payload = members(delivery.payload)
    issue = _issue(payload)
    if issue is not None:
        return reference(config, issue)
    event = text(payload.get("webhookEvent"))
    if event is not None and event not in {*_ISSUE_EVENTS, "comment_created"}:
        return Ignored(reason=Reason.UNSERVED_KIND, detail=event[:100])
    raise WebhookRefused(400, Reason.NOT_A_TICKET, _NO_ISSUE)


def _issue(payload: dict[str, Json]) -> Issue | None:
    return find_issue(payload) or issue_of_comment(members(payload.get("comment")))


def _is_comment_edit(payload: dict[str, Json]) -> bool:
    kind = payload.get("issue_event_type_name")
    return isinstance(kind, str) and kind in _COMMENT_EDITS and not members(payload.get("changelog"))


def _kind(
    event: str | None, payload: dict[str, Json], issue: Issue, changes: tuple[Change, ...]
) -> tuple[EventKind, str | None]:
    """Return the kind of event and what names the change (rule A1).

    One human comment arrives as comment_created and as jira:issue_updated; both are `comment:<id>`. A
    transition with a comment is an update, since something changed.
    """
    comment = _number(payload, "comment")
    if event == "comment_created" or (members(payload.get("comment")) and not changes):
        return EventKind.COMMENTED, f"comment:{comment}" if comment else None
    if event == "jira:issue_created" or (event is None and not changes and _is_untouched(issue)):
        return EventKind.CREATED, "created"
    number = _number(payload, "changelog") or _number(issue.content, "changelog")
    return EventKind.UPDATED, f"changelog:{number}" if number else None


def _is_untouched(issue: Issue) -> bool:
    """Say whether an issue is as it was created: Automation does not say why it sends one."""
    created, updated = text(issue.fields.get("created")), text(issue.fields.get("updated"))
    return created is not None and created == updated


def _changes(payload: dict[str, Json], issue: Issue) -> tuple[Change, ...]:
    """Return what this event changed.

    A `histories` list (Automation can add one) is the issue's whole past, not this event's change.
    """
    return changelog.changes(members(payload.get("changelog")) or members(issue.content.get("changelog")))


def _actor(kind: EventKind, payload: dict[str, Json], comment: dict[str, Json]) -> Person | None:
    """Return who did it: Jira sends no user with a comment event, so its author is asked first."""
    author = person(comment.get("author"))
    user = person(payload.get("user"))
    return (author or user) if kind is EventKind.COMMENTED else user


def _number(payload: dict[str, Json], member: str) -> str | None:
    """Return the id of a part of the payload: a number in the documentation, a text in captures."""
    number = text(members(payload.get(member)).get("id"))
    return number if number is not None and _NUMBER.fullmatch(number) else None
