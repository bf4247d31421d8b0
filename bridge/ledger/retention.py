"""Removes what has been kept long enough, a few rows at a time, and never what a rule still reads.

It must not decide how long that is. A run's row stays when all that belongs to it goes: its key is what makes
`repeat: never` true (A2), and its time is what limits count (L1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, delete, exists, func, select, update

from bridge.ledger import Tx
from bridge.ledger.auditing import Seal, newest_seal, seal_of
from bridge.ledger.codec import PLAN
from bridge.ledger.in_force import put_fact
from bridge.ledger.tables import (
    UNENDED,
    UNPOSTED,
    approvals,
    audit,
    calls,
    comments,
    deliveries,
    device_uses,
    facts,
    history,
    is_in,
    runs,
    seals,
    trips,
)
from bridge.ledger.verifying import PURGED
from bridge.ledger.working import ENDED
from bridge.models import DeliveryState, RunId

# What stands where a payload was: no webhook's body is this.
EMPTIED: Final = "null"
NO_FINDINGS: Final = "[]"
ROUND_FACT: Final = "purge"
# One transaction holds up other writers for some milliseconds, however much there is to remove.
BATCH: Final = 100
_BATCH_SEGMENTS: Final = 200
_BATCH_ROWS: Final = 2_000
_OF_A_RUN: Final = (calls, comments, history, approvals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Rows that are due: their ids, and the time of the last, from which the next look goes on."""

    ids: tuple[str, ...]
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """Segments of the audit that are due, the oldest first."""

    through: int
    last_row: int


def begin_pass(tx: Tx, *, every: timedelta) -> bool:
    """Say whether a pass is due, and begin it: of several workers one does it."""
    tx.only_one("purge")
    begun = tx.connection.execute(select(facts.c.at).where(facts.c.name == ROUND_FACT)).scalar()
    if begun is not None and tx.now - begun < every:
        return False
    put_fact(tx, name=ROUND_FACT, value="begun")
    return True


def old_payloads(tx: Tx, *, before: datetime, after: datetime | None) -> Found:
    """Return deliveries whose payload stands and is due."""
    return _found(tx, deliveries.c.received_at, after, *_old_payload(before))


def empty_payloads(tx: Tx, *, ids: Sequence[str], before: datetime) -> int:
    """Empty payloads; key and digest stay, so that a repeat is recognised for ever (A1)."""
    emptied = tx.connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(ids), *_old_payload(before))
        .values(payload=EMPTIED)
        .returning(deliveries.c.id)
    ).all()
    if emptied:
        tx.audit("payloads_emptied", about="deliveries", detail={"count": len(emptied)})
    return len(emptied)


def _old_payload(before: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        deliveries.c.received_at < before,
        deliveries.c.state == DeliveryState.EVALUATED,
        deliveries.c.payload != EMPTIED,
    )


def old_findings(tx: Tx, *, before: datetime, after: datetime | None) -> Found:
    """Return deliveries of which it still stands what mappings saw, and that is due."""
    return _found(tx, deliveries.c.received_at, after, *_old_finding(before))


def empty_findings(tx: Tx, *, ids: Sequence[str], before: datetime) -> int:
    """Remove what mappings saw in a ticket."""
    emptied = tx.connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(ids), *_old_finding(before))
        .values(findings=NO_FINDINGS, detail=None)
        .returning(deliveries.c.id)
    ).all()
    if emptied:
        tx.audit("findings_emptied", about="deliveries", detail={"count": len(emptied)})
    return len(emptied)


def _old_finding(before: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        deliveries.c.received_at < before,
        deliveries.c.state == DeliveryState.EVALUATED,
        (deliveries.c.findings != NO_FINDINGS) | deliveries.c.detail.is_not(None),
    )


def old_runs(tx: Tx, *, before: datetime, after: datetime | None) -> Found:
    """Return runs that ended long enough ago and owe nothing."""
    # By the time that a run was made, which has an index; it ended no earlier.
    return _found(tx, runs.c.created_at, after, runs.c.created_at < before, *_old_run(before))


def strip_runs(tx: Tx, *, ids: Sequence[str], before: datetime) -> int:
    """Remove all of some runs but their rows, which hold what is counted and served already."""
    stripped = tx.connection.execute(
        update(runs)
        .where(runs.c.id.in_(ids), *_old_run(before))
        .values(plan=None, detail=None, purged_at=tx.now)
        .returning(runs.c.id)
    ).scalars()
    gone = sorted(stripped)
    remove_all_of(tx, run_ids=gone)
    for run in gone:
        tx.audit("run_purged", about=run)
    return len(gone)


def _old_run(before: datetime) -> tuple[ColumnElement[bool], ...]:
    return (runs.c.ended_at < before, runs.c.purged_at.is_(None), *settled())


def settled() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a run that has ended and owes its ticket nothing."""
    owed = exists().where(comments.c.run == runs.c.id, is_in(comments.c.state, *UNPOSTED))
    return (runs.c.state.in_(ENDED), ~owed)


def remove_all_of(tx: Tx, *, run_ids: Sequence[str]) -> None:
    """Remove what belongs to runs, but for what limits count."""
    for table in _OF_A_RUN:
        tx.connection.execute(delete(table).where(table.c.run.in_(run_ids)))


def drop_counted(tx: Tx, *, before: datetime) -> int:
    """Forget which devices were used, and which runs limits held, where no window reaches so far back."""
    dropped = 0
    for table in (device_uses, trips):
        old = select(table.c.run).where(table.c.at < before, *_purged(table)).limit(BATCH)
        gone = tx.connection.execute(
            delete(table).where(table.c.at < before, table.c.run.in_(old)).returning(table.c.run)
        ).all()
        dropped += len(gone)
    return dropped


def _purged(table: Any) -> tuple[ColumnElement[bool], ...]:
    return (exists().where(runs.c.id == table.c.run, runs.c.purged_at.is_not(None)),)


def longest_window_waiting(tx: Tx) -> timedelta:
    """Return the longest window of a limit among the runs that have not ended; theirs are frozen."""
    plans = select(runs.c.plan).where(is_in(runs.c.state, *UNENDED), runs.c.plan.is_not(None))
    windows = (
        limit.window
        for plan in tx.connection.execute(plans).scalars()
        for limit in PLAN.validate_json(plan).limits
    )
    return max(windows, default=timedelta())


def old_segments(tx: Tx, *, before: datetime) -> Segments | None:
    """Return the oldest segments of the audit that are due, without a gap.

    The newest is never among them: sealing goes on where its rows end.
    """
    standing = (
        select(seals).where(seals.c.purged_at.is_(None)).order_by(seals.c.id).limit(_BATCH_SEGMENTS + 1)
    )
    found = [seal_of(row) for row in tx.connection.execute(standing)]
    taken: list[Seal] = []
    for seal in found[:-1]:
        too_many = taken and sum(one.count for one in taken) + seal.count > _BATCH_ROWS
        if seal.at >= before or too_many:
            break
        taken.append(seal)
    if not taken:
        return None
    return Segments(through=taken[-1].id, last_row=taken[-1].last)


def purge_segments(tx: Tx, *, segments: Segments) -> int:
    """Remove the rows of segments; their seals stay, and the audit says how far it was purged."""
    marked = tx.connection.execute(
        update(seals)
        .where(seals.c.purged_at.is_(None), seals.c.id <= segments.through)
        .values(purged_at=tx.now)
        .returning(seals.c.id)
    ).all()
    if marked:
        tx.connection.execute(delete(audit).where(audit.c.id <= segments.last_row))
        tx.audit(PURGED, about="audit", detail={"through": segments.through, "segments": len(marked)})
    return len(marked)


def count_due(
    tx: Tx, *, payloads: datetime, runs_before: datetime, segments: datetime
) -> tuple[int, int, int, int]:
    """Count payloads, findings, runs and segments that are due."""
    newest = newest_seal(tx)
    last = newest.id if newest else 0
    return (
        _count(tx, deliveries, *_old_payload(payloads)),
        _count(tx, deliveries, *_old_finding(runs_before)),
        _count(tx, runs, *_old_run(runs_before)),
        _count(tx, seals, seals.c.purged_at.is_(None), seals.c.at < segments, seals.c.id < last),
    )


def _count(tx: Tx, table: Table, *conditions: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(table).where(*conditions)
    return int(tx.connection.execute(query).scalar_one())


def _found(tx: Tx, at: Any, after: datetime | None, *conditions: ColumnElement[bool]) -> Found:
    query = select(at.table.c.id, at).where(*conditions).order_by(at, at.table.c.id).limit(BATCH)
    rows = tx.connection.execute(query if after is None else query.where(at >= after)).all()
    return Found(ids=tuple(RunId(row[0]) for row in rows), at=rows[-1][1] if rows else None)
