"""Read a record as ServiceNow senders send it: our rule's columns, or a flat body in any of the usual shapes.

It must not follow or show an address from the payload.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

import re2

from bridge.models import Json, Person, Ticket, TicketRef
from bridge.ticketing.payloads import entries, members, text
from bridge.ticketing.servicenow.config import ServiceNowConfig

SYS_ID: Final = re2.compile(r"[0-9a-f]{32}")
# A caret starts a second condition, a comma a second name; `javascript:` is a script that the platform runs.
_LOGIN: Final = re2.compile(r"[^\^,:\x00-\x1f]{1,100}")

# What a flat body says about the event rather than about the record.
_ENVELOPE: Final = frozenset(
    {"rule", "table", "operation", "url", "changes", "comment", "record", "old_values", "new_values"}
)
# Whom the ticket is for; opened_by is who typed it, often a service desk agent or an integration.
FOR_WHOM: Final = ("caller_id", "requested_for", "request.requested_for", "caller")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One column: what the database holds, and what the form shows (None where only the value was sent)."""

    value: Json
    display: Json

    @property
    def shown(self) -> str | None:
        """Return what a person would read; a bare sys_id is nothing to read."""
        display = text(self.display)
        return None if display is None or is_sys_id(display) else display

    @property
    def sys_id(self) -> str | None:
        value = text(self.value)
        return value if value is not None and is_sys_id(value) else None


NO_CELL: Final = Cell(value=None, display=None)


def is_sys_id(value: str) -> bool:
    """Say whether a text is a record's identifier: 32 lower-case hex digits."""
    return SYS_ID.fullmatch(value) is not None


def can_be_asked_for(login: str) -> bool:
    """Say whether a user name may stand in a query as it is, and means nothing but itself there."""
    return _LOGIN.fullmatch(login) is not None


def moment(value: Json) -> datetime | None:
    """Return the time of a stored value; the platform writes UTC without saying so."""
    try:
        return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except (TypeError, ValueError):
        return None


def cell(value: Json) -> Cell:
    """Read one value: a text, `{link, value}`, `{display_value, value}`, or anything else as it is."""
    about = members(value)
    if "value" in about or "display_value" in about:
        return Cell(value=about.get("value"), display=about.get("display_value"))
    return Cell(value=value, display=value)


def columns(payload: dict[str, Json]) -> dict[str, Cell]:
    """Return a record's columns: under `record`, or beside the envelope of a flat body."""
    record = payload.get("record")
    if isinstance(record, dict):
        return {name: cell(value) for name, value in record.items()}
    return {name: cell(value) for name, value in payload.items() if name not in _ENVELOPE}


def fields(record: Mapping[str, Cell]) -> Json:
    """Return columns as the mapping language sees them: display values, and the values under `raw`."""
    shown = {name: column.display for name, column in record.items()}
    return shown | {"raw": {name: column.value for name, column in record.items()}}


def reference(config: ServiceNowConfig, *, table: str, sys_id: str, record: Mapping[str, Cell]) -> TicketRef:
    """Return where to write to; the address is made from the configured instance, never from the payload."""
    target = quote(f"{table}.do?sys_id={sys_id}", safe="")
    number = record.get("number", NO_CELL).shown or sys_id
    url = f"{config.api_url}/nav_to.do?uri={target}"
    return TicketRef(source=config.source, uid=sys_id, key=number, url=url, table=table)


def ticket(ref: TicketRef, record: Mapping[str, Cell]) -> Ticket:
    """Return a record under the names of the mapping language."""

    def shown(name: str) -> str | None:
        return record.get(name, NO_CELL).shown

    def value(name: str) -> str | None:
        return text(record.get(name, NO_CELL).value)

    return Ticket(
        key=ref.key,
        uid=ref.uid,
        url=ref.url,
        type=ref.table,
        status=shown("state"),
        summary=shown("short_description"),
        description=shown("description"),
        priority=shown("priority"),
        labels=_labels(record),
        person=for_whom(record),
        assignee=person(record, "assigned_to") or Person(),
        affected_item=shown("cmdb_ci"),
        created_at=value("sys_created_on"),
        updated_at=value("sys_updated_on"),
    )


def for_whom(record: Mapping[str, Cell]) -> Person:
    """Return whom a ticket is for; nobody where no column says so."""
    return next((who for who in (person(record, name) for name in FOR_WHOM) if who), Person())


def person(record: Mapping[str, Cell], name: str) -> Person | None:
    """Return the user that a reference column names; our rule adds address and login as dotted columns."""
    column = record.get(name, NO_CELL)
    if column.shown is None and column.sys_id is None:
        return None
    return Person(
        id=column.sys_id,
        name=column.shown,
        email=record.get(f"{name}.email", NO_CELL).shown,
        login=record.get(f"{name}.user_name", NO_CELL).shown,
    )


def _labels(record: Mapping[str, Cell]) -> tuple[str, ...] | None:
    column = record.get("sys_tags") or record.get("tags")
    if column is None:
        return None
    if isinstance(column.display, str):
        return tuple(label.strip() for label in column.display.split(",") if label.strip())
    return tuple(label for label in entries(column.display) if isinstance(label, str))
