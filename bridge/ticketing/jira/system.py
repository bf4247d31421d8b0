"""Jira behind the TicketSystem protocol.

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
from bridge.ticketing.jira import adf, approving, changing, comments, reading, searching, webhook, wiki
from bridge.ticketing.jira.config import JiraConfig


@dataclass(frozen=True, slots=True)
class Jira:
    """One configured Jira site."""

    config: JiraConfig

    @property
    def source(self) -> SourceName:
        return self.config.source

    @property
    def kind(self) -> SourceKind:
        return SourceKind.JIRA

    def open(self, request: WebhookRequest) -> Delivery:
        """Verify a request and parse its body; raise WebhookRefused with 400, 401 or 415."""
        proven = proofs.verify(self.config.proof, request)
        strict_json.require_json_type(request.headers)
        payload = strict_json.parse(request.body)
        digest = hashlib.sha256(request.body).hexdigest()
        return Delivery(
            source=self.config.source,
            key=webhook.delivery_key(request, payload, digest, proven),
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
        """Read no more than which issue a delivery is about."""
        return webhook.ring(self.config, delivery)

    @property
    def keeps_history(self) -> bool:
        """Say yes: every Jira keeps a changelog."""
        return True

    def fetch_ticket(self, ticket: TicketRef, since: datetime) -> Conversation[FetchedTicket]:
        """Ask for an issue with its changelog and comments."""
        return reading.fetch(self.config, ticket, since)

    def fetch_groups(self, person: Person) -> Conversation[tuple[str, ...]]:
        """Ask for a person's groups."""
        return approving.fetch_groups(self.config, person)

    def fetch_approvals(self, ticket: TicketRef) -> Conversation[tuple[TicketApproval, ...]]:
        """Ask for the approvals of a service desk's request."""
        return approving.fetch_approvals(self.config, ticket)

    def fetch_changed(self, since: datetime) -> Conversation[tuple[ChangedTicket, ...]]:
        """Ask for the issues that changed."""
        return searching.fetch(self.config, since)

    def account_request(self) -> HttpRequest:
        """Ask who we are."""
        return comments.account_request(self.config)

    def read_account(self, response: HttpResponse) -> Person | NotPosted:
        """Return our own account."""
        return comments.read_account(self.config, response)

    def dress(self, report: Report) -> str:
        """Return an ADF document (Cloud) or wiki text (Data Center, JSM route)."""
        return adf.dress(report) if self.config.rich else wiki.dress(report)

    def comment_request(self, ticket: TicketRef, comment: OwedComment) -> HttpRequest:
        """Add a comment."""
        return comments.comment_request(self.config, ticket, comment)

    def read_comment(self, response: HttpResponse, comment: OwedComment) -> Posted | Exposed | NotPosted:
        """Say whether the comment stands where it should."""
        return comments.read_comment(response, comment)

    def remove_request(self, ticket: TicketRef, comment_id: str) -> HttpRequest | None:
        """Delete an exposed comment."""
        return comments.remove_request(self.config, ticket, comment_id)

    def search_request(
        self,
        ticket: TicketRef,
        comment: OwedComment,  # noqa: ARG002 - asked by the protocol; Jira cannot filter by marker
        start: int,
    ) -> HttpRequest:
        """List comments from `start` on, newest first."""
        return comments.search_request(self.config, ticket, start)

    def read_search(
        self,
        response: HttpResponse,
        ticket: TicketRef,  # noqa: ARG002 - asked by the protocol; Jira lists one issue's comments only
        comment: OwedComment,
        start: int,
    ) -> Posted | Exposed | MarkerAbsent | MorePages | NotPosted:
        """Say whether the marker stands on this page."""
        return comments.read_search(self.config, response, comment, start)

    def change_ticket(self, ticket: TicketRef, change: WriteBack) -> Changing:
        """Write what the ticket does not show yet."""
        return changing.change_ticket(self.config, ticket, change)
