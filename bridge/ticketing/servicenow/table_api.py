"""What every request to ServiceNow's Table API and every refusal of it have in common.

It must not know what is asked or written.
"""

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

import re2

from bridge.errors import Reason
from bridge.models import HttpRequest, HttpResponse, Json, NotPosted, NotRead, PostFailure, TicketRef
from bridge.ticketing import answers
from bridge.ticketing.payloads import members, text
from bridge.ticketing.servicenow.config import ServiceNowConfig
from bridge.ticketing.servicenow.record import is_sys_id, moment

_TABLE: Final = re2.compile(r"[a-z0-9_]{1,80}")
_PAGE: Final = 100
_MOST_PAGES: Final = 20
# A day is further than any time zone is from UTC.
_ZONES: Final = timedelta(days=1)

STATUSES: Final[answers.StatusTable] = {
    400: (PostFailure.PERMANENT, Reason.REJECTED),
    401: (PostFailure.LATER, Reason.UNAUTHORIZED),  # a password that expired is replaced within hours
    403: (PostFailure.PERMANENT, Reason.FORBIDDEN),
    404: (PostFailure.PERMANENT, Reason.NOT_FOUND),
    408: (PostFailure.LATER, Reason.SERVER_ERROR),
    413: (PostFailure.PERMANENT, Reason.REJECTED),
    429: (PostFailure.LATER, Reason.RATE_LIMITED),
}


def refusal(response: HttpResponse) -> NotPosted:
    """Say what a status that is not success means, in ServiceNow's own words."""
    error = members(members(answers.read_json(response)).get("error"))
    parts = (text(error.get("message")), text(error.get("detail")))
    return answers.refusal(response, STATUSES, ": ".join(part for part in parts if part) or None)


def not_read(response: HttpResponse, *, of_ticket: bool = False) -> NotRead:
    """Say what a status that is not success means for what was asked; a missing ticket is gone."""
    return answers.not_read(refusal(response), of_ticket=of_ticket)


def record_path(ticket: TicketRef) -> str:
    """Return the path of a record, of two checked parts."""
    table = ticket.table or ""
    if _TABLE.fullmatch(table) is None:
        raise ValueError("a record of ServiceNow is addressed by its table")
    return f"/api/now/table/{quote(table, safe='')}/{sys_id(ticket)}"


def sys_id(ticket: TicketRef) -> str:
    """Return what addresses a record, checked."""
    if not is_sys_id(ticket.uid):
        raise ValueError("a record of ServiceNow is addressed by its sys_id")
    return ticket.uid


def request(
    config: ServiceNowConfig, method: str, path: str, query: Mapping[str, str], body: Json = None
) -> HttpRequest:
    """Return a request with our credentials; `path` starts with a slash, `body` goes as JSON."""
    # The platform answers 400 where either of the two types is missing.
    headers = (
        ("Accept", "application/json"),
        ("Content-Type", "application/json"),
        config.authorization,
    )
    url = f"{config.api_url}{path}?{urlencode(query)}"
    content = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8")
    return HttpRequest(method=method, url=url, headers=headers, body=content)


def rows(response: HttpResponse) -> tuple[dict[str, Json], ...] | None:
    """Return the records of a list; None where there is no list."""
    result = members(answers.read_json(response)).get("result")
    return tuple(map(members, result)) if isinstance(result, list) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What is asked of a table: conditions of our own text and checked values, and the columns to show.

    `at` is the column whose time decides what is new enough.
    """

    table: str
    conditions: tuple[str, ...]
    columns: tuple[str, ...]
    at: str


def newest(
    config: ServiceNowConfig, listing: Listing, since: datetime
) -> Generator[HttpRequest, HttpResponse, tuple[dict[str, Json], ...] | NotRead]:
    """Ask for a table's records since a time, page by page; values as they are stored, the newest first.

    What is added or changes meanwhile moves towards the first page, so nothing older is left out. Each row
    is looked at again: a condition that the platform does not understand is ignored, and no zone is trusted.
    """
    bound = f"{listing.at}>={since - _ZONES:%Y-%m-%d %H:%M:%S}"
    found: dict[str, dict[str, Json]] = {}
    for page in range(_MOST_PAGES):
        query = {
            "sysparm_query": "^".join((*listing.conditions, bound, f"ORDERBYDESC{listing.at}")),
            "sysparm_fields": ",".join(("sys_id", *listing.columns)),
            "sysparm_display_value": "false",
            "sysparm_exclude_reference_link": "true",
            "sysparm_limit": str(_PAGE),
            "sysparm_offset": str(page * _PAGE),
        }
        response = yield request(config, "GET", f"/api/now/table/{listing.table}", query)
        if response.status != 200:
            return not_read(response)
        listed = rows(response)
        if listed is None:
            return answers.not_understood(response)
        old = False
        for row in listed:
            at, key = moment(row.get(listing.at)), text(row.get("sys_id"))
            if at is None or key is None:
                return answers.not_understood(response)
            old = old or at < since
            if at >= since:
                found.setdefault(key, row)
        if old or len(listed) < _PAGE:
            return tuple(found.values())
    return answers.incomplete(f"{listing.table} holds more since {since:%Y-%m-%d %H:%M} UTC than is read")
