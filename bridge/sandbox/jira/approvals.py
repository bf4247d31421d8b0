"""The approvals of Jira Service Management: who was asked, who said what, and what it came to.

It must not change an issue: which status an approval leads to is the workflow's business, not simulated here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any, ClassVar, Literal

from flask import Blueprint, Flask, Response, jsonify
from pydantic import ConfigDict, TypeAdapter

from bridge.sandbox import control
from bridge.sandbox.jira.reception import number_of
from bridge.sandbox.jira.service_desk import moment, request_of
from bridge.sandbox.jira.site import JiraSite

_PAGE = 50
Decision = Literal["approved", "declined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalOrder:
    """An approval to be asked for; `needed` is how many approvers have to consent."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    key: str
    approvers: tuple[dict[str, Any], ...]
    name: str = "Approval"
    needed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionOrder:
    """What one approver decides; `approver` is their accountId, or key on Data Center."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    approver: str
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredApproval:
    id: str
    issue: str
    order: ApprovalOrder
    created: datetime
    decisions: tuple[tuple[str, Decision], ...] = ()
    completed: datetime | None = None

    @property
    def outcome(self) -> str:
        """Return what it came to: one refusal declines, enough consents approve."""
        said = [decision for _, decision in self.decisions]
        if "declined" in said:
            return "declined"
        return "approved" if said.count("approved") >= self.order.needed else "pending"


@dataclass(slots=True)
class Approvals:
    """Every approval of every issue, behind one lock."""

    _lock: Lock = field(default_factory=Lock)
    _approvals: dict[str, StoredApproval] = field(default_factory=dict)

    def reset(self) -> None:
        """Forget them all."""
        with self._lock:
            self._approvals.clear()

    def ask(self, id_: str, issue: str, order: ApprovalOrder) -> StoredApproval:
        """Ask for an approval."""
        with self._lock:
            asked = StoredApproval(id=id_, issue=issue, order=order, created=datetime.now(UTC))
            self._approvals[id_] = asked
            return asked

    def decide(self, id_: str, order: DecisionOrder) -> StoredApproval | None:
        """Write a decision down; None where it is not theirs, or decided already."""
        with self._lock:
            old = self._approvals.get(id_)
            asked = () if old is None else tuple(map(_identifier, old.order.approvers))
            if old is None or old.completed is not None or order.approver not in asked:
                return None
            others = tuple(pair for pair in old.decisions if pair[0] != order.approver)
            new = replace(old, decisions=(*others, (order.approver, order.decision)))
            if new.outcome != "pending":
                new = replace(new, completed=datetime.now(UTC))
            self._approvals[id_] = new
            return new

    def of_issue(self, issue: str) -> list[StoredApproval]:
        """Return the approvals of an issue, oldest first."""
        with self._lock:
            return [approval for approval in self._approvals.values() if approval.issue == issue]


def _identifier(person: dict[str, Any]) -> str:
    return str(person.get("accountId") or person["key"])


def routes(site: JiraSite, approvals: Approvals, url: Callable[[], str]) -> Blueprint:
    """Return the route that lists a request's approvals."""
    blueprint = Blueprint("approvals", __name__)

    @blueprint.get("/rest/servicedeskapi/request/<key>/approval")
    def page(key: str) -> Response:
        issue = request_of(site, key)
        every = approvals.of_issue(issue.id)
        start, limit = number_of("start", 0), min(number_of("limit", _PAGE), _PAGE)
        some = every[start : start + limit]
        base = f"{url()}/rest/servicedeskapi"
        return jsonify(
            {
                "size": len(some),
                "start": start,
                "limit": limit,
                "isLastPage": start + len(some) >= len(every),
                "_links": {"base": base, "context": "", "self": f"{base}/request/{issue.id}/approval"},
                "values": [_shown(approval) for approval in some],
            }
        )

    return blueprint


def _shown(approval: StoredApproval) -> dict[str, Any]:
    said = dict(approval.decisions)
    shown = {
        "id": approval.id,
        "name": approval.order.name,
        "finalDecision": approval.outcome,
        "canAnswerApproval": False,
        "approvers": [
            {"approver": person, "approverDecision": said.get(_identifier(person), "pending")}
            for person in approval.order.approvers
        ],
        "createdDate": moment(approval.created),
    }
    return shown if approval.completed is None else shown | {"completedDate": moment(approval.completed)}


def add_control(app: Flask, site: JiraSite, approvals: Approvals) -> None:
    """Add the control routes that ask for approvals and decide them."""
    orders, decisions = TypeAdapter(ApprovalOrder), TypeAdapter(DecisionOrder)

    @app.post("/_sandbox/approvals")
    def ask() -> tuple[Response, int]:
        order = control.read(orders)
        issue = site.issue(order.key)
        if issue is None:
            raise control.ControlError(404, f"there is no issue {order.key}")
        return jsonify(_shown(approvals.ask(site.next_id(), issue.id, order))), 201

    @app.post("/_sandbox/approvals/<approval_id>")
    def decide(approval_id: str) -> Response:
        decided = approvals.decide(approval_id, control.read(decisions))
        if decided is None:
            raise control.ControlError(409, "this approval does not wait for that approver")
        return jsonify(_shown(decided))
