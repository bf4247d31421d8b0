"""What every request to ServiceNow's Table API and every refusal of it have in common.

It must not know what is asked or written.
"""

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

import re2

from bridge.errors import Reason
from bridge.models import HttpRequest, HttpResponse, Json, NotPosted, PostFailure, TicketRef
from bridge.ticketing import answers
from bridge.ticketing.payloads import members, text
from bridge.ticketing.servicenow.config import ServiceNowConfig
from bridge.ticketing.servicenow.record import is_sys_id

_TABLE: Final = r"[a-z0-9_]{1,80}"

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


def record_path(ticket: TicketRef) -> str:
    """Return the path of a record, of two checked parts."""
    table = ticket.table or ""
    if re2.fullmatch(_TABLE, table) is None:
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
