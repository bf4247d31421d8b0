"""Who exists on the simulated Jira and who belongs to which group, as both deployments show it.

It must not be asked who may do what; groups are only told.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, ClassVar

from flask import Blueprint, Flask, Response, jsonify, request
from pydantic import ConfigDict, TypeAdapter

from bridge.sandbox import control
from bridge.sandbox.jira.reception import account, refuse_version
from bridge.sandbox.jira.site import BRIDGE_CLOUD, BRIDGE_DATACENTER, PERSON, Deployment
from bridge.sandbox.jira.writing import JiraError


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberOrder:
    """A user as Jira shows one, and the names of every group of theirs."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    person: dict[str, Any]
    groups: tuple[str, ...]


@dataclass(slots=True)
class Directory:
    """Users with their groups; those who sign in or change issues by default exist from the start."""

    _lock: Lock = field(default_factory=Lock)
    _members: dict[str, MemberOrder] = field(default_factory=dict)

    def reset(self) -> None:
        """Forget everybody who was added, and every group."""
        with self._lock:
            self._members.clear()

    def put(self, member: MemberOrder) -> None:
        """Add a user, or replace their groups."""
        with self._lock:
            self._members[_identifier(member.person)] = member

    def find(self, name: str, value: str) -> MemberOrder | None:
        """Find a user by a member of their record: accountId, name or key."""
        first = (BRIDGE_CLOUD.person, BRIDGE_DATACENTER.person, *PERSON.values())
        known = {_identifier(person): MemberOrder(person=person, groups=()) for person in first}
        with self._lock:
            every = (known | self._members).values()
        return next((member for member in every if member.person.get(name) == value), None)


def _identifier(person: dict[str, Any]) -> str:
    return str(person.get("accountId") or person["key"])


def routes(directory: Directory, url: Callable[[], str]) -> Blueprint:
    """Return the routes that tell a user's groups."""
    blueprint = Blueprint("jira_people", __name__)

    def group(name: str) -> dict[str, Any]:
        return {"name": name, "self": f"{url()}/rest/api/2/group?groupname={name}"}

    @blueprint.get("/rest/api/<int:version>/user/groups")
    def groups(version: int) -> Response:
        refuse_version(version)
        if account().deployment is not Deployment.CLOUD:
            raise JiraError(404, "null for uri")
        member = directory.find("accountId", request.args.get("accountId", ""))
        if member is None:
            raise JiraError(404, "The user does not exist or you do not have permission to see it.")
        return jsonify([group(name) | {"groupId": f"group-{name}"} for name in member.groups])

    @blueprint.get("/rest/api/2/user")
    def user() -> Response:
        if account().deployment is not Deployment.DATACENTER:
            raise JiraError(404, "null for uri")
        name = next((name for name in ("username", "key") if name in request.args), "username")
        value = request.args.get(name, "")
        member = directory.find("name" if name == "username" else name, value)
        if member is None:
            raise JiraError(404, f"The user named '{value}' does not exist")
        expanded = "groups" in request.args.get("expand", "").split(",")
        items = [group(name) for name in member.groups] if expanded else []
        return jsonify(member.person | {"groups": {"size": len(member.groups), "items": items}})

    return blueprint


def add_control(app: Flask, directory: Directory) -> None:
    """Add the control route that puts people into groups."""
    orders = TypeAdapter(MemberOrder)

    @app.put("/_sandbox/people")
    def put_person() -> tuple[str, int]:
        directory.put(control.read(orders))
        return "", 204
