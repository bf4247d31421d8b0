"""The REST routes of the simulated Jira: comments, properties, issues, account, permissions, JSM.

It must not decide what a valid comment is; `writing` does.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from bridge.sandbox.jira import adf
from bridge.sandbox.jira.past import with_issue
from bridge.sandbox.jira.reception import account, find_issue, json_body, number_of, refuse_version
from bridge.sandbox.jira.site import Deployment, Issue, JiraSite, StoredComment, stamp
from bridge.sandbox.jira.writing import JiraError, check_property, read_draft, show, store

_PAGE = 100
_ORDERS = {"created": False, "+created": False, "-created": True}
_PERMISSIONS = (
    "BROWSE_PROJECTS",
    "ADD_COMMENTS",
    "EDIT_ISSUES",
    "ASSIGN_ISSUES",
    "DELETE_OWN_COMMENTS",
    "TRANSITION_ISSUES",
)


def routes(site: JiraSite, url: Callable[[], str]) -> Blueprint:
    """Return the routes; `url` is asked for the site's own address."""
    blueprint = Blueprint("jira", __name__)
    _add_comment_routes(blueprint, site, url)
    _add_property_routes(blueprint, site)
    _add_platform_routes(blueprint, site, url)
    return blueprint


def _find_comment(site: JiraSite, issue: Issue | None, comment_id: str) -> StoredComment:
    comment = site.comment(comment_id)
    if comment is None or (issue is not None and comment.issue != issue.id):
        raise JiraError(404, f"Can not find a comment for the id: {comment_id}.")
    return comment


def _expanded(name: str = "properties") -> bool:
    return name in request.args.get("expand", "").split(",")


# ── comments ─────────────────────────────────────────────────────────────────────────────────────────────


def _add_comment_routes(blueprint: Blueprint, site: JiraSite, url: Callable[[], str]) -> None:
    schema = adf.validator()

    def shown(comment: StoredComment, version: int, *, properties: bool = False) -> dict[str, Any]:
        deployment = account().deployment
        return show(comment, version=version, url=url(), deployment=deployment, properties=properties)

    @blueprint.post("/rest/api/<int:version>/issue/<key>/comment")
    def add(version: int, key: str) -> tuple[Response, int]:
        refuse_version(version)
        issue = find_issue(site, key)
        comment = store(site, issue, account(), read_draft(json_body(), version, schema))
        return jsonify(shown(comment, version)), 201

    @blueprint.get("/rest/api/<int:version>/issue/<key>/comment")
    def page(version: int, key: str) -> Response:
        refuse_version(version)
        order = request.args.get("orderBy", "created").replace(" ", "+")
        if order not in _ORDERS:
            raise JiraError(400, f"'{order}' is not a valid order")
        comments = site.comments_of(find_issue(site, key))
        if _ORDERS[order]:
            comments.reverse()
        start, size = number_of("startAt", 0), min(number_of("maxResults", _PAGE), _PAGE)
        some = comments[start : start + size]
        return jsonify(
            {
                "startAt": start,
                "maxResults": size,
                "total": len(comments),
                "comments": [shown(comment, version, properties=_expanded()) for comment in some],
            }
        )

    @blueprint.post("/rest/api/<int:version>/comment/list")
    def by_ids(version: int) -> Response:
        refuse_version(version)
        document = json_body()
        ids = document.get("ids") if isinstance(document, dict) else None
        if not isinstance(ids, list) or len(ids) > 1_000 or not all(type(id_) is int for id_ in ids):
            raise JiraError(400, "ids must be a list of at most 1000 numbers")
        found = [comment for id_ in ids if (comment := site.comment(str(id_))) is not None]
        values = [shown(comment, version, properties=_expanded()) for comment in found]
        page_of = {"startAt": 0, "maxResults": 1_000, "total": len(found), "isLast": True}
        return jsonify(page_of | {"values": values})

    @blueprint.get("/rest/api/<int:version>/issue/<key>/comment/<comment_id>")
    def get(version: int, key: str, comment_id: str) -> Response:
        refuse_version(version)
        comment = _find_comment(site, find_issue(site, key), comment_id)
        return jsonify(shown(comment, version, properties=_expanded()))

    @blueprint.delete("/rest/api/<int:version>/issue/<key>/comment/<comment_id>")
    def delete(version: int, key: str, comment_id: str) -> tuple[str, int]:
        refuse_version(version)
        site.delete_comment(_find_comment(site, find_issue(site, key), comment_id).id)
        return "", 204


def _add_property_routes(blueprint: Blueprint, site: JiraSite) -> None:
    @blueprint.get("/rest/api/<int:version>/comment/<comment_id>/properties")
    def property_keys(version: int, comment_id: str) -> Response:
        refuse_version(version)
        comment = _find_comment(site, None, comment_id)
        return jsonify({"keys": [{"key": key} for key, _ in comment.properties]})

    @blueprint.get("/rest/api/<int:version>/comment/<comment_id>/properties/<key>")
    def get_property(version: int, comment_id: str, key: str) -> Response:
        refuse_version(version)
        properties = dict(_find_comment(site, None, comment_id).properties)
        if key not in properties:
            raise JiraError(404, f"The property {key} does not exist.")
        return jsonify({"key": key, "value": properties[key]})

    @blueprint.put("/rest/api/<int:version>/comment/<comment_id>/properties/<key>")
    def put_property(version: int, comment_id: str, key: str) -> tuple[str, int]:
        refuse_version(version)
        comment = _find_comment(site, None, comment_id)
        value = json_body()
        check_property(key, value)
        properties = dict(comment.properties)
        status = 200 if key in properties else 201
        site.set_properties(comment, tuple((properties | {key: value}).items()))
        return "", status

    @blueprint.delete("/rest/api/<int:version>/comment/<comment_id>/properties/<key>")
    def delete_property(version: int, comment_id: str, key: str) -> tuple[str, int]:
        refuse_version(version)
        comment = _find_comment(site, None, comment_id)
        kept = tuple((name, value) for name, value in comment.properties if name != key)
        if len(kept) == len(comment.properties):
            raise JiraError(404, f"The property {key} does not exist.")
        site.set_properties(comment, kept)
        return "", 204


# ── issues, account, permissions ─────────────────────────────────────────────────────────────────────────


def _add_platform_routes(blueprint: Blueprint, site: JiraSite, url: Callable[[], str]) -> None:
    @blueprint.get("/rest/api/<int:version>/myself")
    def myself(version: int) -> Response:
        refuse_version(version)
        return jsonify({"self": f"{url()}/rest/api/{version}/user"} | account().person)

    @blueprint.get("/rest/api/<int:version>/serverInfo")
    def server_info(version: int) -> Response:
        refuse_version(version)
        cloud = account().deployment is Deployment.CLOUD
        return jsonify(
            {
                "baseUrl": url(),
                "deploymentType": "Cloud" if cloud else "Server",
                "version": "1001.0.0" if cloud else "10.3.0",
                "serverTime": stamp(datetime.now(UTC)),
                "serverTitle": "Sandbox",
            }
        )

    @blueprint.get("/rest/api/<int:version>/issue/<key>")
    def issue(version: int, key: str) -> Response:
        refuse_version(version)
        found = find_issue(site, key)
        address = f"{url()}/rest/api/{version}/issue/{found.id}"
        wanted = request.args.get("fields", "*all").split(",")
        deployment = account().deployment
        comments = [
            show(comment, version=version, url=url(), deployment=deployment, properties=False)
            for comment in site.comments_of(found)
        ]
        every = found.fields | {"comment": {"comments": comments, "total": len(comments)}}
        # A minus excludes a field; where nothing is named but what is excluded, every other one is meant.
        included = [name for name in wanted if not name.startswith("-")]
        whole = not included or bool({"*all", "*navigable"} & set(included))
        fields = {
            name: value
            for name, value in every.items()
            if f"-{name}" not in wanted and (whole or name in included)
        }
        past = {"changelog": with_issue(site, found, deployment)} if _expanded("changelog") else {}
        return jsonify({"id": found.id, "key": found.key, "self": address, "fields": fields} | past)

    @blueprint.get("/rest/api/<int:version>/mypermissions")
    def my_permissions(version: int) -> Response:
        refuse_version(version)
        wanted = [key for key in request.args.get("permissions", "").split(",") if key]
        if not wanted and account().deployment is Deployment.CLOUD:
            raise JiraError(400, "The 'permissions' query parameter is required.")
        if unknown := [key for key in wanted if key not in _PERMISSIONS]:
            raise JiraError(400, f"Unrecognized permission key(s): {', '.join(unknown)}")
        issue_key = request.args.get("issueKey")
        allowed = issue_key is None or find_issue(site, issue_key).open_for_comments
        return jsonify(
            {
                "permissions": {
                    key: {"key": key, "name": key.replace("_", " ").capitalize(), "havePermission": allowed}
                    for key in wanted or _PERMISSIONS
                }
            }
        )
