"""Write and find journal entries over the Table API, and read what it answers.

It must not compose a note's text, nor believe a row because it was returned.
"""

from typing import Final

from bridge.errors import Reason
from bridge.models import (
    HttpRequest,
    HttpResponse,
    MarkerAbsent,
    MorePages,
    NotPosted,
    OwedComment,
    Person,
    Posted,
    PostFailure,
    TicketRef,
    Visibility,
)
from bridge.ticketing import answers, marks
from bridge.ticketing.payloads import members, text
from bridge.ticketing.servicenow import table_api
from bridge.ticketing.servicenow.config import ServiceNowConfig
from bridge.ticketing.servicenow.record import is_sys_id

_JOURNAL_PAGE: Final = 0
_RECORD_PAGE: Final = 1  # the second place to look: the record itself
_ROWS: Final = 20


def account_request(config: ServiceNowConfig) -> HttpRequest:
    """Look our own user up by its name: the API has no "who am I"."""
    query = {
        "sysparm_query": f"user_name={config.own_login}",
        "sysparm_fields": "sys_id,user_name,email,name",
        "sysparm_limit": "2",
    }
    return table_api.request(config, "GET", "/api/now/table/sys_user", query)


def read_account(config: ServiceNowConfig, response: HttpResponse) -> Person | NotPosted:
    """Return our account.

    An instance may hide its users from us. A name that we logged in with is ours all the same; one that
    was only typed beside a token is not believed.
    """
    if response.status != 200:
        return table_api.refusal(response)
    rows = members(answers.read_json(response)).get("result")
    if not isinstance(rows, list):
        return answers.unreadable(response)
    for row in (members(row) for row in rows):
        # A query part that the platform does not understand is ignored, and returns everybody.
        if (text(row.get("user_name")) or "").lower() == config.own_login.lower():
            return Person(
                id=text(row.get("sys_id")),
                name=text(row.get("name")),
                email=text(row.get("email")),
                login=text(row.get("user_name")),
            )
    if not config.token and config.own_login == config.username:
        return Person(login=config.own_login)
    detail = "the configured ACCOUNT was not found among the users that our token may read"
    return NotPosted(failure=PostFailure.LATER, reason=Reason.NOT_FOUND, detail=detail)


def comment_request(config: ServiceNowConfig, ticket: TicketRef, comment: OwedComment) -> HttpRequest:
    """Add a work note (internal) or a comment (public)."""
    query = {"sysparm_fields": "sys_id,number,sys_mod_count,sys_updated_on"}
    return table_api.request(
        config, "PATCH", table_api.record_path(ticket), query, {_element(comment): comment.text}
    )


def read_comment(response: HttpResponse) -> Posted | NotPosted:
    """Say whether the record took the note; the entry's own identifier is not told."""
    if not 200 <= response.status < 300:
        return table_api.refusal(response)
    result = members(members(answers.read_json(response)).get("result"))
    sys_id = text(result.get("sys_id"))
    if sys_id is None or not is_sys_id(sys_id):
        return answers.unreadable(response)
    return Posted(id=f"{sys_id}:{text(result.get('sys_mod_count')) or '-'}")


def search_request(
    config: ServiceNowConfig, ticket: TicketRef, comment: OwedComment, start: int
) -> HttpRequest:
    """Ask the journal for the marker; then, since it may be closed to us, the record for its notes."""
    if start == _JOURNAL_PAGE:
        marker = marks.required(comment.marker)
        conditions = (
            f"element_id={table_api.sys_id(ticket)}",
            f"element={_element(comment)}",
            f"valueLIKE{marker}",
            "ORDERBYDESCsys_created_on",
        )
        query = {
            "sysparm_query": "^".join(conditions),
            "sysparm_fields": "sys_id,element_id,element,value,sys_created_by",
            "sysparm_limit": str(_ROWS),
        }
        return table_api.request(config, "GET", "/api/now/table/sys_journal_field", query)
    query = {"sysparm_fields": "sys_id,work_notes,comments", "sysparm_display_value": "true"}
    return table_api.request(config, "GET", table_api.record_path(ticket), query)


def read_search(
    config: ServiceNowConfig, response: HttpResponse, ticket: TicketRef, comment: OwedComment, start: int
) -> Posted | MarkerAbsent | MorePages | NotPosted:
    """Say whether the note is there; an empty journal proves nothing, as it may only be hidden from us."""
    if start == _JOURNAL_PAGE:
        return _read_journal(config, response, ticket, comment)
    if response.status != 200:
        return table_api.refusal(response)
    result = members(members(answers.read_json(response)).get("result"))
    notes = result.get(_element(comment))
    if result.get("sys_id") != ticket.uid:
        return answers.unreadable(response)
    if not isinstance(notes, str):
        # Columns that we may not read are left out. Posting again unseen could post for ever.
        detail = f"neither sys_journal_field nor {_element(comment)} can be read: give our account the right"
        return NotPosted(failure=PostFailure.LATER, reason=Reason.FORBIDDEN, detail=detail)
    return Posted(id=ticket.uid) if marks.carries(notes, comment.marker) else MarkerAbsent()


def _read_journal(
    config: ServiceNowConfig, response: HttpResponse, ticket: TicketRef, comment: OwedComment
) -> Posted | MarkerAbsent | MorePages | NotPosted:
    if response.status == 403:
        return MorePages(start=_RECORD_PAGE)
    if response.status != 200:
        return table_api.refusal(response)
    rows = members(answers.read_json(response)).get("result")
    if not isinstance(rows, list):
        return answers.unreadable(response)
    marked = [
        row
        for row in map(members, rows)
        if row.get("element_id") == ticket.uid
        and row.get("element") == _element(comment)
        and marks.carries(text(row.get("value")) or "", comment.marker)
    ]
    for row in marked:
        if (text(row.get("sys_created_by")) or "").casefold() == config.own_login.casefold():
            return Posted(id=text(row.get("sys_id")) or ticket.uid)
    if not marked:
        return MorePages(start=_RECORD_PAGE)
    # The record shows notes without their account: there somebody else's marker would pass for ours.
    if len(rows) < _ROWS:
        return MarkerAbsent()
    detail = "others have written our marker so often that our own note may stand behind theirs"
    return NotPosted(failure=PostFailure.LATER, reason=Reason.ANSWER_UNREADABLE, detail=detail)


def _element(comment: OwedComment) -> str:
    return "work_notes" if comment.visibility is Visibility.INTERNAL else "comments"
