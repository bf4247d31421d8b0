"""What the simulated Jira holds: accounts, issues, their past, comments. Comments are told to who listens.

It must not speak HTTP.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from threading import RLock
from typing import Any

from bridge.sandbox import credentials as known


class Deployment(StrEnum):
    CLOUD = "cloud"
    DATACENTER = "datacenter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who signs in. Cloud and Data Center live at one address; the account says which one answers."""

    deployment: Deployment
    person: dict[str, Any]


BRIDGE_CLOUD = Account(
    deployment=Deployment.CLOUD,
    person={
        "accountId": "712020:bridge",
        "accountType": "atlassian",
        "emailAddress": known.JIRA_CLOUD_USERNAME,
        "displayName": "Nexthink bridge",
        "active": True,
        "timeZone": "Etc/UTC",
    },
)
BRIDGE_DATACENTER = Account(
    deployment=Deployment.DATACENTER,
    person={
        "name": known.JIRA_DATACENTER_USERNAME,
        "key": "JIRAUSER10100",
        "emailAddress": "svc.bridge@example.com",
        "displayName": "Nexthink bridge",
        "active": True,
        "timeZone": "Etc/UTC",
    },
)
# Who changes issues when a test names nobody: an agent, not the one who asked.
PERSON: dict[Deployment, dict[str, Any]] = {
    Deployment.CLOUD: {
        "accountId": "712020:bo",
        "accountType": "atlassian",
        "displayName": "Bo Approver",
        "active": True,
    },
    Deployment.DATACENTER: {
        "name": "bo",
        "key": "JIRAUSER10002",
        "emailAddress": "bo@example.com",
        "displayName": "Bo Approver",
        "active": True,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """`open_for_comments` false makes Jira refuse comments; `service_desk` makes it a JSM request."""

    id: str
    key: str
    fields: dict[str, Any]
    service_desk: bool = True
    open_for_comments: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredComment:
    """`body` is what was sent (a document or wiki text), `text` its plain text."""

    id: str
    issue: str
    author: Account
    body: Any
    text: str
    internal: bool
    properties: tuple[tuple[str, Any], ...]
    visibility: dict[str, Any] | None
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One changed field as a changelog item shows it: ids and texts of both values."""

    field: str
    before: str | None
    after: str | None
    before_id: str | None = None
    after_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChange:
    """One entry of an issue's history: what one person changed at once."""

    id: str
    issue: str
    author: dict[str, Any]
    created: datetime
    items: tuple[FieldChange, ...]


@dataclass(slots=True, kw_only=True)
class Behaviour:
    """How this site behaves on demand.

    `drops_internal` makes every internal comment public, in silence. `labels_off_screen` takes labels off the
    edit screen; `screens_ask` has the screen of a transition ask for what it was not given.
    """

    drops_internal: bool = False
    max_comments: int = 5_000
    labels_off_screen: bool = False
    screens_ask: bool = False


Listener = Callable[[Issue, StoredComment], None]


@dataclass(slots=True, kw_only=True)
class JiraSite:
    """Every issue and comment, behind one lock."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    listeners: list[Listener] = field(default_factory=list)
    _lock: RLock = field(default_factory=RLock)
    _issues: dict[str, Issue] = field(default_factory=dict)
    _comments: dict[str, StoredComment] = field(default_factory=dict)
    _changes: list[StoredChange] = field(default_factory=list)
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(10_001))

    def reset(self) -> None:
        """Forget issues, their past, comments and behaviour; listeners stay."""
        with self._lock:
            self._issues.clear()
            self._changes.clear()
            self._comments.clear()
            self.behaviour = Behaviour()

    def next_id(self) -> str:
        """Return a number that was not used before, as text."""
        return str(next(self._ids))

    def put_issue(self, key: str, fields: dict[str, Any], *, service_desk: bool, open_: bool) -> Issue:
        """Create an issue or replace its fields; the id stays."""
        with self._lock:
            old = self._issues.get(key)
            issue = Issue(
                id=old.id if old else self.next_id(),
                key=key,
                fields=with_category(fields),
                service_desk=service_desk,
                open_for_comments=open_,
            )
            self._issues[key] = issue
            return issue

    def delete_issue(self, key: str) -> bool:
        """Delete an issue and its comments."""
        with self._lock:
            issue = self._issues.pop(key, None)
            if issue is not None:
                kept = {id_: c for id_, c in self._comments.items() if c.issue != issue.id}
                self._comments = kept
            return issue is not None

    def issue(self, key_or_id: str) -> Issue | None:
        """Find an issue."""
        with self._lock:
            return next((i for i in self._issues.values() if key_or_id in {i.key, i.id}), None)

    def issues(self) -> list[Issue]:
        """Return every issue in the order of creation."""
        with self._lock:
            return list(self._issues.values())

    def change_issue(
        self,
        issue: Issue,
        fields: dict[str, Any],
        items: tuple[FieldChange, ...],
        *,
        author: dict[str, Any],
        seconds_ago: float = 0.0,
    ) -> tuple[Issue, str | None]:
        """Set some fields and the time of update; return the issue and the number of the history's entry."""
        at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        with self._lock:
            changed = with_category({**issue.fields, **fields, "updated": stamp(at)})
            self._issues[issue.key] = replace(issue, fields=changed)
            if not items:
                return self._issues[issue.key], None
            change = StoredChange(id=self.next_id(), issue=issue.id, author=author, created=at, items=items)
            self._changes.append(change)
            return self._issues[issue.key], change.id

    def changes_of(self, issue: Issue) -> list[StoredChange]:
        """Return the history of an issue, oldest first."""
        with self._lock:
            theirs = [change for change in self._changes if change.issue == issue.id]
            return sorted(theirs, key=lambda change: change.created)

    def add_comment(self, issue: Issue, comment: StoredComment) -> StoredComment | None:
        """Store a comment, or return None where the issue is full; listeners hear of it afterwards."""
        with self._lock:
            if len(self.comments_of(issue)) >= self.behaviour.max_comments:
                return None
            if self.behaviour.drops_internal:
                comment = replace(comment, internal=False)
            current = self._issues.get(issue.key)
            # An issue that was deleted a moment ago took its comments with it, this one too.
            if current is not None:
                self._comments[comment.id] = comment
                told = {**current.fields, "updated": stamp(comment.created)}
                self._issues[issue.key] = replace(current, fields=told)
        for listener in self.listeners:
            listener(issue, comment)
        return comment

    def comments_of(self, issue: Issue) -> list[StoredComment]:
        """Return the comments of an issue, oldest first."""
        with self._lock:
            return [comment for comment in self._comments.values() if comment.issue == issue.id]

    def comments(self) -> list[tuple[str, StoredComment]]:
        """Return every comment with the key of its issue."""
        with self._lock:
            keys = {issue.id: issue.key for issue in self._issues.values()}
            return [(keys[c.issue], c) for c in self._comments.values()]

    def comment(self, comment_id: str) -> StoredComment | None:
        """Find a comment."""
        with self._lock:
            return self._comments.get(comment_id)

    def delete_comment(self, comment_id: str) -> None:
        """Delete a comment."""
        with self._lock:
            self._comments.pop(comment_id, None)

    def set_properties(self, comment: StoredComment, properties: tuple[tuple[str, Any], ...]) -> None:
        """Replace the properties of a comment; the JSM one decides who sees it."""
        internal = internal_by(dict(properties))
        with self._lock:
            self._comments[comment.id] = replace(comment, properties=properties, internal=internal)


_CATEGORIES = {
    "new": ("open", "to do", "new", "waiting for support"),
    "done": ("done", "closed", "resolved", "canceled", "declined"),
}


def with_category(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields whose status says its category; one that is not known here is in progress."""
    status = fields.get("status")
    if not isinstance(status, dict) or "statusCategory" in status:
        return fields
    name = str(status.get("name", "")).lower()
    key = next((key for key, names in _CATEGORIES.items() if name in names), "indeterminate")
    return {**fields, "status": {**status, "statusCategory": {"key": key}}}


def internal_by(properties: dict[str, Any]) -> bool:
    """Say whether the JSM property makes a comment internal."""
    value = properties.get("sd.public.comment")
    return isinstance(value, dict) and value.get("internal") is True


def account_of(authorization: str) -> Account | None:
    """Return who an Authorization header belongs to."""
    accounts = (
        (known.basic(known.JIRA_CLOUD_USERNAME, known.JIRA_CLOUD_TOKEN), BRIDGE_CLOUD),
        (known.basic(known.JIRA_DATACENTER_USERNAME, known.JIRA_DATACENTER_PASSWORD), BRIDGE_DATACENTER),
        (known.bearer(known.JIRA_DATACENTER_TOKEN), BRIDGE_DATACENTER),
    )
    return next((account for header, account in accounts if known.same(authorization, header)), None)


def stamp(moment: datetime) -> str:
    """Return a time as Jira writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}+0000"
