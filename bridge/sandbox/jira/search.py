"""The issue search: as much of JQL as a search for changed issues needs, in the form of each deployment.

It must not guess what a clause means: what it does not know is refused, as Jira refuses a typing mistake.
"""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, jsonify, request

from bridge.sandbox.jira.reception import account, number_of, refuse_version
from bridge.sandbox.jira.site import Deployment, Issue, JiraSite
from bridge.sandbox.jira.writing import JiraError

_PAGE = 50
_MOST = 100
_SINCE = re.compile(r'updated >= "(\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2})?)"', re.IGNORECASE)
_EQUALS = re.compile(r'(project|status|labels) = (?:"([^"]*)"|(\w+))', re.IGNORECASE)
_ORDER = re.compile(r"\s*ORDER BY updated (ASC|DESC)\s*$", re.IGNORECASE)


def routes(site: JiraSite, url: Callable[[], str]) -> Blueprint:
    """Return the searches: Cloud's counts with tokens, Data Center's with offsets."""
    blueprint = Blueprint("jira_search", __name__)

    def shown(issue: Issue, version: int) -> dict[str, Any]:
        wanted = request.args.get("fields", "").split(",")
        fields = {name: value for name, value in issue.fields.items() if name in wanted}
        address = f"{url()}/rest/api/{version}/issue/{issue.id}"
        return {"id": issue.id, "key": issue.key, "self": address, "fields": fields}

    @blueprint.get("/rest/api/<int:version>/search/jql")
    def by_token(version: int) -> Response:
        refuse_version(version)
        if account().deployment is not Deployment.CLOUD:
            raise JiraError(404, "null for uri")
        found = _found(site)
        start, size = _start(request.args.get("nextPageToken")), _size()
        some = found[start : start + size]
        last = start + size >= len(found)
        answer = {"issues": [shown(issue, version) for issue in some], "isLast": last}
        return jsonify(answer if last else answer | {"nextPageToken": _token(start + size)})

    @blueprint.get("/rest/api/<int:version>/search")
    def by_offset(version: int) -> Response:
        refuse_version(version)
        if account().deployment is Deployment.CLOUD:
            raise JiraError(410, "The requested API has been removed. Migrate to /rest/api/3/search/jql.")
        found = _found(site)
        start, size = number_of("startAt", 0), _size()
        some = found[start : start + size]
        page = {"startAt": start, "maxResults": size, "total": len(found)}
        return jsonify(page | {"issues": [shown(issue, version) for issue in some]})

    return blueprint


def _size() -> int:
    return min(number_of("maxResults", _PAGE), _MOST)


def _token(start: int) -> str:
    return base64.urlsafe_b64encode(f"start={start}".encode()).decode()


def _start(token: str | None) -> int:
    if token is None:
        return 0
    try:
        text = base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, ValueError):
        text = ""
    if not text.removeprefix("start=").isdigit():
        raise JiraError(400, "The nextPageToken is not valid.")
    return int(text.removeprefix("start="))


def _found(site: JiraSite) -> list[Issue]:
    """Return the issues that the query asks for, in its order."""
    jql = request.args.get("jql", "")
    order = _ORDER.search(jql)
    where = _ORDER.sub("", jql).strip()
    if not where and account().deployment is Deployment.CLOUD:
        raise JiraError(400, "Unbounded JQL queries are not allowed here. Please add a search restriction.")
    tests = [_test(clause) for clause in _clauses(where)]
    found = [issue for issue in site.issues() if all(test(issue) for test in tests)]
    if order:
        found.sort(key=_updated, reverse=order.group(1).upper() == "DESC")
    return found


def _clauses(where: str) -> list[str]:
    """Return the clauses of a query: joined by AND, some of them in brackets of their own."""
    bare = where.replace("(", " ").replace(")", " ")
    return [" ".join(clause.split()) for clause in re.split(r"\bAND\b", bare, flags=re.IGNORECASE)]


def _test(clause: str) -> Callable[[Issue], bool]:
    if since := _SINCE.fullmatch(clause):
        # Times of a query are in the zone of whoever asks.
        at = datetime.fromisoformat(since.group(1)).replace(tzinfo=ZoneInfo(account().person["timeZone"]))
        return lambda issue: _updated(issue) >= at
    if equals := _EQUALS.fullmatch(clause):
        field, wanted = equals.group(1).lower(), equals.group(2) or equals.group(3)
        return lambda issue: wanted in _values(issue, field)
    raise JiraError(400, f"Error in the JQL Query: '{clause}' is not understood.")


def _values(issue: Issue, field: str) -> tuple[str, ...]:
    value = issue.fields.get(field) or {}
    if field == "labels":
        return tuple(value)
    return tuple(str(value[name]) for name in ("key", "name") if name in value)


def _updated(issue: Issue) -> datetime:
    return datetime.fromisoformat(issue.fields["updated"])
