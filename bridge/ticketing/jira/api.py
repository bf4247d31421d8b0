"""What every request to Jira's REST API and every refusal of it have in common.

It must not know what is asked or written.
"""

import json
from typing import Final
from urllib.parse import quote

import re2

from bridge.errors import Reason
from bridge.models import HttpRequest, HttpResponse, Json, NotPosted, NotRead, PostFailure
from bridge.ticketing import answers
from bridge.ticketing.jira.config import JiraConfig
from bridge.ticketing.payloads import entries, members, text

NUMBER: Final = re2.compile(r"[0-9]{1,19}")
STATUSES: Final[answers.StatusTable] = {
    400: (PostFailure.PERMANENT, Reason.REJECTED),
    401: (PostFailure.LATER, Reason.UNAUTHORIZED),  # a token that expired is replaced within hours
    403: (PostFailure.PERMANENT, Reason.FORBIDDEN),
    404: (PostFailure.PERMANENT, Reason.NOT_FOUND),
    408: (PostFailure.LATER, Reason.SERVER_ERROR),
    409: (PostFailure.LATER, Reason.REJECTED),
    413: (PostFailure.PERMANENT, Reason.REJECTED),
    425: (PostFailure.LATER, Reason.SERVER_ERROR),
    429: (PostFailure.LATER, Reason.RATE_LIMITED),
}


def refusal(response: HttpResponse) -> NotPosted:
    """Say what a status that is not success means, in Jira's own words."""
    if response.header("x-authentication-denied-reason"):
        # Data Center asks for a captcha after failed logins: a person can mend it, the ticket is fine.
        detail = f"HTTP {response.status}: log in once with a browser (captcha)"
        return NotPosted(failure=PostFailure.LATER, reason=Reason.UNAUTHORIZED, detail=detail)
    content = members(answers.read_json(response))
    messages = [text(message) for message in entries(content.get("errorMessages"))]
    messages += [text(message) for message in members(content.get("errors")).values()]
    messages.append(text(content.get("errorMessage")))
    message = "; ".join(message for message in messages if message)
    return answers.refusal(response, STATUSES, message or None)


def not_read(response: HttpResponse, *, of_ticket: bool = False) -> NotRead:
    """Say what a status that is not success means for what was asked; a missing ticket is gone."""
    return answers.not_read(refusal(response), of_ticket=of_ticket)


def number(given: str) -> str:
    """Return an issue or comment number as one part of a path."""
    if NUMBER.fullmatch(given) is None:
        raise ValueError("an issue or comment of Jira is addressed by its number")
    return quote(given, safe="")


def request(config: JiraConfig, method: str, path: str, body: Json = None) -> HttpRequest:
    """Return a request with our credentials; `path` starts with a slash, `body` goes as JSON."""
    headers = [("Accept", "application/json"), ("Authorization", config.authorization)]
    if body is not None:
        headers.append(("Content-Type", "application/json"))
    content = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8")
    return HttpRequest(method=method, url=config.api_url + path, headers=tuple(headers), body=content)
