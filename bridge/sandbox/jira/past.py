"""The history of an issue as the REST API shows it, with the issue or page by page.

It must not leave out an entry: Cloud shows the newest ones with the issue, and all of them page by page.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify

from bridge.sandbox.jira.reception import account, find_issue, number_of, refuse_version
from bridge.sandbox.jira.site import Deployment, Issue, JiraSite, StoredChange, stamp
from bridge.sandbox.jira.webhooks import item
from bridge.sandbox.jira.writing import JiraError

_PAGE = 100


def routes(site: JiraSite, url: Callable[[], str]) -> Blueprint:
    """Return the route of the changelog, which Cloud alone has."""
    blueprint = Blueprint("jira_past", __name__)

    @blueprint.get("/rest/api/<int:version>/issue/<key>/changelog")
    def page(version: int, key: str) -> Response:
        refuse_version(version)
        if account().deployment is not Deployment.CLOUD:
            raise JiraError(404, "null for uri")
        issue = find_issue(site, key)
        changes = site.changes_of(issue)
        start, size = number_of("startAt", 0), min(number_of("maxResults", _PAGE), _PAGE)
        some = changes[start : start + size]
        return jsonify(
            {
                "self": f"{url()}/rest/api/{version}/issue/{issue.id}/changelog",
                "startAt": start,
                "maxResults": size,
                "total": len(changes),
                "isLast": start + len(some) >= len(changes),
                "values": [_shown(change) for change in some],
            }
        )

    return blueprint


def with_issue(site: JiraSite, issue: Issue, deployment: Deployment) -> dict[str, Any]:
    """Return what `expand=changelog` adds: on Cloud the newest entries first, on Data Center all of them."""
    changes = site.changes_of(issue)
    shown = changes[::-1][:_PAGE] if deployment is Deployment.CLOUD else changes
    return {
        "startAt": 0,
        "maxResults": len(shown),
        "total": len(changes),
        "histories": [_shown(change) for change in shown],
    }


def _shown(change: StoredChange) -> dict[str, Any]:
    return {
        "id": change.id,
        "author": change.author,
        "created": stamp(change.created),
        "items": [item(one) for one in change.items],
    }
