"""Claims runs and moves them from state to state; a move needs the ownership that the claim gave (S8, W4).

It must not decide whether a run may go; `policy` does, and the use cases bring its verdict here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import exists, select, update

from bridge.errors import LostOwnership, Reason
from bridge.ledger import Tx
from bridge.ledger.codec import call_of, run_of
from bridge.ledger.outbox import owe
from bridge.ledger.tables import UNENDED, calls, history, is_in, pauses, runs, sessions
from bridge.models import Call, CallState, OwedComment, PortalName, Run, RunId, RunState, SessionId

ENDED = frozenset(
    {
        RunState.ANSWERED,
        RunState.REFUSED,
        RunState.EXPIRED,
        RunState.CANCELLED,
        RunState.RECORDED,
        RunState.DEAD,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How many runs of a portal may be claimed now; None stands for portals that are not configured."""

    portal: PortalName | None
    runs: int


def claim(
    tx: Tx, *, session: SessionId, allowances: Sequence[Allowance], configured: Sequence[PortalName]
) -> tuple[Run, ...]:
    """Take due runs, the oldest first, never more than the senders that start at once (W4).

    Runs with a crash behind them are taken one at a time over all workers (W3). A session that was declared
    dead takes nothing: nobody would look after its runs (W1).
    """
    if not _is_open(tx, session):
        return ()
    claimed: list[Run] = []
    for allowance in allowances:
        due = [runs.c.state == RunState.QUEUED, runs.c.due_at <= tx.now]
        due.append(
            runs.c.portal.not_in(configured)
            if allowance.portal is None
            else runs.c.portal == allowance.portal
        )
        claimed += _take(tx, session, [*due, runs.c.crashes == 0], allowance.runs)
        if allowance.runs > sum(
            run.plan is not None and run.plan.portal == allowance.portal for run in claimed
        ):
            claimed += _take_suspect(tx, session, due)
    return tuple(claimed)


def _is_open(tx: Tx, session: SessionId) -> bool:
    query = select(sessions.c.id).where(sessions.c.id == session, sessions.c.ended_at.is_(None))
    return tx.connection.execute(tx.locking(query)).scalar() is not None


def _take_suspect(tx: Tx, session: SessionId, due: list[Any]) -> list[Run]:
    waiting = select(runs.c.id).where(*due, runs.c.crashes > 0).limit(1)
    if tx.connection.execute(waiting).first() is None:
        return []
    tx.only_one("suspects")
    busy = select(
        exists().where(
            is_in(runs.c.state, *UNENDED),
            runs.c.state.in_((RunState.CLAIMED, RunState.SENDING)),
            runs.c.crashes > 0,
        )
    )
    if tx.connection.execute(busy).scalar():
        return []
    return _take(tx, session, [*due, runs.c.crashes > 0], 1)


def _take(tx: Tx, session: SessionId, conditions: list[Any], limit: int) -> list[Run]:
    picked = tx.skip_locked(select(runs.c.id).where(*conditions).order_by(runs.c.due_at).limit(limit)).cte(
        "picked"
    )
    rows = tx.connection.execute(
        update(runs)
        .where(runs.c.id.in_(select(picked.c.id)))
        .values(state=RunState.CLAIMED, owner=session, tries=runs.c.tries + 1)
        .returning(runs)
    ).mappings()
    return sorted(map(run_of, rows), key=lambda run: (run.due_at, run.id))


def calls_of(tx: Tx, *, run: RunId) -> tuple[Call, ...]:
    """Return a run's calls by part and attempt."""
    rows = tx.connection.execute(
        select(calls).where(calls.c.run == run).order_by(calls.c.part, calls.c.attempt)
    ).mappings()
    return tuple(map(call_of, rows))


def give_back(tx: Tx, *, run: Run, delay: timedelta, reason: Reason | None) -> None:
    """Put a run that has no open call back into the queue, due again after `delay`."""
    _move(
        tx, run, (RunState.CLAIMED, RunState.SENDING), RunState.QUEUED, reason=reason, due_at=tx.now + delay
    )


def give_back_unseen(tx: Tx, *, session: SessionId, seen: Sequence[RunId]) -> int:
    """Queue the runs that a claim of ours took without our learning of it; return how many (S1)."""
    lost = tx.connection.execute(
        update(runs)
        .where(runs.c.owner == session, runs.c.state == RunState.CLAIMED, runs.c.id.not_in(seen))
        .values(state=RunState.QUEUED, owner=None)
        .returning(runs.c.id)
    )
    return len(lost.all())


def hold(tx: Tx, *, run: Run, reason: Reason, detail: str | None, comment: OwedComment | None) -> None:
    """Hold a claimed run until a person releases it, and owe the comment that says so, once."""
    _move(tx, run, (RunState.CLAIMED,), RunState.HELD, reason=reason, detail=detail)
    if comment is not None:
        owe(tx, run=run.id, ticket=run.ticket, comment=comment)


def end(
    tx: Tx,
    *,
    run: Run,
    state: RunState,
    reason: Reason | None,
    detail: str | None,
    comment: OwedComment | None,
) -> None:
    """End a claimed run without a further call, and owe what is to be told."""
    _move(tx, run, (RunState.CLAIMED,), state, reason=reason, detail=detail)
    tx.connection.execute(
        update(calls)
        .where(calls.c.run == run.id, calls.c.state == CallState.PLANNED)
        .values(state=CallState.DROPPED, ended_at=tx.now)
    )
    if comment is not None:
        owe(tx, run=run.id, ticket=run.ticket, comment=comment)


def paused(tx: Tx, *, portal: PortalName) -> Reason | None:
    """Return why nothing is sent to a portal; None where it is open (S6)."""
    reason = tx.connection.execute(select(pauses.c.reason).where(pauses.c.portal == portal)).scalar()
    return Reason(reason) if reason else None


def _move(
    tx: Tx,
    run: Run,
    before: tuple[RunState, ...],
    after: RunState,
    *,
    reason: Reason | None,
    **values: object,
) -> None:
    owned = after in {RunState.CLAIMED, RunState.SENDING}
    moved = tx.connection.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.owner == run.owner, runs.c.state.in_(before))
        .values(
            state=after,
            reason=reason,
            owner=run.owner if owned else None,
            ended_at=tx.now if after in ENDED else None,
            **values,
        )
        .returning(runs.c.id)
    ).scalar()
    if moved is None:
        raise LostOwnership(f"run {run.id} is not owned by {run.owner} in {before}")
    tx.connection.execute(history.insert().values(run=run.id, at=tx.now, event=after, detail=reason))
    tx.count("run", run.mapping, after)
