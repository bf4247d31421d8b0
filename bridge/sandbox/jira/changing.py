"""The REST routes of the simulated Jira that change an issue: transitions, its assignee, its labels.

It must not be more forgiving than the real one: a transition that a status does not offer is refused.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, request

from bridge.sandbox.jira.people import Directory
from bridge.sandbox.jira.reception import account, find_issue, json_body, refuse_version
from bridge.sandbox.jira.site import (
    Account,
    Deployment,
    FieldChange,
    Issue,
    JiraSite,
    with_category,
)
from bridge.sandbox.jira.writing import JiraError

# The workflow of every project here: each status leads to each other one, but out of Closed only Reopen does.
_STATUSES = {
    "10100": "Waiting for support",
    "10101": "Approved",
    "10102": "In Progress",
    "10103": "Done",
    "10104": "Closed",
}
_CLOSED = "10104"
_REOPENED = "10102"

# Told of every change over REST: the issue as it is now, who changed it, what, and the history's number.
Changed = Callable[[Issue, Account, tuple[FieldChange, ...], str], None]


def routes(site: JiraSite, directory: Directory, url: Callable[[], str], changed: Changed) -> Blueprint:
    """Return the routes; `changed` hears of every change that was carried out."""
    blueprint = Blueprint("jira_changing", __name__)
    _add_reading_routes(blueprint, site, directory, url)

    def store(issue: Issue, fields: dict[str, Any], change: FieldChange) -> tuple[str, int]:
        stored, number = site.change_issue(issue, fields, (change,), author=account().person)
        changed(stored, account(), (change,), number or "")
        return "", 204

    @blueprint.post("/rest/api/<int:version>/issue/<key>/transitions")
    def transition(version: int, key: str) -> tuple[str, int]:
        refuse_version(version)
        issue = find_issue(site, key)
        wanted = _member(_member(json_body(), "transition"), "id")
        found = next((each for each in _offered(issue, url()) if each["id"] == wanted), None)
        if found is None:
            raise JiraError(400, f"Transition id '{wanted}' is not valid for this issue.")
        if found["hasScreen"] and site.behaviour.screens_ask:
            raise JiraError(400, errors={"resolution": "Please select a valid resolution."})
        before = issue.fields["status"]
        status = {"id": found["to"]["id"], "name": found["to"]["name"]}
        change = FieldChange(
            field="status",
            before=before["name"],
            after=status["name"],
            before_id=before.get("id"),
            after_id=status["id"],
        )
        return store(issue, {"status": status}, change)

    @blueprint.put("/rest/api/<int:version>/issue/<key>/assignee")
    def assign(version: int, key: str) -> tuple[str, int]:
        refuse_version(version)
        issue = find_issue(site, key)
        name = "accountId" if account().deployment is Deployment.CLOUD else "name"
        member = directory.find(name, _member(json_body(), name))
        if member is None:
            raise JiraError(400, errors={"assignee": "The user does not exist or cannot be assigned issues."})
        before = issue.fields.get("assignee") or {}
        change = FieldChange(
            field="assignee", before=before.get("displayName"), after=member.person["displayName"]
        )
        return store(issue, {"assignee": member.person}, change)

    @blueprint.put("/rest/api/<int:version>/issue/<key>")
    def edit(version: int, key: str) -> tuple[str, int]:
        refuse_version(version)
        issue = find_issue(site, key)
        labels = [*issue.fields.get("labels", []), *_added_labels(json_body(), site)]
        kept = list(dict.fromkeys(labels))
        change = FieldChange(
            field="labels", before=" ".join(issue.fields.get("labels", [])), after=" ".join(kept)
        )
        return store(issue, {"labels": kept}, change)

    return blueprint


def _add_reading_routes(
    blueprint: Blueprint, site: JiraSite, directory: Directory, url: Callable[[], str]
) -> None:
    @blueprint.get("/rest/api/<int:version>/issue/<key>/transitions")
    def offered(version: int, key: str) -> Response:
        refuse_version(version)
        return jsonify({"transitions": _offered(find_issue(site, key), url())})

    @blueprint.get("/rest/api/<int:version>/status")
    def statuses(version: int) -> Response:
        refuse_version(version)
        return jsonify([_status(number, url()) for number in _STATUSES])

    @blueprint.get("/rest/api/3/user")
    def user() -> Response:
        refuse_version(3)
        member = directory.find("accountId", request.args.get("accountId", ""))
        if member is None:
            raise JiraError(404, "Specified user does not exist or you do not have required permissions")
        return jsonify(member.person)


def _offered(issue: Issue, url: str) -> list[dict[str, Any]]:
    """Return the transitions from here; their ids differ from status to status, as in a real workflow."""
    now = issue.fields.get("status") or {}
    here = next((number for number, name in _STATUSES.items() if name == now.get("name")), "0")
    targets = (_REOPENED,) if here == _CLOSED else tuple(each for each in _STATUSES if each != here)
    return [
        {
            "id": f"{int(here) % 100}{number}{int(target) % 100}",
            "name": "Reopen" if here == _CLOSED else f"To {_STATUSES[target]}",
            "to": _status(target, url),
            "hasScreen": target == _CLOSED,
            "isAvailable": True,
        }
        for number, target in enumerate(targets, 1)
    ]


def _status(number: str, url: str) -> dict[str, Any]:
    status = with_category({"status": {"id": number, "name": _STATUSES[number]}})["status"]
    return {"self": f"{url}/rest/api/2/status/{number}", **status}


def _added_labels(document: Any, site: JiraSite) -> list[str]:
    operations = _member(_member(document, "update"), "labels")
    if set(document) != {"update"} or set(document["update"]) != {"labels"}:
        raise JiraError(400, "only labels can be edited here")
    if site.behaviour.labels_off_screen:
        message = "Field 'labels' cannot be set. It is not on the appropriate screen, or unknown."
        raise JiraError(400, errors={"labels": message})
    labels = [str(_member(operation, "add")) for operation in operations]
    if any(" " in label for label in labels):
        raise JiraError(400, errors={"labels": "The label can't contain spaces."})
    return labels


def _member(document: Any, name: str) -> Any:
    if not isinstance(document, dict) or name not in document:
        raise JiraError(400, f"'{name}' is missing")
    return document[name]
