"""Takes in what no webhook brought: a change that reconciliation found, where it asks for something new.

It must not find such changes, nor evaluate them.
"""

import json
from datetime import datetime

from sqlalchemy import select

from bridge.ledger import Tx, accepting, starting
from bridge.ledger.accepting import Accepted, Verdict
from bridge.ledger.tables import deliveries
from bridge.models import Delivery, DeliveryId, DeliveryState, TicketRef


def accept_missed(
    tx: Tx, *, delivery_id: DeliveryId, delivery: Delivery, verdict: Verdict
) -> Accepted | None:
    """Commit a delivery that was recovered; None where every run of it was made before (A1, A2)."""
    if all(starting.served_by(tx, new) is not None for new in verdict.runs):
        return None
    tx.count("delivery", delivery.source, "recovered")
    return accepting.accept(tx, delivery_id=delivery_id, delivery=delivery, verdict=verdict)


def judged_since(tx: Tx, *, ticket: TicketRef, since: datetime) -> frozenset[str]:
    """Return the names of a ticket's changes that were judged, by deliveries that were received since a time.

    What was judged while the ticket had another key is not among them.
    """
    found = tx.connection.execute(
        select(deliveries.c.judged).where(
            deliveries.c.ticket_key == ticket.key,
            deliveries.c.received_at >= since,
            deliveries.c.source == ticket.source,
            deliveries.c.ticket_uid == ticket.uid,
            deliveries.c.state == DeliveryState.EVALUATED,
        )
    ).scalars()
    return frozenset(name for names in found for name in json.loads(names))
