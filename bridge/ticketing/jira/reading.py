"""Read an issue back, with what changed in it and who commented since a time.

It must not believe an order or a completeness that Jira does not show: what is missing makes it NotRead.
"""

from collections.abc import Generator
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from bridge.models import (
    FetchedTicket,
    HistoryEntry,
    HttpRequest,
    HttpResponse,
    Json,
    NotRead,
    Person,
    TicketRef,
)
from bridge.ticketing import Conversation, answers
from bridge.ticketing.jira import changelog
from bridge.ticketing.jira.api import NUMBER, not_read, number, request
from bridge.ticketing.jira.config import JiraConfig
from bridge.ticketing.jira.issue import Issue, find_issue, person, reference, ticket
from bridge.ticketing.payloads import entries, members, moment_of_text, text

_PAGE: Final = 100
# Comments are asked for by themselves, and what was said is nothing that a mapping reads.
_FIELDS: Final = "*all,-comment,-worklog"
_MOST_PAGES: Final = 10  # a thousand changes or comments since the time that is asked about

_Step = Generator[HttpRequest, HttpResponse, tuple[Json, ...] | NotRead]


def fetch(config: JiraConfig, ref: TicketRef, since: datetime) -> Conversation[FetchedTicket]:
    """Ask for an issue, then for older changes and for comments as far back as `since`.

    Version 2 of the API on Cloud too: its texts are wiki text, as in the webhooks, so one mapping reads both.
    """
    query = urlencode({"fields": _FIELDS, "expand": "changelog"})
    response = yield request(config, "GET", f"{_issue_path(ref)}?{query}")
    if response.status != 200:
        return not_read(response, of_ticket=True)
    content = members(answers.read_json(response))
    issue = find_issue(content)
    if issue is None or issue.id != ref.uid or not issue.fields:
        return answers.not_understood(response)
    histories = yield from _histories(config, ref, since, members(content.get("changelog")), response)
    if isinstance(histories, NotRead):
        return histories
    comments = yield from _comments(config, ref, since)
    if isinstance(comments, NotRead):
        return comments
    return _ticket(config, issue, since, histories, comments) or answers.not_understood(response)


def _histories(
    config: JiraConfig, ref: TicketRef, since: datetime, listed: dict[str, Json], response: HttpResponse
) -> _Step:
    """Return every change since a time, and perhaps older ones.

    The issue comes with its newest changes (Cloud) or with all (Data Center). Where older ones may still be
    since the time, Cloud is asked for its changelog page by page from the end: it starts with the oldest.
    """
    found, total = entries(listed.get("histories")), listed.get("total")
    if not isinstance(total, int):
        return answers.not_understood(response)
    known = len(found)
    times = [_time(change) for change in found]
    if known < total and times != sorted(times, reverse=True, key=_or_first):
        return answers.not_understood(response)
    for _ in range(_MOST_PAGES):
        if known >= total or _reaches(found, since):
            return tuple(found)
        if config.deployment != "cloud":
            break
        start = max(0, total - known - _PAGE)
        query = urlencode({"startAt": start, "maxResults": total - known - start})
        response = yield request(config, "GET", f"{_issue_path(ref)}/changelog?{query}")
        if response.status != 200:
            return not_read(response, of_ticket=True)
        page = entries(members(answers.read_json(response)).get("values"))
        if not page:
            return answers.not_understood(response)
        found, known = [*page, *found], known + len(page)
    return answers.incomplete(f"not every change since {since:%Y-%m-%d %H:%M} UTC was shown")


def _comments(config: JiraConfig, ref: TicketRef, since: datetime) -> _Step:
    """Return every comment since a time, and perhaps older ones; the newest page is asked for first."""
    found: list[Json] = []
    for _ in range(_MOST_PAGES):
        query = urlencode({"orderBy": "-created", "startAt": len(found), "maxResults": _PAGE})
        response = yield request(config, "GET", f"{_issue_path(ref)}/comment?{query}")
        if response.status != 200:
            return not_read(response, of_ticket=True)
        content = members(answers.read_json(response))
        page, total = content.get("comments"), content.get("total")
        if not isinstance(page, list) or not isinstance(total, int):
            return answers.not_understood(response)
        found += page
        if not page or len(found) >= total or _reaches(page, since):
            return tuple(found)
    return answers.incomplete(f"not every comment since {since:%Y-%m-%d %H:%M} UTC was shown")


def _ticket(
    config: JiraConfig,
    issue: Issue,
    since: datetime,
    histories: tuple[Json, ...],
    comments: tuple[Json, ...],
) -> FetchedTicket | None:
    """Return the whole ticket; None where it does not say whether it is done, or a row cannot be read."""
    category = text(members(members(issue.fields.get("status")).get("statusCategory")).get("key"))
    history = [_entry(members(change)) for change in histories]
    written = [_comment(members(row)) for row in comments]
    if category is None or None in history or None in written:
        return None
    ref = reference(config, issue)
    reporter = person(issue.fields.get("reporter")) or Person()
    assignee = person(issue.fields.get("assignee")) or Person()
    return FetchedTicket(
        ref=ref,
        ticket=ticket(ref, issue),
        fields=issue.fields,
        payload={"issue": {name: value for name, value in issue.content.items() if name != "changelog"}},
        closed=category == "done",
        created_at=moment_of_text(issue.fields.get("created")),
        created_by=person(issue.fields.get("creator")),
        updated_at=moment_of_text(issue.fields.get("updated")),
        updated_by=_newest_author(issue, history, written),
        history=tuple(
            sorted(
                {entry.key: entry for entry in history if entry and entry.at >= since}.values(),
                key=lambda entry: entry.at,
            )
        ),
        comments=tuple(
            sorted(
                {row[0]: row for row in written if row and row[2] >= since}.values(), key=lambda row: row[2]
            )
        ),
        roles=(("person", reporter), ("reporter", reporter), ("assignee", assignee)),
    )


def _newest_author(
    issue: Issue,
    history: list[HistoryEntry | None],
    written: list[tuple[str, Person, datetime] | None],
) -> Person | None:
    """Return who made the newest change or comment, the creator where there is none."""
    made = [(entry.at, entry.actor) for entry in history if entry]
    made += [(at, author) for _, author, at in (row for row in written if row)]
    if not made:
        return person(issue.fields.get("creator"))
    return max(made, key=lambda each: each[0])[1]


def _entry(change: dict[str, Json]) -> HistoryEntry | None:
    change_id, at = _id(change), _time(change)
    if change_id is None or at is None:
        return None
    # Jira names nobody where an app or a deleted user made the change.
    actor = person(change.get("author")) or Person()
    return HistoryEntry(key=f"changelog:{change_id}", at=at, actor=actor, changes=changelog.changes(change))


def _comment(row: dict[str, Json]) -> tuple[str, Person, datetime] | None:
    comment_id, at = _id(row), _time(row)
    if comment_id is None or at is None:
        return None
    return comment_id, person(row.get("author")) or Person(), at


def _reaches(rows: list[Json], since: datetime) -> bool:
    """Say whether one of these rows is older than a time, so that nothing since then is further back."""
    return any(at < since for at in map(_time, rows) if at is not None)


def _id(row: dict[str, Json]) -> str | None:
    given = text(row.get("id"))
    return given if given is not None and NUMBER.fullmatch(given) else None


def _time(row: Json) -> datetime | None:
    return moment_of_text(members(row).get("created"))


def _or_first(at: datetime | None) -> float:
    return 0.0 if at is None else at.timestamp()


def _issue_path(ref: TicketRef) -> str:
    return f"/rest/api/2/issue/{number(ref.uid)}"
