"""What the bridge asks of a ticket system. Each dialect is pure: values in, values out; nothing is sent here.

A dialect must not read a clock, files or the environment, and must not know another system or Nexthink.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bridge.models import (
    Delivery,
    FetchedTicket,
    HttpRequest,
    HttpResponse,
    Ignored,
    MarkerAbsent,
    MorePages,
    NotPosted,
    NotRead,
    OwedComment,
    Person,
    Posted,
    Report,
    SourceKind,
    SourceName,
    TicketApproval,
    TicketEvent,
    TicketRef,
    WebhookRequest,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """An internal comment that the ticket system shows to customers; it must be removed at once."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A page of tickets that changed lately; `more` is where the next page starts, None at the end."""

    tickets: tuple[tuple[TicketRef, datetime], ...]
    more: int | None


class TicketSystem(Protocol):
    """One configured source: a Jira site or a ServiceNow instance."""

    @property
    def source(self) -> SourceName: ...

    @property
    def kind(self) -> SourceKind: ...

    def open(self, request: WebhookRequest) -> Delivery:
        """Verify a request and parse its body; raise WebhookRefused with 400, 401 or 415."""
        ...

    def parse_event(self, delivery: Delivery) -> TicketEvent | Ignored:
        """Read what happened; raise WebhookRefused (400) where the body is not a ticket at all."""
        ...

    def ring(self, delivery: Delivery) -> TicketRef | Ignored:
        """Read no more than which ticket a delivery is about; raise WebhookRefused (400) where it is none."""
        ...

    @property
    def keeps_history(self) -> bool:
        """Say whether a ticket's changes can be read back, so that `change.` means something when fetched."""
        ...

    def ticket_requests(self, ticket: TicketRef, since: datetime) -> tuple[HttpRequest, ...]:
        """Ask for a ticket, its history and its comments since a time; every answer is needed, in order."""
        ...

    def read_ticket(
        self, responses: tuple[HttpResponse, ...], ticket: TicketRef, since: datetime
    ) -> FetchedTicket | NotRead:
        """Return the ticket of these answers."""
        ...

    def groups_request(self, person: Person) -> HttpRequest | None:
        """Ask for the groups of a person whom a fetched ticket names; None where nothing identifies them."""
        ...

    def read_groups(self, response: HttpResponse) -> tuple[str, ...] | NotRead:
        """Return the names of a person's groups."""
        ...

    def approvals_request(self, ticket: TicketRef) -> HttpRequest:
        """Ask for the ticket system's own approvals of a ticket."""
        ...

    def read_approvals(self, response: HttpResponse) -> tuple[TicketApproval, ...] | NotRead:
        """Return every decision that the system keeps of the ticket's approvals."""
        ...

    def changed_request(self, since: datetime, start: int) -> HttpRequest:
        """Ask for the tickets that changed since a time, the oldest change first, from `start` on."""
        ...

    def read_changed(self, response: HttpResponse, start: int) -> Listed | NotRead:
        """Return which tickets changed, and when by the system's own clock."""
        ...

    def account_request(self) -> HttpRequest:
        """Ask who we are; also the read-only probe of `doctor`."""
        ...

    def read_account(self, response: HttpResponse) -> Person | NotPosted:
        """Return our own account with every identifier that a webhook may carry for it."""
        ...

    def dress(self, report: Report) -> str:
        """Return the comment in the system's own form: escaped, cut to the system's limit, marker kept."""
        ...

    def comment_request(self, ticket: TicketRef, comment: OwedComment) -> HttpRequest:
        """Add a comment."""
        ...

    def read_comment(self, response: HttpResponse, comment: OwedComment) -> Posted | Exposed | NotPosted:
        """Say whether the comment stands, and whether it stands where it should."""
        ...

    def remove_request(self, ticket: TicketRef, comment_id: str) -> HttpRequest | None:
        """Remove an exposed comment; None where the system cannot."""
        ...

    def search_request(self, ticket: TicketRef, comment: OwedComment, start: int) -> HttpRequest:
        """List the ticket's comments from `start` on, newest first, to look for a marker."""
        ...

    def read_search(
        self, response: HttpResponse, ticket: TicketRef, comment: OwedComment, start: int
    ) -> Posted | Exposed | MarkerAbsent | MorePages | NotPosted:
        """Say whether the marker stands on this page; every row is checked again here.

        A comment that is found where customers see it, though it is internal, is Exposed as in read_comment.
        """
        ...
