"""Carries out a change of a ticket after an outcome, and says whether a lost write may still arrive.

It must not touch the ledger, nor decide what is written; the dialect looks at the ticket and does.
"""

from dataclasses import dataclass

from bridge.connections import Source
from bridge.models import NoResponse, NotPosted, Posted, PostFailure, TicketRef, WriteBack
from bridge.transport import boot_clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How far a change came; `uncertain` says that a write without an answer may still be carried out."""

    answer: Posted | NotPosted
    uncertain: bool = False


def write_back(source: Source, ticket: TicketRef, change: WriteBack, *, seconds: float) -> Tried:
    """Change a ticket within `seconds`, however many requests it takes."""
    started = boot_clock()
    changing = source.system.change_ticket(ticket, change)
    uncertain = False
    try:
        request = next(changing)
        while True:
            response = source.transport.send(request, deadline=seconds, started=started)
            writes = request.method != "GET"
            if isinstance(response, NoResponse):
                lost = NotPosted(failure=PostFailure.LATER, reason=response.reason, detail=response.detail)
                return Tried(answer=lost, uncertain=uncertain or (writes and response.sent))
            uncertain = uncertain or (writes and not 400 <= response.status < 500)
            request = changing.send(response)
    except StopIteration as end:
        answer: Posted | NotPosted = end.value
        return Tried(answer=answer, uncertain=uncertain)
