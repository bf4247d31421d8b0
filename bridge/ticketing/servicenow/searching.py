"""Ask ServiceNow which records changed lately, table by table.

It must not ask for a table that the source does not name.
"""

from datetime import datetime

from bridge.models import NotRead
from bridge.ticketing import ChangedTicket, Conversation, answers
from bridge.ticketing.payloads import text
from bridge.ticketing.servicenow.config import ServiceNowConfig
from bridge.ticketing.servicenow.record import cell, is_sys_id, moment, reference
from bridge.ticketing.servicenow.table_api import Listing, newest


def fetch(config: ServiceNowConfig, since: datetime) -> Conversation[tuple[ChangedTicket, ...]]:
    """Ask every table of the source; one that cannot be read leaves the whole unknown."""
    found: list[ChangedTicket] = []
    for table in config.tables:
        listing = Listing(
            table=table, conditions=(), columns=("number", "sys_updated_on"), at="sys_updated_on"
        )
        rows = yield from newest(config, listing, since)
        if isinstance(rows, NotRead):
            return rows
        for row in rows:
            key, at = text(row.get("sys_id")), moment(row.get("sys_updated_on"))
            if key is None or not is_sys_id(key) or at is None:
                return answers.incomplete(f"a row of {table} has no sys_id that can be read")
            ref = reference(
                config, table=table, sys_id=key, record={name: cell(value) for name, value in row.items()}
            )
            found.append(ChangedTicket(ref=ref, at=at))
    return tuple(sorted(found, key=lambda changed: changed.at))
