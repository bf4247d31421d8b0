"""Posts the comments that are owed, so that they look posted once, and the changes after them (T1 to T3).

It must not make a comment's words, nor decide that a comment or a change is not needed.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bridge import comments, retries
from bridge.connections import Connections, Source
from bridge.errors import LostOwnership, Reason
from bridge.ledger import Ledger, outbox
from bridge.models import (
    Comment,
    DeliveryId,
    HttpResponse,
    MarkerAbsent,
    MorePages,
    NoResponse,
    NotPosted,
    Occasion,
    OwedComment,
    Posted,
    PostFailure,
    Report,
    RunId,
    SessionId,
    TicketRef,
    Visibility,
    WriteBack,
)
from bridge.ticketing import Exposed
from bridge.writing_back import write_back

log = structlog.get_logger(__name__)

# Seconds for one request to a ticket system.
REQUEST_SECONDS = 30.0
# The longest that posting one comment may take, the search before it included.
POSTING = timedelta(seconds=120)
SEARCH_PAGES = 20
# Seconds for all requests of one change, which must be over before others may take its row.
CHANGE_SECONDS = 90.0


def owed(
    connections: Connections,
    ticket: TicketRef,
    *,
    run: RunId,
    delivery: DeliveryId,
    occasion: Occasion,
    n: int,
    visibility: Visibility,
    report: Report,
    after: tuple[WriteBack, ...],
) -> OwedComment:
    """Return a comment whose text is made and cut now, not when it is posted (T3).

    `after` is what the mapping wants changed in the ticket, by outcome.
    """
    marker = comments.marker(run, delivery, occasion, n)
    console = connections.console_url
    # Customers cannot sign in there, nor need they know where it is.
    shown = console is not None and visibility is Visibility.INTERNAL
    details = f"{console}/runs/{run}" if shown else None
    system = connections.sources[ticket.source].system
    return OwedComment(
        occasion=occasion,
        n=n,
        marker=marker,
        text=system.dress(replace(report, marker=marker, details=details)),
        visibility=visibility,
        after=after,
    )


class Telling:
    """The posting use case; `jitter` gives a number in [0, 1)."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        connections: Callable[[], Connections],
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._connections = connections
        self._clock = clock
        self._jitter = jitter

    def post(self, comment: Comment, session: SessionId) -> None:
        """Post one claimed comment, or make one claimed change, and record what came of it."""
        source = self._connections().sources[comment.ticket.source]
        begun = time.monotonic()
        try:
            if comment.change is not None:
                self._change(source, comment, comment.change, session)
                return
            if comment.uncertain_until is not None:
                found = self._search(source, comment)
                if isinstance(found, Exposed):
                    self._withdraw(source, comment, session, found)
                    return
                if not isinstance(found, MarkerAbsent):
                    self._close(comment, session, found, uncertain=True)
                    return
            if time.monotonic() - begun > POSTING.total_seconds() - 2 * REQUEST_SECONDS:
                slow = NotPosted(
                    failure=PostFailure.LATER, reason=Reason.DEADLINE, detail="the search took too long"
                )
                self._close(comment, session, slow, uncertain=False)
                return
            self._send(source, comment, session)
        except LostOwnership:
            log.warning("comment.lost", run=comment.run, session=session)

    def _change(self, source: Source, comment: Comment, change: WriteBack, session: SessionId) -> None:
        tried = write_back(source, comment.ticket, change, seconds=CHANGE_SECONDS)
        self._close(comment, session, tried.answer, uncertain=tried.uncertain)

    def _send(self, source: Source, comment: Comment, session: SessionId) -> None:
        request = source.system.comment_request(comment.ticket, comment.owed)
        response = source.transport.send(request, deadline=REQUEST_SECONDS)
        if isinstance(response, NoResponse):
            failed = NotPosted(failure=PostFailure.LATER, reason=response.reason, detail=response.detail)
            self._close(comment, session, failed, uncertain=response.sent)
            return
        answer = source.system.read_comment(response, comment.owed)
        if isinstance(answer, Exposed):
            self._withdraw(source, comment, session, answer)
            return
        self._close(comment, session, answer, uncertain=_may_stand(response))

    def _withdraw(self, source: Source, comment: Comment, session: SessionId, exposed: Exposed) -> None:
        removal = source.system.remove_request(comment.ticket, exposed.id)
        removed = source.transport.send(removal, deadline=REQUEST_SECONDS) if removal else None
        done = isinstance(removed, HttpResponse) and removed.status in {200, 204}
        log.error("comment.made_public", run=comment.run, source=comment.ticket.source, state=done)
        self._ledger.persist(
            outbox.undeliverable,
            comment=comment,
            session=session,
            reason=Reason.MADE_PUBLIC,
            detail="an internal comment was shown to customers; "
            + ("it was removed" if done else "it could not be removed"),
        )

    def _search(self, source: Source, comment: Comment) -> Posted | Exposed | MarkerAbsent | NotPosted:
        start = 0
        for _page in range(SEARCH_PAGES):
            request = source.system.search_request(comment.ticket, comment.owed, start)
            response = source.transport.send(request, deadline=REQUEST_SECONDS)
            if isinstance(response, NoResponse):
                return NotPosted(failure=PostFailure.LATER, reason=response.reason, detail=response.detail)
            found = source.system.read_search(response, comment.ticket, comment.owed, start)
            if not isinstance(found, MorePages):
                return found
            start = found.start
        return MarkerAbsent()

    def _close(
        self, comment: Comment, session: SessionId, answer: Posted | NotPosted, *, uncertain: bool
    ) -> None:
        if isinstance(answer, Posted):
            self._ledger.persist(outbox.posted, comment=comment, session=session, posted_id=answer.id)
            log.info(
                "comment.posted",
                run=comment.run,
                source=comment.ticket.source,
                occasion=comment.owed.occasion,
            )
            return
        now = self._clock()
        again = retries.decide(
            retries.COMMENTS,
            comment.attempt,
            now,
            first_at=comment.owed_at,
            jitter=self._jitter(),
            retry_after=answer.retry_after,
        )
        if answer.failure is PostFailure.PERMANENT or isinstance(again, retries.GiveUp):
            self._ledger.persist(
                outbox.undeliverable,
                comment=comment,
                session=session,
                reason=answer.reason,
                detail=answer.detail,
            )
            log.error(
                "comment.undeliverable",
                run=comment.run,
                reason=answer.reason,
                occasion=comment.owed.occasion,
            )
            return
        self._ledger.persist(
            outbox.try_later,
            comment=comment,
            session=session,
            delay=max(again.at - now, timedelta()),
            reason=answer.reason,
            detail=answer.detail,
            uncertain=uncertain,
        )
        log.warning(
            "comment.try_later",
            run=comment.run,
            reason=answer.reason,
            attempt=comment.attempt,
            occasion=comment.owed.occasion,
        )


def _may_stand(response: HttpResponse) -> bool:
    """Say whether the comment may stand although the answer does not say so."""
    return response.status < 400 or response.status >= 500
