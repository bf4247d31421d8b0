"""Counts what is unfinished, for health and metrics: every count reads a partial index, never all of history.

It must not say what a count means. It runs every two seconds in every web process.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, func, select

from bridge.ledger import Tx
from bridge.ledger.tables import IS_PENDING, UNENDED, UNPOSTED, comments, deliveries, is_in, runs
from bridge.models import CommentState, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How many wait, and since when the one that has waited longest."""

    count: int
    oldest: datetime | None


# Built once: building a statement takes several times as long as running it.
_UNENDED_RUNS: Final = (
    select(runs.c.state, func.count().label("count"))
    .where(is_in(runs.c.state, *UNENDED))
    .group_by(runs.c.state)
    .order_by(runs.c.state)
)
_PENDING: Final = select(
    func.count().label("count"), func.min(deliveries.c.received_at).label("oldest")
).where(IS_PENDING)
_OWED: Final = select(func.count().label("count"), func.min(comments.c.owed_at).label("oldest")).where(
    is_in(comments.c.state, *UNPOSTED)
)
_OLDEST_DUE: Final = select(func.min(runs.c.due_at).label("oldest")).where(
    is_in(runs.c.state, RunState.QUEUED), runs.c.due_at <= bindparam("now", type_=runs.c.due_at.type)
)
_UNDELIVERABLE: Final = select(func.count().label("count")).where(
    is_in(comments.c.state, CommentState.UNDELIVERABLE)
)


def unended_runs(tx: Tx) -> dict[RunState, int]:
    """Return how many runs are in each state that has not ended, and dead ones."""
    return {RunState(row["state"]): row["count"] for row in tx.run(_UNENDED_RUNS, {})}


def pending_deliveries(tx: Tx) -> Waiting:
    """Count the deliveries that are not judged yet."""
    return _waiting(tx, _PENDING)


def owed_comments(tx: Tx) -> Waiting:
    """Count the comments and changes that are owed."""
    return _waiting(tx, _OWED)


def undeliverable_comments(tx: Tx) -> int:
    """Count the comments that no ticket takes."""
    return int(tx.value(_UNDELIVERABLE, {}))


def oldest_due(tx: Tx) -> datetime | None:
    """Return when the run that has waited longest could have started."""
    found: datetime | None = tx.value(_OLDEST_DUE, {"now": tx.now})
    return found


def _waiting(tx: Tx, query: Any) -> Waiting:
    (row,) = tx.run(query, {})
    return Waiting(count=row["count"], oldest=row["oldest"])
