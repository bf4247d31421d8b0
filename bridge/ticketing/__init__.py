"""What the bridge asks of a ticket system. Each dialect is pure: values in, values out; nothing is sent here.

A dialect must not read a clock, files or the environment, and must not know another system or Nexthink.
"""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias, TypeVar

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
    WriteBack,
)

T = TypeVar("T")

# What is read in several steps, each depending on the answers before it: it yields requests, is sent their
# whole answers, and returns what they said. `fetching` carries it out; nothing is sent in here.
Conversation: TypeAlias = Generator[HttpRequest, HttpResponse, T | NotRead]
# The same for writing: what is not a GET may be carried out although its answer is lost.
Changing: TypeAlias = Generator[HttpRequest, HttpResponse, Posted | NotPosted]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """An internal comment that the ticket system shows to customers; it must be removed at once."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedTicket:
    """A ticket that changed lately, and when by the system's own clock."""

    ref: TicketRef
    at: datetime


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

    def fetch_ticket(self, ticket: TicketRef, since: datetime) -> Conversation[FetchedTicket]:
        """Ask for a ticket as it is now, with its history and its comments since a time."""
        ...

    def fetch_groups(self, person: Person) -> Conversation[tuple[str, ...]]:
        """Ask for the names of the groups of a person whom a fetched ticket or approval names."""
        ...

    def fetch_approvals(self, ticket: TicketRef) -> Conversation[tuple[TicketApproval, ...]]:
        """Ask for every decision that the system itself keeps of a ticket's approvals."""
        ...

    def fetch_changed(self, since: datetime) -> Conversation[tuple[ChangedTicket, ...]]:
        """Ask for the tickets that changed since a time, the oldest change first, each once.

        None is left out that changed before the first request was sent; one that changes meanwhile may be.
        """
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

    def change_ticket(self, ticket: TicketRef, change: WriteBack) -> Changing:
        """Look at a ticket and write only what it does not show yet; name what was written."""
        ...
