"""From a ticket that was read to what happened to it lately: one event for each change, comment and creation.

It must not read a clock, nor believe anything that a webhook said.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from bridge.models import EventKind, FetchedTicket, Person, Ticket, TicketEvent

# How long before a ring was received a change may have been made that it is about. Senders queue webhooks for
# minutes, and their clock may be minutes off; further back, a change that asked for nothing when it was made
# would be held against a ticket that has become another since.
LOOK_BACK: Final = timedelta(minutes=10)


def happened(
    fetched: FetchedTicket, *, since: datetime, rung_at: datetime, read_at: datetime, keeps_history: bool
) -> tuple[TicketEvent, ...]:
    """Return what happened since a time, the oldest first and never nothing: somebody rang.

    `rung_at` is when the ring was received, `read_at` when the ticket was read; nothing happened after that,
    whatever the ticket system's clock says. Without a history every ring is an update, unless the ticket is
    as it was created.
    """
    found = list(_told(fetched, since))
    untouched = fetched.created_at is not None and fetched.updated_at == fetched.created_at
    if not found or (not keeps_history and not untouched):
        found.append(_update(fetched, rung_at))
    capped = [_at_most(event, read_at) for event in found]
    return tuple(sorted(capped, key=lambda event: event.occurred_at or read_at))


def unchanged_since(happened: tuple[TicketEvent, ...], read_at: datetime) -> tuple[TicketEvent, ...]:
    """Return what may be held against the ticket as it was read, though no webhook told of it in time.

    What is further back than LOOK_BACK counts only where nothing was changed after it: else a change that
    asked for nothing when it was made would be held against a ticket that has become another since. The last
    update is always among them.
    """
    last = max((_at(event, read_at) for event in happened if event.kind is EventKind.UPDATED), default=None)
    oldest = read_at - LOOK_BACK
    return tuple(event for event in happened if last is None or _at(event, read_at) >= min(last, oldest))


def _at(event: TicketEvent, read_at: datetime) -> datetime:
    return event.occurred_at or read_at


def completed(event: TicketEvent, fetched: FetchedTicket) -> TicketEvent:
    """Return the event of a believed webhook on the ticket as it was read.

    What was read wins; the webhook's own stands where the ticket system told nothing.
    """
    own, told = event.ticket, fetched.ticket
    names = (name for name in Ticket.__dataclass_fields__ if _is_told(getattr(told, name)))
    return replace(
        event,
        ref=fetched.ref,
        ticket=replace(own, **{name: getattr(told, name) for name in names}),
        fields={**event.fields, **fetched.fields},
    )


def _is_told(value: object) -> bool:
    return value is not None and value != Person()


def _told(fetched: FetchedTicket, since: datetime) -> Iterator[TicketEvent]:
    """Yield what the ticket system itself tells of, each under the name that it has there."""
    if fetched.created_at is not None and fetched.created_at >= since:
        yield _event(fetched, EventKind.CREATED, "created", fetched.created_at, fetched.created_by)
    for entry in fetched.history:
        if entry.at >= since:
            changed = _event(fetched, EventKind.UPDATED, entry.key, entry.at, entry.actor)
            yield replace(changed, changes=entry.changes)
    for comment, author, at in fetched.comments:
        if at >= since:
            yield _event(fetched, EventKind.COMMENTED, f"comment:{comment}", at, author)


def _update(fetched: FetchedTicket, rung_at: datetime) -> TicketEvent:
    """Return that the ticket changed somehow; nothing names the change.

    Who changed the ticket last is taken for who rang, however long ago: a ring may be late, and a late one
    for our own change must start nothing. Only after the ring our own comment may have followed the change
    of another, which must not be ignored as ours.
    """
    at = fetched.updated_at
    fits = at is not None and at <= rung_at
    return _event(fetched, EventKind.UPDATED, None, at, fetched.updated_by if fits else None)


def _event(
    fetched: FetchedTicket, kind: EventKind, key: str | None, at: datetime | None, actor: Person | None
) -> TicketEvent:
    return TicketEvent(
        ref=fetched.ref,
        ticket=fetched.ticket,
        kind=kind,
        actor=actor,
        fields=fetched.fields,
        changes=(),
        change_key=key,
        occurred_at=at,
        payload=fetched.payload,
    )


def _at_most(event: TicketEvent, latest: datetime) -> TicketEvent:
    at = event.occurred_at
    return event if at is None or at <= latest else replace(event, occurred_at=latest)
