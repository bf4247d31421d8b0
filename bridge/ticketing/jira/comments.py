"""Write, find and remove comments over Jira's REST API, and read what it answers.

It must not compose a comment's text.
"""

import json
from typing import Final
from urllib.parse import urlencode

from bridge.models import (
    HttpRequest,
    HttpResponse,
    Json,
    MarkerAbsent,
    MorePages,
    NotPosted,
    OwedComment,
    Person,
    Posted,
    TicketRef,
    Visibility,
)
from bridge.ticketing import Exposed, answers, marks
from bridge.ticketing.jira import adf, adf_text, api
from bridge.ticketing.jira.config import JiraConfig
from bridge.ticketing.jira.issue import person
from bridge.ticketing.payloads import entries, members, text

PROPERTY: Final = "nexthink-bridge"
PAGE_SIZE: Final = 100


def account_request(config: JiraConfig) -> HttpRequest:
    """Ask who we are."""
    return api.request(config, "GET", f"/rest/api/{_version(config)}/myself")


def read_account(config: JiraConfig, response: HttpResponse) -> Person | NotPosted:
    """Return our account under every name that a webhook may carry for it."""
    if response.status != 200:
        return api.refusal(response)
    account = person(answers.read_json(response))
    if account is None or not (account.id or account.login):
        return answers.unreadable(response)
    username = config.username
    if username is None or account.email or account.login:
        return account
    # Cloud hides addresses, even from their owner; ours is the name that we log in with.
    return Person(id=account.id, name=account.name, email=username, login=account.login)


def comment_request(config: JiraConfig, ticket: TicketRef, comment: OwedComment) -> HttpRequest:
    """Add a comment; its own text says whether it was dressed as ADF or as wiki text."""
    internal = comment.visibility is Visibility.INTERNAL
    document = config.deployment == "cloud" and comment.text.startswith(adf.START)
    if internal and config.internal_comments == "jsm" and not document:
        path = f"/rest/servicedeskapi/request/{api.number(ticket.uid)}/comment"
        return api.request(config, "POST", path, {"body": comment.text, "public": False})
    properties = [{"key": PROPERTY, "value": {"marker": comment.marker}}]
    if internal:
        properties.append({"key": "sd.public.comment", "value": {"internal": True}})
    content = json.loads(comment.text) if document else comment.text
    path = f"/rest/api/{3 if document else 2}/issue/{api.number(ticket.uid)}/comment"
    return api.request(config, "POST", path, {"body": content, "properties": properties})


def read_comment(response: HttpResponse, comment: OwedComment) -> Posted | Exposed | NotPosted:
    """Say whether the comment stands, and whether customers see what they should not."""
    if not 200 <= response.status < 300:
        return api.refusal(response)
    return _standing(members(answers.read_json(response)), comment) or answers.unreadable(response)


def remove_request(config: JiraConfig, ticket: TicketRef, comment_id: str) -> HttpRequest:
    """Delete a comment."""
    path = f"/rest/api/{_version(config)}/issue/{api.number(ticket.uid)}/comment/{api.number(comment_id)}"
    return api.request(config, "DELETE", path)


def search_request(config: JiraConfig, ticket: TicketRef, start: int) -> HttpRequest:
    """List a page of comments, newest first: one that is added meanwhile moves no other out of sight."""
    query = urlencode(
        {"orderBy": "-created", "startAt": start, "maxResults": PAGE_SIZE, "expand": "properties"}
    )
    return api.request(
        config, "GET", f"/rest/api/{_version(config)}/issue/{api.number(ticket.uid)}/comment?{query}"
    )


def read_search(
    config: JiraConfig, response: HttpResponse, comment: OwedComment, start: int
) -> Posted | Exposed | MarkerAbsent | MorePages | NotPosted:
    """Say whether one of the listed comments is ours."""
    if response.status != 200:
        return api.refusal(response)
    page = members(answers.read_json(response))
    rows, total = page.get("comments"), page.get("total")
    if not isinstance(rows, list) or not isinstance(total, int):
        return answers.unreadable(response)
    for row in rows:
        if _is_ours(config, members(row), comment.marker):
            return _standing(members(row), comment) or answers.unreadable(response)
    following = start + len(rows)
    return MorePages(start=following) if rows and following < total else MarkerAbsent()


def _standing(row: dict[str, Json], comment: OwedComment) -> Posted | Exposed | None:
    """Read a comment that Jira shows us: the platform says `jsdPublic`, the JSM route says `public`."""
    number = text(row.get("id"))
    if number is None or api.NUMBER.fullmatch(number) is None:
        return None
    shown = row.get("jsdPublic") is True or row.get("public") is True
    if shown and comment.visibility is Visibility.INTERNAL:
        return Exposed(id=number)
    return Posted(id=number)


def _is_ours(config: JiraConfig, row: dict[str, Json], marker: str) -> bool:
    """Say whether a comment carries the marker as a property, or in its text where properties are not used.

    Anyone can write our marker into a comment; only who may write properties can set ours.
    """
    properties = [members(entry) for entry in entries(row.get("properties"))]
    ours = [members(entry.get("value")) for entry in properties if entry.get("key") == PROPERTY]
    if ours:
        return any(value.get("marker") == marker for value in ours)
    if "properties" in row and config.internal_comments == "property":
        return False
    return not _by_another(config, row) and marks.carries(adf_text.flatten(row.get("body")) or "", marker)


def _by_another(config: JiraConfig, row: dict[str, Json]) -> bool:
    """Say whether a comment is certainly not ours; Cloud's authors cannot be compared with a login."""
    author = person(row.get("author"))
    if config.deployment == "cloud" or config.username is None or author is None or author.login is None:
        return False
    return author.login.lower() != config.username.lower()


def _version(config: JiraConfig) -> int:
    return 3 if config.rich else 2
