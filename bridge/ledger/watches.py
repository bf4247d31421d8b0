"""How far each source was asked for what never arrived, and how long it is usually silent.

It must not ask a ticket system, nor warn anybody.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from sqlalchemy import delete, or_, select, update

from bridge.ledger import Tx
from bridge.ledger.tables import deliveries, source_watch
from bridge.models import SourceName

# Two weeks hold a weekend in any case, and mostly two.
REMEMBERED = timedelta(days=14)
# Deliveries within an hour of one another are one look at the index, so a busy source costs no more than 336.
STEP = timedelta(hours=1)
# Fewer hours with webhooks, or a shorter time, say nothing of a rhythm: there may be no weekend in it.
LEAST_HOURS = 20
LEAST_TIME = timedelta(days=8)
# A pause that is a little longer than any before is no news yet.
GRACE = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The right to ask a source once; `reached_at` is up to where it was asked before."""

    reached_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLine:
    """A source as health sees it; `usual_seconds` None: too little came to say what is usual."""

    source: SourceName
    last_at: datetime | None
    usual_seconds: int | None
    reached_at: datetime | None

    def silent(self, now: datetime) -> bool:
        """Say whether its silence is longer than usual."""
        if self.last_at is None or self.usual_seconds is None:
            return False
        return now - self.last_at > timedelta(seconds=self.usual_seconds)


def take_turn(tx: Tx, *, source: SourceName, every: timedelta) -> Turn | None:
    """Take the turn of asking a source for what never arrived; None where somebody had it lately."""
    _begin(tx, source)
    due = or_(source_watch.c.asked_at.is_(None), source_watch.c.asked_at <= tx.now - every)
    row = tx.connection.execute(
        update(source_watch)
        .where(source_watch.c.source == source, due)
        .values(asked_at=tx.now)
        .returning(source_watch.c.reached_at)
    ).first()
    return Turn(reached_at=row.reached_at) if row else None


def reach(tx: Tx, *, source: SourceName, at: datetime) -> None:
    """Remember up to where a source was asked; it is never asked for less again."""
    tx.connection.execute(
        update(source_watch)
        .where(
            source_watch.c.source == source,
            or_(source_watch.c.reached_at.is_(None), source_watch.c.reached_at < at),
        )
        .values(reached_at=at)
    )


def learn(tx: Tx, *, source: SourceName, every: timedelta) -> None:
    """Work out anew how long a source is usually silent, unless somebody did lately."""
    _begin(tx, source)
    due = or_(source_watch.c.looked_at.is_(None), source_watch.c.looked_at <= tx.now - every)
    mine = tx.connection.execute(
        update(source_watch)
        .where(source_watch.c.source == source, due)
        .values(looked_at=tx.now)
        .returning(source_watch.c.source)
    ).first()
    if mine is not None:
        usual = _usual(tuple(_arrivals(tx, source)), tx.now)
        tx.connection.execute(
            update(source_watch)
            .where(source_watch.c.source == source)
            .values(usual_seconds=None if usual is None else int(usual.total_seconds()))
        )


def forget_others(tx: Tx, *, sources: tuple[SourceName, ...]) -> None:
    """Forget sources that are not configured any more, so that nobody is warned of their silence."""
    tx.connection.execute(delete(source_watch).where(source_watch.c.source.not_in(sources)))


_LAST: Final = (
    select(deliveries.c.received_at)
    .where(deliveries.c.source == source_watch.c.source, deliveries.c.recovered == 0)
    .order_by(deliveries.c.received_at.desc())
    .limit(1)
)
# Built once: it runs every second in every web process.
_LINES: Final = select(
    source_watch.c.source,
    source_watch.c.usual_seconds,
    source_watch.c.reached_at,
    _LAST.scalar_subquery().label("last_at"),
).order_by(source_watch.c.source)


def lines(tx: Tx) -> tuple[SourceLine, ...]:
    """Return every source that is watched, with its last webhook."""
    return tuple(SourceLine(**row) for row in tx.run(_LINES, {}))


def _begin(tx: Tx, source: SourceName) -> None:
    tx.connection.execute(tx.insert(source_watch).values(source=source).on_conflict_do_nothing())


def _arrivals(tx: Tx, source: SourceName) -> Iterator[datetime]:
    """Yield the first webhook of the time that is remembered, then each first one a STEP or more later."""
    after = tx.now - REMEMBERED
    while (at := _first_since(tx, source, after)) is not None:
        yield at
        after = at + STEP


def _first_since(tx: Tx, source: SourceName, after: datetime) -> datetime | None:
    return tx.connection.execute(
        select(deliveries.c.received_at)
        .where(deliveries.c.source == source, deliveries.c.received_at >= after, deliveries.c.recovered == 0)
        .order_by(deliveries.c.received_at)
        .limit(1)
    ).scalar()


def _usual(arrivals: tuple[datetime, ...], now: datetime) -> timedelta | None:
    """Return the longest silence that is still usual: half as long again as the longest pause."""
    if len(arrivals) < LEAST_HOURS or now - arrivals[0] < LEAST_TIME:
        return None
    longest = max(later - earlier for earlier, later in pairwise(arrivals))
    return longest * GRACE
