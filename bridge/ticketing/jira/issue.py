"""Read an issue as Jira sends it: the same for webhooks and Automation, Cloud and Data Center.

It must not follow or show an address from the payload.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import re2

from bridge.models import Json, Person, Ticket, TicketRef
from bridge.ticketing.jira import adf_text
from bridge.ticketing.jira.config import JiraConfig
from bridge.ticketing.payloads import entries, members, text

_ID: Final = re2.compile(r"[0-9]{1,19}")
_KEY: Final = re2.compile(r"[A-Z][A-Z0-9_]{0,254}-[0-9]{1,19}")
_COMMENT_ADDRESS: Final = re2.compile(r"/rest/api/[0-9a-z]+/issue/([0-9]{1,19})/comment/[0-9]{1,19}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """The two names of an issue, and what was sent of it."""

    id: str
    key: str
    content: dict[str, Json]

    @property
    def fields(self) -> dict[str, Json]:
        return members(self.content.get("fields"))


def find_issue(payload: dict[str, Json]) -> Issue | None:
    """Return the issue of a payload: under `issue`, or the payload itself (Automation)."""
    content = members(payload.get("issue")) or payload
    issue_id, key = text(content.get("id")), text(content.get("key"))
    if issue_id is None or key is None:
        return None
    if _ID.fullmatch(issue_id) is None or _KEY.fullmatch(key) is None:
        return None
    return Issue(id=issue_id, key=key, content=content)


def issue_of_comment(comment: dict[str, Json]) -> Issue | None:
    """Return the issue that a Data Center comment names only by number, inside its own address.

    Its key is not sent, so the number stands for it and nothing of its content is known.
    """
    found = _COMMENT_ADDRESS.search(text(comment.get("self")) or "")
    return Issue(id=found.group(1), key=found.group(1), content={}) if found else None


def reference(config: JiraConfig, issue: Issue) -> TicketRef:
    """Return where to write to; the address is made from the configured site, never from the payload."""
    known_key = issue.key != issue.id
    url = f"{config.browse_url}/browse/{quote(issue.key, safe='')}" if known_key else None
    return TicketRef(source=config.source, uid=issue.id, key=issue.key, url=url)


def ticket(ref: TicketRef, issue: Issue) -> Ticket:
    """Return an issue under the names of the mapping language."""
    fields = issue.fields
    return Ticket(
        key=ref.key,
        uid=ref.uid,
        url=ref.url,
        project=text(members(fields.get("project")).get("key")) or _project_of(issue),
        type=text(members(fields.get("issuetype")).get("name")),
        request_type=_request_type(fields),
        status=text(members(fields.get("status")).get("name")),
        summary=text(fields.get("summary")),
        description=adf_text.flatten(fields.get("description")),
        priority=text(members(fields.get("priority")).get("name")),
        labels=_labels(fields.get("labels")),
        person=person(fields.get("reporter")) or Person(),
        assignee=person(fields.get("assignee")) or Person(),
        created_at=text(fields.get("created")),
        updated_at=text(fields.get("updated")),
    )


def person(user: Json) -> Person | None:
    """Return a user: Cloud sends an account id and rarely an address, Data Center a name and a key."""
    about = members(user)
    if not about:
        return None
    return Person(
        id=text(about.get("accountId")) or text(about.get("key")),
        name=text(about.get("displayName")),
        email=text(about.get("emailAddress")),
        login=text(about.get("name")),
    )


def _labels(value: Json) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(label for label in value if isinstance(label, str))


def _project_of(issue: Issue) -> str | None:
    """Return the project key that an issue key starts with, for senders that leave the project out."""
    project, _, _ = issue.key.rpartition("-")
    return project or None


def _request_type(fields: dict[str, Json]) -> str | None:
    """Return the JSM request type; it hides in a custom field whose number differs from site to site."""
    for value in fields.values():
        for candidate in entries(value) or (value,):
            # An issue has hundreds of fields, and most hold neither.
            if isinstance(candidate, dict) and "requestType" in candidate:
                name = text(members(candidate["requestType"]).get("name"))
                if name:
                    return name
    return None
