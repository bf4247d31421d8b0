"""Ask Jira which issues changed lately.

It must not trust the query for the time: JQL reads times in our account's own zone, so each row is looked at.
"""

from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from bridge.models import HttpRequest, HttpResponse, Json
from bridge.ticketing import ChangedTicket, Conversation, answers
from bridge.ticketing.jira.api import not_read, request
from bridge.ticketing.jira.config import JiraConfig
from bridge.ticketing.jira.issue import find_issue, reference
from bridge.ticketing.payloads import members, moment_of_text, text

_PAGE: Final = 100
_MOST_PAGES: Final = 20  # two thousand tickets
# A day is further than any two time zones are apart.
_ZONES: Final = timedelta(days=1)


def fetch(config: JiraConfig, since: datetime) -> Conversation[tuple[ChangedTicket, ...]]:
    """Ask for pages of issues, the newest change first: what changes meanwhile moves towards the first page.

    With the oldest first, an issue that changes between two pages would push another one out of sight.
    """
    found: dict[str, ChangedTicket] = {}
    start: str | None = None
    for page in range(_MOST_PAGES):
        response = yield _search(config, since, page * _PAGE, start)
        if response.status != 200:
            return not_read(response)
        listed = _read(config, response)
        if listed is None:
            return answers.not_understood(response)
        tickets, start = listed
        for changed in tickets:
            if changed.at >= since:
                found.setdefault(changed.ref.uid, changed)
        if start is None or any(changed.at < since for changed in tickets):
            return tuple(sorted(found.values(), key=lambda changed: changed.at))
    return answers.incomplete(f"more issues changed since {since:%Y-%m-%d %H:%M} UTC than are read")


def _search(config: JiraConfig, since: datetime, offset: int, token: str | None) -> HttpRequest:
    """Ask for a page: Cloud counts with a token, Data Center with an offset."""
    bound = f'updated >= "{since - _ZONES:%Y-%m-%d}"'
    narrowed = f"({config.reconcile_jql}) AND {bound}" if config.reconcile_jql else bound
    query = {"jql": f"{narrowed} ORDER BY updated DESC", "maxResults": str(_PAGE), "fields": "updated"}
    if config.deployment == "cloud":
        query |= {"nextPageToken": token} if token else {}
        return request(config, "GET", f"/rest/api/3/search/jql?{urlencode(query)}")
    return request(config, "GET", f"/rest/api/2/search?{urlencode(query | {'startAt': str(offset)})}")


def _read(config: JiraConfig, response: HttpResponse) -> tuple[tuple[ChangedTicket, ...], str | None] | None:
    """Return the issues of a page and what the next one is asked with; None where it cannot be read."""
    content = members(answers.read_json(response))
    rows = content.get("issues")
    if not isinstance(rows, list):
        return None
    changed = tuple(_changed(config, members(row)) for row in rows)
    tickets = tuple(each for each in changed if each is not None)
    if len(tickets) < len(rows):
        return None
    if config.deployment == "cloud":
        return tickets, text(content.get("nextPageToken"))
    start, total = content.get("startAt"), content.get("total")
    if not isinstance(start, int) or not isinstance(total, int):
        return None
    return tickets, "more" if rows and start + len(rows) < total else None


def _changed(config: JiraConfig, row: dict[str, Json]) -> ChangedTicket | None:
    issue = find_issue(row)
    at = moment_of_text(issue.fields.get("updated")) if issue else None
    return ChangedTicket(ref=reference(config, issue), at=at) if issue and at else None
