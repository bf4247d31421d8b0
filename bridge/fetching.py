"""Reads from a ticket system with our own credentials: a ticket, a person's groups, a ticket's approvals.

It must not write to a ticket, nor believe anything that a webhook said about it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from bridge.connections import Connections, Source
from bridge.errors import Reason
from bridge.models import (
    FetchedTicket,
    HttpRequest,
    HttpResponse,
    NoResponse,
    NotRead,
    Person,
    SourceName,
    TicketApproval,
    TicketRef,
)

T = TypeVar("T")

# Seconds for one request to a ticket system.
REQUEST_SECONDS = 30.0


class Fetching:
    """The reading use case; every answer may be NotRead, which says whether the ticket is gone."""

    def __init__(self, *, connections: Callable[[], Connections]) -> None:
        self._connections = connections

    def ticket(self, ref: TicketRef, since: datetime) -> FetchedTicket | NotRead:
        """Return a ticket as it is now, with its history and comments since a time."""
        source = self._connections().sources.get(ref.source)
        if source is None:
            return _not_configured(ref.source)
        answers: list[HttpResponse] = []
        for request in source.system.ticket_requests(ref, since):
            answer = source.transport.send(request, deadline=REQUEST_SECONDS)
            if isinstance(answer, NoResponse):
                return NotRead(gone=False, reason=answer.reason, detail=answer.detail)
            answers.append(answer)
        return source.system.read_ticket(tuple(answers), ref, since)

    def groups(self, name: SourceName, person: Person) -> tuple[str, ...] | NotRead:
        """Return the groups of a person whom a ticket names; nobody's where nothing identifies them."""
        source = self._connections().sources.get(name)
        if source is None:
            return _not_configured(name)
        request = source.system.groups_request(person)
        return () if request is None else _asked(source, request, source.system.read_groups)

    def approvals(self, ref: TicketRef) -> tuple[TicketApproval, ...] | NotRead:
        """Return what the ticket system's own approvals say of a ticket."""
        source = self._connections().sources.get(ref.source)
        if source is None:
            return _not_configured(ref.source)
        return _asked(source, source.system.approvals_request(ref), source.system.read_approvals)


def _asked(source: Source, request: HttpRequest, read: Callable[[HttpResponse], T | NotRead]) -> T | NotRead:
    answer = source.transport.send(request, deadline=REQUEST_SECONDS)
    if isinstance(answer, NoResponse):
        return NotRead(gone=False, reason=answer.reason, detail=answer.detail)
    return read(answer)


def _not_configured(name: SourceName) -> NotRead:
    return NotRead(gone=False, reason=Reason.UNKNOWN_SOURCE, detail=f"source {name} is not configured")
