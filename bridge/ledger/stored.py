"""Reads what was received in a time once more, page by page, for looking at it with other eyes.

It must not change anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select

from bridge.ledger import Ledger, Tx
from bridge.ledger.codec import delivery_of
from bridge.ledger.retention import EMPTIED
from bridge.ledger.tables import deliveries
from bridge.models import Delivery, DeliveryId, DeliveryState

# A page is short enough that a reader keeps no old snapshot alive for long.
PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A delivery that was judged; `content` is what was received, None where it was removed meanwhile."""

    id: DeliveryId
    received_at: datetime
    content: Delivery | None


def stored_since(ledger: Ledger, since: datetime, page_size: int = PAGE) -> Iterator[Stored]:
    """Yield the judged deliveries since a time, the oldest first, each page of them read by itself."""
    after: Stored | None = None
    while page := ledger.read(_page, since=since, after=after, limit=page_size):
        yield from page
        after = page[-1]


def newest_since(tx: Tx, *, since: datetime, most: int) -> datetime:
    """Return the time since which at most about so many deliveries were judged, `since` at the earliest."""
    at = deliveries.c.received_at
    query = select(at).where(at >= since, deliveries.c.state == DeliveryState.EVALUATED)
    found = tx.connection.execute(query.order_by(at.desc()).offset(most - 1).limit(1)).scalar()
    return since if found is None else found


def _page(tx: Tx, *, since: datetime, after: Stored | None, limit: int) -> tuple[Stored, ...]:
    at, number = deliveries.c.received_at, deliveries.c.id
    query = select(deliveries).where(at >= since, deliveries.c.state == DeliveryState.EVALUATED)
    if after is not None:
        query = query.where(at >= after.received_at, (at > after.received_at) | (number > after.id))
    rows = tx.connection.execute(query.order_by(at, number).limit(limit)).mappings()
    return tuple(
        Stored(
            id=DeliveryId(row["id"]),
            received_at=row["received_at"],
            content=None if row["payload"] == EMPTIED else delivery_of(row),
        )
        for row in rows
    )
