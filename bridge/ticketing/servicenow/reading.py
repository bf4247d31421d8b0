"""Read a record back, with what a mapping needs that stands in other tables.

It must not mix two states of a record: where it changes while it is read, nothing was read.
"""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from bridge.errors import Reason
from bridge.models import FetchedTicket, Json, NotRead, Person, TicketRef
from bridge.ticketing import Conversation, answers
from bridge.ticketing.payloads import members, text
from bridge.ticketing.servicenow import history
from bridge.ticketing.servicenow.config import ServiceNowConfig
from bridge.ticketing.servicenow.record import (
    NO_CELL,
    Cell,
    can_be_asked_for,
    cell,
    fields,
    for_whom,
    is_sys_id,
    moment,
    person,
    reference,
    ticket,
)
from bridge.ticketing.servicenow.table_api import (
    Listing,
    newest,
    not_read,
    record_path,
    request,
    rows,
    sys_id,
)

# What stands behind references: the same names as those that our business rule sends.
_PEOPLE: Final = ("caller_id", "requested_for", "request.requested_for", "assigned_to", "opened_by")
_DOTTED: Final = (
    "request.requested_for",
    *(f"{who}.{column}" for who in _PEOPLE for column in ("email", "user_name")),
)
_JOURNALS: Final = ("comments", "work_notes", "comments_and_work_notes", "approval_history")
_REQUEST_ITEMS: Final = "sc_req_item"
_MOST_VARIABLES: Final = 500

_Columns = dict[str, Json]


def fetch(config: ServiceNowConfig, ref: TicketRef, since: datetime) -> Conversation[FetchedTicket]:
    """Ask for a record, what stands behind its references, its variables, history, notes and their people."""
    columns = yield from _record(config, ref)
    if isinstance(columns, NotRead):
        return columns
    if ref.table == _REQUEST_ITEMS:
        variables = yield from _variables(config, ref)
        if isinstance(variables, NotRead):
            return variables
        columns |= variables
    record = {name: cell(value) for name, value in columns.items()}
    active = text(record.get("active", NO_CELL).value)
    if active not in ("true", "false"):
        detail = f"the column active of {ref.table} is not shown: give our account the right to read it"
        return NotRead(gone=False, reason=Reason.FORBIDDEN, detail=detail)
    changes = yield from history.fetch(config, ref, since, record)
    if isinstance(changes, NotRead):
        return changes
    notes = yield from _notes(config, ref, since)
    if isinstance(notes, NotRead):
        return notes
    logins = {entry.actor.login for entry in changes} | {login for _, login, _ in notes}
    people = yield from _users(config, sorted(login for login in logins if login))
    if isinstance(people, NotRead):
        return people

    def known(login: str | None) -> Person:
        return people.get((login or "").casefold(), Person(login=login or None))

    read = reference(config, table=ref.table or "", sys_id=ref.uid, record=record)
    return FetchedTicket(
        ref=read,
        ticket=ticket(read, record),
        fields=fields(record),
        payload=_payload(ref, columns),
        closed=active == "false",
        created_at=moment(record.get("sys_created_on", NO_CELL).value),
        created_by=_who(record, "sys_created_by"),
        updated_at=moment(record.get("sys_updated_on", NO_CELL).value),
        updated_by=_who(record, "sys_updated_by"),
        history=tuple(
            dataclasses.replace(entry, actor=known(entry.actor.login)) if entry.actor.login else entry
            for entry in changes
        ),
        comments=tuple((key, known(login), at) for key, login, at in notes),
        roles=_roles(record),
    )


def _record(config: ServiceNowConfig, ref: TicketRef) -> Conversation[_Columns]:
    """Ask for every column, then for those behind references, which are shown only where they are named."""
    query = {"sysparm_display_value": "all", "sysparm_exclude_reference_link": "true"}
    named = query | {"sysparm_fields": ",".join(("sys_id", "sys_mod_count", *_DOTTED))}
    read: list[_Columns] = []
    for one in (query, named):
        response = yield request(config, "GET", record_path(ref), one)
        if response.status != 200:
            return not_read(response, of_ticket=True)
        columns = members(members(answers.read_json(response)).get("result"))
        if _stored(columns, "sys_id") != ref.uid or _stored(columns, "sys_mod_count") is None:
            return answers.not_understood(response)
        read.append(columns)
    whole, behind = read
    if _stored(whole, "sys_mod_count") != _stored(behind, "sys_mod_count"):
        detail = "the record changed while it was read"
        return NotRead(gone=False, reason=Reason.ANSWER_UNREADABLE, detail=detail)
    known = {name: value for name, value in behind.items() if _stored(behind, name)}
    return {name: value for name, value in (whole | known).items() if name not in _JOURNALS}


def _variables(config: ServiceNowConfig, ref: TicketRef) -> Conversation[_Columns]:
    """Ask what was chosen in the catalogue; where that is not for us to read, nothing is known of it."""
    name, value = "sc_item_option.item_option_new.name", "sc_item_option.value"
    query = {
        "sysparm_query": f"request_item={sys_id(ref)}",
        "sysparm_fields": f"request_item,{name},{value}",
        "sysparm_display_value": "all",
        "sysparm_exclude_reference_link": "true",
        "sysparm_limit": str(_MOST_VARIABLES),
    }
    response = yield request(config, "GET", "/api/now/table/sc_item_option_mtom", query)
    if response.status in (400, 403):
        return {}
    if response.status != 200:
        return not_read(response)
    listed = rows(response)
    if listed is None:
        return answers.not_understood(response)
    if len(listed) == _MOST_VARIABLES:
        return answers.incomplete("the request item has more variables than are read")
    return {
        f"variables.{_stored(row, name)}": row.get(value)
        for row in listed
        if _stored(row, "request_item") == ref.uid and _stored(row, name)
    }


def _notes(
    config: ServiceNowConfig, ref: TicketRef, since: datetime
) -> Conversation[tuple[tuple[str, str, datetime], ...]]:
    """Ask for the notes since a time: id, user_name and time; none where the journal is closed to us."""
    listing = Listing(
        table="sys_journal_field",
        conditions=(f"element_id={sys_id(ref)}", "elementINcomments,work_notes"),
        columns=("element_id", "element", "sys_created_on", "sys_created_by"),
        at="sys_created_on",
    )
    found = yield from newest(config, listing, since)
    if isinstance(found, NotRead):
        return () if found.reason is Reason.FORBIDDEN else found
    return tuple(
        (text(row.get("sys_id")) or "", text(row.get("sys_created_by")) or "", at)
        for row in reversed(found)
        if row.get("element_id") == ref.uid
        and row.get("element") in _JOURNALS
        and (at := moment(row.get("sys_created_on"))) is not None
    )


def _users(config: ServiceNowConfig, logins: list[str]) -> Conversation[Mapping[str, Person]]:
    """Ask who the people behind user names are; whoever is not shown is known by the name alone."""
    asked = [login for login in logins if can_be_asked_for(login)]
    if not asked:
        return {}
    query = {
        "sysparm_query": f"user_nameIN{','.join(asked)}",
        "sysparm_fields": "sys_id,user_name,email,name",
        "sysparm_limit": str(len(asked)),
    }
    response = yield request(config, "GET", "/api/now/table/sys_user", query)
    if response.status == 403:
        return {}
    if response.status != 200:
        return not_read(response)
    listed = rows(response)
    if listed is None:
        return answers.not_understood(response)
    return {
        login: Person(
            id=key, name=text(row.get("name")), email=text(row.get("email")), login=text(row.get("user_name"))
        )
        for row in listed
        if (login := (text(row.get("user_name")) or "").casefold())
        and (key := text(row.get("sys_id"))) is not None
        and is_sys_id(key)
    }


def _roles(record: Mapping[str, Cell]) -> tuple[tuple[str, Person], ...]:
    """Return whom an approval rule may name: whom the ticket is for, who typed it, who works on it."""
    return (
        ("person", for_whom(record)),
        ("reporter", person(record, "opened_by") or Person()),
        ("assignee", person(record, "assigned_to") or Person()),
    )


def _who(record: Mapping[str, Cell], column: str) -> Person | None:
    login = text(record.get(column, NO_CELL).value)
    return Person(login=login) if login else None


def _payload(ref: TicketRef, columns: _Columns) -> Json:
    """Return the record as our business rule sends one; what it says of an event is not known here."""
    return {
        "table": ref.table,
        "sys_id": ref.uid,
        "number": _stored(columns, "number"),
        "sys_mod_count": _stored(columns, "sys_mod_count"),
        "updated_by": _stored(columns, "sys_updated_by"),
        "updated_on": _stored(columns, "sys_updated_on"),
        "record": columns,
    }


def _stored(columns: _Columns, name: str) -> str | None:
    return text(cell(columns.get(name)).value)
