"""Ask whether what a mapping would write exists on this instance: a state, a group, a person.

It must not change anything, nor believe a row because it was returned.
"""

from typing import Final

from bridge.models import Json, NotRead
from bridge.ticketing import Conversation, answers
from bridge.ticketing.payloads import entries, members
from bridge.ticketing.servicenow import table_api
from bridge.ticketing.servicenow.config import ServiceNowConfig
from bridge.ticketing.servicenow.record import is_sys_id

_ROWS: Final = 500
# Where the names of a reference stand, and the state of a task where its own table has no choices.
_NAMED: Final = {"assign_group": "sys_user_group", "assign_to": "sys_user"}
_TASK: Final = "task"


def missing(config: ServiceNowConfig, key: str, wanted: str) -> Conversation[str | None]:
    """Return why a text under a key of `after` can be written nowhere; None where it seems that it can."""
    if "^" in wanted:
        return "a name with a caret cannot be looked up, so it is not known (use the sys_id)"
    if key == "state":
        return (yield from _missing_state(config, wanted))
    if key in _NAMED:
        return (yield from _missing_name(config, _NAMED[key], wanted))
    return "ServiceNow has nothing of this kind"


def _missing_state(config: ServiceNowConfig, wanted: str) -> Conversation[str | None]:
    tables = (*config.tables, _TASK)
    conditions = (f"nameIN{','.join(tables)}", "element=state", "inactive=false")
    rows = yield from _rows(config, "sys_choice", conditions, ("name", "element", "label", "value"))
    if isinstance(rows, NotRead):
        return rows
    ours = [row for row in rows if row.get("element") == "state" and row.get("name") in tables]
    if not ours:
        return answers.incomplete("sys_choice shows our account no choices of state")
    shown = {str(row.get(each)).casefold() for row in ours for each in ("label", "value")}
    return (
        None
        if wanted.casefold() in shown
        else f"no table of {', '.join(config.tables)} has a state of this name"
    )


def _missing_name(config: ServiceNowConfig, table: str, wanted: str) -> Conversation[str | None]:
    column = "sys_id" if is_sys_id(wanted) else "name"
    rows = yield from _rows(config, table, (f"{column}={wanted}",), ("name", "active"))
    if isinstance(rows, NotRead):
        return rows
    found = [row for row in rows if str(row.get(column)).casefold() == wanted.casefold()]
    if not found:
        return f"{table} shows our account nothing of this name"
    if len(found) > 1:
        return f"{len(found)} rows of {table} bear this name, and either may be taken (use the sys_id)"
    return f"it is not active in {table}" if found[0].get("active") == "false" else None


def _rows(
    config: ServiceNowConfig, table: str, conditions: tuple[str, ...], columns: tuple[str, ...]
) -> Conversation[list[dict[str, Json]]]:
    query = {
        "sysparm_query": "^".join(conditions),
        "sysparm_fields": ",".join(("sys_id", *columns)),
        "sysparm_limit": str(_ROWS),
    }
    response = yield table_api.request(config, "GET", f"/api/now/table/{table}", query)
    if response.status != 200:
        return answers.not_read(table_api.refusal(response))
    return [members(row) for row in entries(members(answers.read_json(response)).get("result"))]
