"""The deliveries that wait for their evaluation: who looks at them, and when again (A4).

It must not evaluate or close one; `accepting.judge` does, once.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import RowMapping, bindparam, select, update

from bridge.errors import Reason
from bridge.ledger import Tx
from bridge.ledger.codec import TICKET, delivery_of
from bridge.ledger.tables import IS_PENDING, deliveries
from bridge.models import Delivery, DeliveryId, DeliveryState, SourceName, TicketRef

_DUE: Final = (
    IS_PENDING,
    deliveries.c.source == bindparam("of_source"),
    deliveries.c.due_at <= bindparam("now"),
)
# Built once: every worker looks every second.
_ONE: Final = select(deliveries.c.id).where(*_DUE).limit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A delivery that waits; `ticket` is read first where one is given. `tries` counts what failed so far."""

    id: DeliveryId
    delivery: Delivery
    ticket: TicketRef | None
    tries: int


def due_sources(tx: Tx, *, sources: tuple[SourceName, ...]) -> tuple[SourceName, ...]:
    """Return the sources of which deliveries wait for their evaluation (A4)."""
    return tuple(
        source for source in sources if tx.value(_ONE, {"of_source": source, "now": tx.now}) is not None
    )


def take_pending(tx: Tx, *, source: SourceName, limit: int, lease: timedelta) -> tuple[Pending, ...]:
    """Return deliveries of a source that wait, the oldest first; nobody else is given them before the lease.

    Whoever took them judges or postpones each; where that process dies, they come up again (A4).
    """
    oldest = select(deliveries.c.id).where(*_DUE).order_by(deliveries.c.due_at).limit(limit)
    due = {"of_source": source, "now": tx.now}
    taken = [row.id for row in tx.connection.execute(tx.skip_locked(oldest), due)]
    rows = tx.connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(taken))
        .values(due_at=tx.now + lease)
        .returning(*deliveries.c)
    ).mappings()
    return tuple(sorted(map(_pending_of, rows), key=lambda each: each.delivery.received_at))


def postpone(tx: Tx, *, delivery_id: DeliveryId, delay: timedelta, failed: Reason | None = None) -> None:
    """Look at a pending delivery again later; `failed` says why its ticket could not be read."""
    values: dict[str, object] = {"due_at": tx.now + delay}
    if failed is not None:
        values["tries"] = deliveries.c.tries + 1
    changed = tx.connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state == DeliveryState.PENDING)
        .values(values)
        .returning(deliveries.c.source)
    ).scalar()
    if failed is not None and changed is not None:
        tx.count("read", changed, failed)


def _pending_of(row: RowMapping) -> Pending:
    return Pending(
        id=DeliveryId(row["id"]),
        delivery=delivery_of(row),
        ticket=TICKET.validate_json(row["ticket"]) if row["ticket"] else None,
        tries=row["tries"],
    )
