"""Counts the webhook requests that were refused: none gets a row, or anybody could fill the ledger.

It must not know why one was refused.
"""

from bridge.errors import Reason
from bridge.ledger import Tx
from bridge.ledger.tables import refused_webhooks
from bridge.models import SourceName


def count_refusals(tx: Tx, counted: dict[tuple[SourceName, Reason], int]) -> None:
    """Add webhook requests that were refused since the last time; they leave no other trace."""
    for (source, reason), count in sorted(counted.items()):
        statement = tx.insert(refused_webhooks).values(
            source=source, reason=reason, count=count, last_at=tx.now
        )
        tx.connection.execute(
            statement.on_conflict_do_update(
                index_elements=["source", "reason"],
                set_={"count": refused_webhooks.c.count + count, "last_at": tx.now},
            )
        )
