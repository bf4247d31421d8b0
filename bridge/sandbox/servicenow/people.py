"""Control routes for people: users with their groups, and the approvals that are asked of them.

It must not decide what follows from an approval beyond the record's own column `approval`.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from flask import Flask, Response, jsonify
from pydantic import ConfigDict, TypeAdapter

from bridge.sandbox import control
from bridge.sandbox.servicenow.records import Instance, Record, Value, now, plain, reference


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonOrder:
    """A user to be added, or whose groups are to be replaced."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    user_name: str
    name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalOrder:
    """An approval of a record to be asked of a user."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    table: str
    number: str
    approver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionOrder:
    """What is written into an approval; `by` is the user who writes it, the approver if nobody is named."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    state: Literal["requested", "approved", "rejected", "cancelled", "not_required"]
    by: str = ""


def add_control(app: Flask, instance: Instance) -> None:
    """Add the control routes."""
    persons, orders = TypeAdapter(PersonOrder), TypeAdapter(ApprovalOrder)
    decisions = TypeAdapter(DecisionOrder)

    @app.put("/_sandbox/people")
    def put_person() -> Response:
        order = control.read(persons)
        user = _user(instance, order)
        for member in instance.rows("sys_user_grmember"):
            if member.text("user") == user.sys_id:
                instance.delete(member.table, member.sys_id)
        for name in order.groups:
            member_of = reference(_group(instance, name).sys_id, "sys_user_group", display=name)
            who = reference(user.sys_id, "sys_user", display=user.text("name"))
            instance.add("sys_user_grmember", {"user": who, "group": member_of})
        return jsonify({"sys_id": user.sys_id})

    @app.post("/_sandbox/approvals")
    def ask() -> tuple[Response, int]:
        order = control.read(orders)
        record, user = instance.by_number(order.table, order.number), instance.user(order.approver)
        if record is None or user is None:
            raise control.ControlError(404, f"there is no {order.table} {order.number}, or no such user")
        asked = instance.add(
            "sysapproval_approver",
            {
                "sysapproval": reference(record.sys_id, "task", display=order.number),
                "document_id": plain(record.sys_id),
                "source_table": plain(record.table),
                "approver": reference(user.sys_id, "sys_user", display=user.text("name")),
                "state": plain("requested"),
                "sys_updated_on": plain(now()),
                "sys_updated_by": plain("system"),
                "sys_mod_count": plain("0"),
            },
        )
        instance.update(record, {"approval": Value(value="requested", display="Requested")}, by="system")
        return jsonify({"sys_id": asked.sys_id}), 201

    @app.post("/_sandbox/approvals/<sys_id>")
    def decide(sys_id: str) -> Response:
        order = control.read(decisions)
        row = instance.record("sysapproval_approver", sys_id)
        if row is None:
            raise control.ControlError(404, f"there is no approval {sys_id}")
        approver = instance.record("sys_user", row.text("approver"))
        by = order.by or (approver.text("user_name") if approver else "system")
        instance.update(row, {"state": plain(order.state)}, by=by)
        _conclude(instance, row)
        return jsonify({"sys_id": sys_id, "state": order.state})


def _user(instance: Instance, order: PersonOrder) -> Record:
    found = instance.user(order.user_name)
    if found is not None:
        return found
    columns = {"user_name": order.user_name, "name": order.name, "email": order.email}
    return instance.add("sys_user", {name: plain(value) for name, value in columns.items()})


def _group(instance: Instance, name: str) -> Record:
    kept = (group for group in instance.rows("sys_user_group") if group.text("name") == name)
    return next(kept, None) or instance.add("sys_user_group", {"name": plain(name)})


def _conclude(instance: Instance, decided: Record) -> None:
    """Write into the record what its approvals came to: one refusal rejects, all consents approve."""
    ticket = instance.record(decided.text("source_table"), decided.text("document_id"))
    rows = instance.rows("sysapproval_approver")
    states = {row.text("state") for row in rows if row.text("document_id") == decided.text("document_id")}
    if ticket is None or (states & {"requested"} and "rejected" not in states):
        return
    word = "rejected" if "rejected" in states else "approved" if "approved" in states else ""
    if word and ticket.text("approval") != word:
        instance.update(ticket, {"approval": Value(value=word, display=word.capitalize())}, by="system")
