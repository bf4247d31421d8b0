"""Opens what was received to a person: it holds personal data, so the audit tells who looked.

It must not be how a program reads a payload.
"""

from bridge.ledger import Tx, queries
from bridge.models import Delivery, DeliveryId


def open_to(tx: Tx, *, person: str, delivery: DeliveryId) -> Delivery:
    """Return a delivery as it was received; raise NotPossible where there is none, or its payload is gone."""
    found = queries.whole_delivery(tx, delivery=delivery)
    tx.audit("payload_shown", about=delivery, by=person)
    return found
