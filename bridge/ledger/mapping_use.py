"""How the mappings were used lately: how often each led to a run, which did so together, and when last.

It must not read more than SCANNED runs, however many there are; it says how far back it looked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Final

from sqlalchemy import func, select

from bridge.ledger import Tx
from bridge.ledger.tables import runs
from bridge.models import DeliveryId, MappingId

SCANNED: Final = 10_000

Pair = tuple[MappingId, MappingId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Two mappings that led to runs for one delivery: how often, and the newest such delivery."""

    times: int
    newest: DeliveryId


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingUse:
    """What was looked at since `since`: runs of each mapping, when the newest was made, and pairs."""

    since: datetime
    counts: Mapping[MappingId, int]
    newest: Mapping[MappingId, datetime]
    together: Mapping[Pair, Together]


def mapping_use(tx: Tx, *, since: datetime) -> MappingUse:
    """Look at the newest runs since a time."""
    newest = (
        select(runs.c.mapping, runs.c.delivery, runs.c.created_at)
        .where(runs.c.created_at >= since)
        .order_by(runs.c.created_at.desc())
        .limit(SCANNED)
        .subquery()
    )
    at = newest.c.created_at
    counted = tx.connection.execute(
        select(newest.c.mapping, func.count(), func.max(at), func.min(at)).group_by(newest.c.mapping)
    ).all()
    several = (
        select(newest.c.delivery)
        .group_by(newest.c.delivery)
        .having(func.count(newest.c.mapping.distinct()) > 1)
    )
    paired = select(newest.c.delivery, newest.c.mapping).where(newest.c.delivery.in_(several))
    by_delivery: dict[DeliveryId, set[MappingId]] = {}
    for delivery, mapping in tx.connection.execute(paired.order_by(at.desc())):
        by_delivery.setdefault(DeliveryId(delivery), set()).add(MappingId(mapping))
    whole = sum(count for _, count, _, _ in counted) < SCANNED
    return MappingUse(
        since=since if whole else min(first for *_, first in counted),
        counts={MappingId(mapping): count for mapping, count, _, _ in counted},
        newest={MappingId(mapping): last for mapping, _, last, _ in counted},
        together=_together(by_delivery),
    )


def _together(by_delivery: Mapping[DeliveryId, set[MappingId]]) -> dict[Pair, Together]:
    """Count the pairs; the newest delivery comes first."""
    together: dict[Pair, Together] = {}
    for delivery, names in by_delivery.items():
        for pair in combinations(sorted(names), 2):
            before = together.get(pair)
            together[pair] = Together(
                times=before.times + 1 if before else 1, newest=before.newest if before else delivery
            )
    return together


def last_sent(tx: Tx, *, mappings: Iterable[MappingId]) -> dict[MappingId, datetime]:
    """Return when a request of each mapping was last sent, where one ever was; each is one look-up."""
    found = {}
    for mapping in mappings:
        query = select(func.max(runs.c.intended_at)).where(
            runs.c.mapping == mapping, runs.c.intended_at.is_not(None)
        )
        at = tx.connection.execute(query).scalar_one()
        if at is not None:
            found[mapping] = at
    return found
