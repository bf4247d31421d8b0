"""Turn a verified ServiceNow delivery into what happened: our business rule's, or a sender's that says less.

It must not verify anything, nor decide whether a mapping wants the event.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import re2

from bridge.errors import Reason, WebhookRefused
from bridge.models import Change, Delivery, EventKind, Ignored, Json, Person, TicketEvent, TicketRef
from bridge.ticketing.payloads import entries, members, text
from bridge.ticketing.proofs import Proven
from bridge.ticketing.servicenow.config import ServiceNowConfig
from bridge.ticketing.servicenow.record import (
    NO_CELL,
    Cell,
    cell,
    columns,
    fields,
    is_sys_id,
    moment,
    reference,
    ticket,
)

_TABLE: Final = re2.compile(r"[a-z0-9_]{1,80}")
_COUNT: Final = re2.compile(r"[0-9]{1,10}")
_RULE: Final = re2.compile(r"[\w .-]{1,100}")
_KINDS: Final = {"insert": EventKind.CREATED, "update": EventKind.UPDATED}


def delivery_key(payload: Json, digest: str, proven: Proven) -> str:
    """Return what names this delivery: a signed identifier, the change that it tells of, or its body."""
    if proven.identifier is not None:
        return proven.identifier
    content = members(payload)
    table, sys_id = _identity(content)
    count = _count(content, columns(content))
    if table is None or sys_id is None or count is None:
        return proven.body_key(digest)
    return f"{table}:{sys_id}:{count}:{_rule(content)}"


def is_timed(payload: Json) -> bool:
    """Say whether the body carries the time of the event, so that it cannot be sent anew for another one.

    A signed time beside the body does not count: the same body may be signed again, for another event.
    """
    content = members(payload)
    return _updated_at(content, columns(content)) is not None


def parse_event(config: ServiceNowConfig, delivery: Delivery) -> TicketEvent | Ignored:
    """Read what happened; raise WebhookRefused (400, NOT_A_TICKET) without a table and a sys_id."""
    payload = members(delivery.payload)
    rung = ring(config, delivery)
    if isinstance(rung, Ignored):
        return rung
    record = columns(payload)
    ref = reference(config, table=rung.table or "", sys_id=rung.uid, record=record)
    operation = (text(payload.get("operation")) or "").lower()
    if operation and operation not in _KINDS:
        return Ignored(reason=Reason.UNSERVED_KIND, detail=f"operation {operation[:50]}", ticket=ref)
    changes = _changes(payload)
    comment = _comment(payload)
    count = _count(payload, record)
    kind = _kind(operation, count, changes, comment)
    return TicketEvent(
        ref=ref,
        ticket=ticket(ref, record),
        kind=kind,
        actor=_actor(payload, record),
        fields=fields(record),
        changes=changes,
        change_key=_change_key(kind, count, _rule(payload)),
        occurred_at=_updated_at(payload, record),
        texts=(comment,) if comment else (),
        payload=delivery.payload,
    )


def ring(config: ServiceNowConfig, delivery: Delivery) -> TicketRef | Ignored:
    """Read no more than which record it is; raise WebhookRefused (400, NOT_A_TICKET) where none is named.

    Its number is not believed either: until it is read, a record is shown by its sys_id.
    """
    table, sys_id = _identity(members(delivery.payload))
    if table is None or sys_id is None:
        raise WebhookRefused(400, Reason.NOT_A_TICKET, "the body names no record by table and sys_id")
    if table not in config.tables:
        return Ignored(reason=Reason.UNSERVED_KIND, detail=f"table {table} is not in TABLES")
    return reference(config, table=table, sys_id=sys_id, record={})


def _identity(payload: dict[str, Json]) -> tuple[str | None, str | None]:
    """Return table and sys_id, each None where it is not one; flat senders may say sys_class_name."""
    table = _value(payload.get("table")) or _value(payload.get("sys_class_name"))
    sys_id = _value(payload.get("sys_id")) or _value(members(payload.get("record")).get("sys_id"))
    return (
        table if table is not None and _TABLE.fullmatch(table) else None,
        sys_id if sys_id is not None and is_sys_id(sys_id) else None,
    )


def _kind(operation: str, count: str | None, changes: tuple[Change, ...], comment: str | None) -> EventKind:
    """Return the kind of event; a comment beside a change is an update, since something changed."""
    if operation == "insert" or (not operation and count == "0" and not changes):
        return EventKind.CREATED
    return EventKind.COMMENTED if comment and not changes else EventKind.UPDATED


def _change_key(kind: EventKind, count: str | None, rule: str) -> str | None:
    """Return what names the change (rule A1): two rules may tell of one update, so the rule belongs to it."""
    if kind is EventKind.CREATED:
        return "created"
    return None if count is None else f"count:{count}:{rule}"


def _changes(payload: dict[str, Json]) -> tuple[Change, ...]:
    """Return what changed: our rule's list, or the old and new values of a flat body."""
    if isinstance(payload.get("changes"), list):
        listed = (members(entry) for entry in entries(payload["changes"]))
        named = ((text(entry.get("field")), entry) for entry in listed)
        return tuple(
            Change(name=name, before=_visible(entry.get("from")), after=_visible(entry.get("to")))
            for name, entry in named
            if name is not None
        )
    old, new = members(payload.get("old_values")), members(payload.get("new_values"))
    return tuple(
        Change(name=name, before=_visible(old.get(name)), after=_visible(new.get(name)))
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    )


def _visible(value: Json) -> Json:
    """Return a changed value as the form shows it, else as it is stored."""
    changed = cell(value)
    return changed.value if changed.display is None else changed.display


def _comment(payload: dict[str, Json]) -> str | None:
    """Return the text of the note that this event added."""
    comment = payload.get("comment")
    return text(members(comment).get("text")) or text(comment)


def _actor(payload: dict[str, Json], record: Mapping[str, Cell]) -> Person | None:
    login = _value(payload.get("updated_by")) or text(record.get("sys_updated_by", NO_CELL).value)
    return Person(login=login) if login else None


def _count(payload: dict[str, Json], record: Mapping[str, Cell]) -> str | None:
    count = _value(payload.get("sys_mod_count")) or text(record.get("sys_mod_count", NO_CELL).value)
    return count if count is not None and _COUNT.fullmatch(count) else None


def _rule(payload: dict[str, Json]) -> str:
    rule = _value(payload.get("rule"))
    return rule if rule is not None and _RULE.fullmatch(rule) else "unnamed"


def _updated_at(payload: dict[str, Json], record: Mapping[str, Cell]) -> datetime | None:
    """Return when the record changed."""
    return moment(_value(payload.get("updated_on")) or record.get("sys_updated_on", NO_CELL).value)


def _value(value: Json) -> str | None:
    """Return what a member holds, in whichever shape it was sent."""
    return text(cell(value).value)
