"""ServiceNow behind the TicketSystem protocol.

It must not hold rules of its own; each question goes to the module that answers it.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from bridge.models import (
    Delivery,
    FetchedTicket,
    HttpRequest,
    HttpResponse,
    Ignored,
    MarkerAbsent,
    MorePages,
    NotPosted,
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
from bridge.ticketing import ChangedTicket, Changing, Conversation, Exposed, proofs, strict_json
from bridge.ticketing.servicenow import approving, changing, journal, note, reading, searching, webhook
from bridge.ticketing.servicenow.config import ServiceNowConfig


@dataclass(frozen=True, slots=True)
class ServiceNow:
    """One configured ServiceNow instance."""

    config: ServiceNowConfig

    @property
    def source(self) -> SourceName:
        return self.config.source

    @property
    def kind(self) -> SourceKind:
        return SourceKind.SERVICENOW

    def open(self, request: WebhookRequest) -> Delivery:
        """Verify a request and parse its body; raise WebhookRefused with 400, 401 or 415."""
        proven = proofs.verify(self.config.proof, request)
        strict_json.require_json_type(request.headers)
        payload = strict_json.parse(request.body)
        digest = hashlib.sha256(request.body).hexdigest()
        return Delivery(
            source=self.config.source,
            key=webhook.delivery_key(payload, digest, proven),
            digest=digest,
            timed=webhook.is_timed(payload),
            payload=payload,
            received_at=request.received_at,
            signed=proofs.covers_body(self.config.proof),
        )

    def parse_event(self, delivery: Delivery) -> TicketEvent | Ignored:
        """Read what happened; raise WebhookRefused (400) where the body is not a ticket at all."""
        return webhook.parse_event(self.config, delivery)

    def ring(self, delivery: Delivery) -> TicketRef | Ignored:
        """Read no more than which record a delivery is about."""
        return webhook.ring(self.config, delivery)

    @property
    def keeps_history(self) -> bool:
        """Say whether the source names a table of changes."""
        return self.config.history != "none"

    def fetch_ticket(self, ticket: TicketRef, since: datetime) -> Conversation[FetchedTicket]:
        """Ask for a record with its history and notes."""
        return reading.fetch(self.config, ticket, since)

    def fetch_groups(self, person: Person) -> Conversation[tuple[str, ...]]:
        """Ask for a person's groups."""
        return approving.fetch_groups(self.config, person)

    def fetch_approvals(self, ticket: TicketRef) -> Conversation[tuple[TicketApproval, ...]]:
        """Ask for the approvals of a record."""
        return approving.fetch_approvals(self.config, ticket)

    def fetch_changed(self, since: datetime) -> Conversation[tuple[ChangedTicket, ...]]:
        """Ask for the records that changed."""
        return searching.fetch(self.config, since)

    def account_request(self) -> HttpRequest:
        """Look our own user up."""
        return journal.account_request(self.config)

    def read_account(self, response: HttpResponse) -> Person | NotPosted:
        """Return our own account."""
        return journal.read_account(self.config, response)

    def dress(self, report: Report) -> str:
        """Return HTML between [code] tags, or plain text where the instance does not show them."""
        return note.dress(report, code_tags=self.config.code_tags)

    def comment_request(self, ticket: TicketRef, comment: OwedComment) -> HttpRequest:
        """Add a work note or a comment."""
        return journal.comment_request(self.config, ticket, comment)

    def read_comment(
        self,
        response: HttpResponse,
        comment: OwedComment,  # noqa: ARG002 - asked by the protocol; the element decides who sees a note
    ) -> Posted | Exposed | NotPosted:
        """Say whether the note stands."""
        return journal.read_comment(response)

    def remove_request(
        self,
        ticket: TicketRef,  # noqa: ARG002 - asked by the protocol
        comment_id: str,  # noqa: ARG002 - asked by the protocol
    ) -> HttpRequest | None:
        """Return None: a journal entry cannot be taken back."""
        return None

    def search_request(self, ticket: TicketRef, comment: OwedComment, start: int) -> HttpRequest:
        """Ask the journal (start 0), then the record (start 1)."""
        return journal.search_request(self.config, ticket, comment, start)

    def read_search(
        self, response: HttpResponse, ticket: TicketRef, comment: OwedComment, start: int
    ) -> Posted | Exposed | MarkerAbsent | MorePages | NotPosted:
        """Say whether the note is there."""
        return journal.read_search(self.config, response, ticket, comment, start)

    def change_ticket(self, ticket: TicketRef, change: WriteBack) -> Changing:
        """Write what the ticket does not show yet."""
        return changing.change_ticket(self.config, ticket, change)
