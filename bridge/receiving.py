"""Turns a webhook request into a receipt: verified and committed before it is answered.

It must not send anything. What must be read first, or has to wait, is left to a worker (A4).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from bridge.connections import Connections, Source
from bridge.errors import LedgerUnavailable, Reason, WebhookRefused
from bridge.judging import Judging, bounded, ignored
from bridge.ledger import Ledger, accepting
from bridge.ledger.accepting import Arrival
from bridge.models import Delivery, DeliveryId, Ignored, Json, TicketRef, Trust, WebhookRequest

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the sender is told: the HTTP status and a JSON body."""

    status: int
    body: Json


class Receiving:
    """The receiving use case; `connections` gives what is in force now."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        connections: Callable[[], Connections],
        judging: Judging,
        new_id: Callable[[], str],
    ) -> None:
        self._ledger = ledger
        self._connections = connections
        self._judging = judging
        self._new_id = new_id

    def receive(self, request: WebhookRequest) -> Receipt:
        """Accept a webhook and return what its sender is told; raise WebhookRefused for a 4xx or 503."""
        source = self._connections().sources.get(request.source)
        if source is None:
            raise WebhookRefused(404, Reason.UNKNOWN_SOURCE, "no such source is configured")
        delivery_id = DeliveryId(f"d{self._new_id()}")
        arrival = self._arrival(source, delivery_id, source.system.open(request))
        try:
            accepted = self._ledger.write_with_others(accepting.accept_all, arrival)
        except LedgerUnavailable as error:
            raise WebhookRefused(503, Reason.LEDGER_UNAVAILABLE, "nothing could be committed") from error
        reason = Reason.DUPLICATE if accepted.duplicate else accepted.reason
        log.info(
            "webhook.accepted",
            source=request.source,
            delivery=accepted.delivery,
            reason=reason,
            runs=len(accepted.runs),
        )
        status = "duplicate" if accepted.duplicate else "pending" if arrival.verdict is None else "accepted"
        if reason is not None and not accepted.duplicate:
            status = "ignored"
        return Receipt(
            status=200,
            body={
                "status": status,
                "delivery": accepted.delivery,
                "reason": reason,
                "runs": list(accepted.runs),
            },
        )

    def _arrival(self, source: Source, delivery_id: DeliveryId, delivery: Delivery) -> Arrival:
        if source.trust is Trust.DOORBELL:
            # Nothing in the body is believed, its times and numbers neither: a ring is always a new one.
            rung = replace(delivery, key=f"ring:{delivery_id}", timed=False, signed=False)
            return _to_be_read(delivery_id, rung, source.system.ring(delivery), ring=True)
        named = replace(delivery, key=_delivery_key(delivery, delivery_id))
        if source.fetch:
            event = source.system.parse_event(named)
            about = event if isinstance(event, Ignored) else event.ref
            return _to_be_read(delivery_id, named, about, ring=False)
        verdict = self._judging.of_webhook(delivery_id, named)
        return Arrival(id=delivery_id, delivery=named, verdict=verdict)


def _to_be_read(
    delivery_id: DeliveryId, delivery: Delivery, about: TicketRef | Ignored, *, ring: bool
) -> Arrival:
    if isinstance(about, Ignored):
        return Arrival(id=delivery_id, delivery=delivery, verdict=ignored(about), ring=ring)
    return Arrival(id=delivery_id, delivery=delivery, verdict=None, ticket=about, ring=ring)


def _delivery_key(delivery: Delivery, delivery_id: DeliveryId) -> str:
    # The same body without a time may be a second event: then the digest alone must not be unique for ever.
    if not delivery.timed and delivery.key == f"digest:{delivery.digest}":
        return f"{delivery.key}:{delivery_id}"
    return bounded(delivery.key)
