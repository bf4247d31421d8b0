"""Read who belongs to which group, and what sysapproval_approver holds about a record.

It must not decide whether an approval counts; that is a rule of the mapping.
"""

from collections.abc import Generator
from typing import Final

from bridge.models import (
    ApprovalState,
    HttpRequest,
    HttpResponse,
    Json,
    NotRead,
    Person,
    TicketApproval,
    TicketRef,
)
from bridge.ticketing import Conversation, answers
from bridge.ticketing.payloads import text
from bridge.ticketing.servicenow.config import ServiceNowConfig
from bridge.ticketing.servicenow.record import can_be_asked_for, is_sys_id, moment
from bridge.ticketing.servicenow.table_api import not_read, request, rows, sys_id

_MOST: Final = 1_000
_OVERALL: Final = "sysapproval.approval"
_DECIDED: Final = {"approved": ApprovalState.APPROVED, "rejected": ApprovalState.DECLINED}

_Rows = Generator[HttpRequest, HttpResponse, tuple[dict[str, Json], ...] | NotRead]


def fetch_groups(config: ServiceNowConfig, who: Person) -> Conversation[tuple[str, ...]]:
    """Ask for a person's groups, by sys_id or by user name; those that we may not see are not among them."""
    if who.id is not None and is_sys_id(who.id):
        column, wanted = "user", who.id
    elif who.login is not None and can_be_asked_for(who.login):
        column, wanted = "user.user_name", who.login
    else:
        return answers.nobody()
    listed = yield from _all(config, "sys_user_grmember", f"{column}={wanted}", (column, "group.name"))
    if isinstance(listed, NotRead):
        return listed
    theirs = (row for row in listed if (text(row.get(column)) or "").casefold() == wanted.casefold())
    return tuple(name for name in (text(row.get("group.name")) for row in theirs) if name)


def fetch_approvals(config: ServiceNowConfig, ref: TicketRef) -> Conversation[tuple[TicketApproval, ...]]:
    """Ask for the approvals of a record, each with whom it was asked of and who last changed it."""
    record = sys_id(ref)
    columns = (
        "sysapproval", "document_id", "state", "approver", "approver.user_name", "approver.email",
        "approver.name", "sys_updated_by", "sys_updated_on", _OVERALL,
    )  # fmt: skip
    condition = f"sysapproval={record}^ORdocument_id={record}"
    listed = yield from _all(config, "sysapproval_approver", condition, columns)
    if isinstance(listed, NotRead):
        return listed
    told = (_approval(row) for row in listed if record in (row.get("sysapproval"), row.get("document_id")))
    return tuple(approval for approval in told if approval is not None)


def _approval(row: dict[str, Json]) -> TicketApproval | None:
    """Return what one row says; None for those that were never asked for, or are not needed any more.

    The row's approver is whom it was asked of. Who decided is known only where the row was last changed by
    that user: a consent that somebody else wrote there is still open, for nobody is known to have given it.
    """
    state = _DECIDED.get(text(row.get("state")) or "")
    by = Person(
        id=text(row.get("approver")),
        name=text(row.get("approver.name")),
        email=text(row.get("approver.email")),
        login=text(row.get("approver.user_name")),
    )
    asked = TicketApproval(state=ApprovalState.ASKED, by=by, at=None, final=False)
    if state is None:
        return asked if row.get("state") == "requested" else None
    author = text(row.get("sys_updated_by"))
    theirs = by.login is not None and author is not None and author.casefold() == by.login.casefold()
    if state is ApprovalState.APPROVED and not theirs:
        return asked
    decided = Person(login=author) if not theirs else by
    final = state is ApprovalState.DECLINED or row.get(_OVERALL) == "approved"
    return TicketApproval(state=state, by=decided, at=moment(row.get("sys_updated_on")), final=final)


def _all(config: ServiceNowConfig, table: str, condition: str, columns: tuple[str, ...]) -> _Rows:
    query = {
        "sysparm_query": condition,
        "sysparm_fields": ",".join(columns),
        "sysparm_display_value": "false",
        "sysparm_exclude_reference_link": "true",
        "sysparm_limit": str(_MOST),
    }
    response = yield request(config, "GET", f"/api/now/table/{table}", query)
    if response.status != 200:
        return not_read(response)
    listed = rows(response)
    if listed is None:
        return answers.not_understood(response)
    return answers.incomplete(f"{table} holds more rows than are read") if len(listed) == _MOST else listed
