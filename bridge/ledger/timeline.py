"""The timeline of a run, for people: what became of it, when, and by whose decision.

It must not be what any rule goes by.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from bridge.ledger import Tx
from bridge.ledger.tables import history
from bridge.models import RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    at: datetime
    event: str
    by: str | None
    detail: str | None


def timeline(tx: Tx, *, run: RunId) -> tuple[HistoryLine, ...]:
    """Return the lines of a run, the oldest first."""
    rows = tx.connection.execute(select(history).where(history.c.run == run).order_by(history.c.id))
    return tuple(HistoryLine(at=line.at, event=line.event, by=line.by, detail=line.detail) for line in rows)
