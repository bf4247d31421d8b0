"""Takes in what no webhook brought: a change that reconciliation found, where it asks for something new.

It must not find such changes, nor evaluate them.
"""

from bridge.ledger import Tx, accepting
from bridge.ledger.accepting import Accepted, Verdict
from bridge.models import Delivery, DeliveryId


def accept_missed(
    tx: Tx, *, delivery_id: DeliveryId, delivery: Delivery, verdict: Verdict
) -> Accepted | None:
    """Commit a delivery that was recovered; None where every run of it was made before (A1, A2)."""
    if all(accepting.served_by(tx, new) is not None for new in verdict.runs):
        return None
    tx.count("delivery", delivery.source, "recovered")
    return accepting.accept(tx, delivery_id=delivery_id, delivery=delivery, verdict=verdict)
