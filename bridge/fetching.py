"""Reads from a ticket system with our own credentials: tickets, people's groups, approvals, what changed.

It must not write to a ticket, nor believe anything that a webhook said about it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from bridge.connections import Connections
from bridge.errors import Reason
from bridge.models import (
    FetchedTicket,
    NoResponse,
    NotRead,
    Person,
    SourceName,
    TicketApproval,
    TicketRef,
)
from bridge.ticketing import ChangedTicket, Conversation, TicketSystem
from bridge.transport import Transport, boot_clock

T = TypeVar("T")

# Seconds for everything that is asked to read one thing, however many requests it takes.
READ_SECONDS = 30.0


class Fetching:
    """The reading use case; every answer may be NotRead, which says whether the ticket is gone."""

    def __init__(self, *, connections: Callable[[], Connections]) -> None:
        self._connections = connections

    def ticket(self, ref: TicketRef, since: datetime) -> FetchedTicket | NotRead:
        """Return a ticket as it is now, with its history and comments since a time."""
        return self._ask(ref.source, lambda system: system.fetch_ticket(ref, since))

    def groups(self, name: SourceName, person: Person) -> tuple[str, ...] | NotRead:
        """Return the groups of a person whom a ticket names."""
        return self._ask(name, lambda system: system.fetch_groups(person))

    def approvals(self, ref: TicketRef) -> tuple[TicketApproval, ...] | NotRead:
        """Return what the ticket system's own approvals say of a ticket."""
        return self._ask(ref.source, lambda system: system.fetch_approvals(ref))

    def changed(self, name: SourceName, since: datetime) -> tuple[ChangedTicket, ...] | NotRead:
        """Return the tickets of a source that changed since a time, the oldest change first."""
        return self._ask(name, lambda system: system.fetch_changed(since))

    def _ask(self, name: SourceName, ask: Callable[[TicketSystem], Conversation[T]]) -> T | NotRead:
        source = self._connections().sources.get(name)
        if source is None:
            return NotRead(
                gone=False, reason=Reason.UNKNOWN_SOURCE, detail=f"source {name} is not configured"
            )
        return converse(source.transport, ask(source.system), seconds=READ_SECONDS)


def converse(transport: Transport, conversation: Conversation[T], *, seconds: float) -> T | NotRead:
    """Carry a conversation out: send each request, give its answer back, return what it came to."""
    started = boot_clock()
    try:
        request = next(conversation)
        while True:
            response = transport.send(request, deadline=seconds, started=started)
            if isinstance(response, NoResponse):
                return NotRead(gone=False, reason=response.reason, detail=response.detail)
            request = conversation.send(response)
    except StopIteration as end:
        said: T | NotRead = end.value
        return said
