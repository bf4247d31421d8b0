"""Change a record after an outcome: its state, its group and its assignee, each only where it differs.

It must not believe that a column holds a value because the write was answered with 200, nor write to a
record that was closed meanwhile.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import re2

from bridge.errors import Reason
from bridge.models import HttpResponse, Json, NotPosted, TicketRef, WriteBack
from bridge.ticketing import Changing, answers
from bridge.ticketing.payloads import members, text
from bridge.ticketing.servicenow import table_api
from bridge.ticketing.servicenow.config import ServiceNowConfig

_COLUMNS: Final = {
    "sysparm_fields": "sys_id,active,state,assignment_group,assigned_to",
    "sysparm_display_value": "all",
}
# What stands for itself: a sys_id, or the number behind a choice.
_STORED: Final = re2.compile(r"[0-9a-f]{32}|-?[0-9]{1,9}")


def change_ticket(config: ServiceNowConfig, ticket: TicketRef, change: WriteBack) -> Changing:
    """Write what differs in one PATCH, or in two where some is given by value and some by name."""
    path = table_api.record_path(ticket)
    response = yield table_api.request(config, "GET", path, _COLUMNS)
    if response.status != 200:
        return table_api.refusal(response)
    record = members(members(answers.read_json(response)).get("result"))
    if _stored(record, "sys_id") != ticket.uid:
        return answers.unreadable(response)
    left = {column: wanted for column, wanted in _wanted(change) if not _shows(record, column, wanted)}
    if left and _stored(record, "active") == "false":
        return answers.rejected(
            Reason.TICKET_CLOSED, "the record is closed (not active any more), so it was left as it is"
        )
    written: list[str] = []
    refused: list[NotPosted] = []
    for named in (False, True):
        columns = {column: wanted for column, wanted in left.items() if _is_name(wanted) is named}
        if not columns:
            continue
        query = {**_COLUMNS, "sysparm_input_display_value": "true"} if named else _COLUMNS
        response = yield table_api.request(config, "PATCH", path, query, columns)
        failed = _refusal(response, columns)
        if failed is None:
            written += columns
        else:
            refused.append(failed)
    if change.label is not None:
        refused.append(answers.rejected(Reason.REJECTED, "the Table API of ServiceNow sets no labels"))
    return answers.closing(written, refused)


def _refusal(response: HttpResponse, columns: Mapping[str, str]) -> NotPosted | None:
    """Return why a PATCH was not taken: a name that nobody bears may leave a column empty and no error."""
    if not 200 <= response.status < 300:
        return table_api.refusal(response)
    record = members(members(answers.read_json(response)).get("result"))
    if not record:
        return answers.unreadable(response)
    for column, wanted in columns.items():
        if not _shows(record, column, wanted):
            shown = _shown(record, column) or "empty"
            detail = f"{column} was set to '{wanted}' without an error, but the record shows {shown}"
            return answers.rejected(Reason.REJECTED, detail)
    return None


def _wanted(change: WriteBack) -> Iterator[tuple[str, str]]:
    columns = (
        ("assignment_group", change.assign_group),
        ("assigned_to", change.assign_to),
        ("state", change.state),
    )
    return ((column, wanted) for column, wanted in columns if wanted is not None)


def _is_name(wanted: str) -> bool:
    return _STORED.fullmatch(wanted) is None


def _shows(record: dict[str, Json], column: str, wanted: str) -> bool:
    """Say whether a column holds what is wanted, by its value or by its name."""
    seen = (_stored(record, column), _shown(record, column))
    return wanted.casefold() in {each.casefold() for each in seen if each is not None}


def _stored(record: dict[str, Json], column: str) -> str | None:
    return text(members(record.get(column)).get("value"))


def _shown(record: dict[str, Json], column: str) -> str | None:
    return text(members(record.get(column)).get("display_value"))
