"""Moves claimed runs from state to state; a move needs the ownership that the claim gave (S8).

It must not decide whether a run may go; `policy` does, and the use cases bring its verdict here.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, exists, or_, select, update

from bridge.errors import LostOwnership, NotPossible, Reason, Unreadable
from bridge.ledger import Tx
from bridge.ledger.codec import ReadRuns, call_of, runs_of
from bridge.ledger.outbox import owe
from bridge.ledger.prepared import locking
from bridge.ledger.tables import approvals, calls, is_in, runs
from bridge.ledger.waking import ring
from bridge.models import Call, CallState, OwedComment, Run, RunId, RunState

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


# Built once: building a statement takes several times as long as running it.
_CALLS: Final = (
    select(calls).where(calls.c.run == bindparam("of_run")).order_by(calls.c.part, calls.c.attempt)
)


_OWNED: Final = locking(
    select(runs.c.id).where(
        runs.c.id == bindparam("of_run"),
        runs.c.owner == bindparam("of_owner"),
        is_in(runs.c.state, RunState.CLAIMED, RunState.SENDING),
    )
)

# Whose ticket may still approve them is not among these: `approvals.take_due`.
_MAY_BE_APPROVED: Final = exists().where(
    approvals.c.run == runs.c.id, approvals.c.expires_at > bindparam("now", type_=runs.c.due_at.type)
)
_HELD: Final = (
    select(runs)
    .where(
        is_in(runs.c.state, RunState.HELD),
        runs.c.due_at <= bindparam("now", type_=runs.c.due_at.type),
        or_(runs.c.reason != Reason.AWAITING_APPROVAL, ~_MAY_BE_APPROVED),
    )
    .order_by(runs.c.due_at, runs.c.created_at)
    .limit(bindparam("most"))
)


def find_run(tx: Tx, *, run: RunId) -> Run:
    """Return a run; raise NotPossible where there is none, and Unreadable where another version wrote it."""
    found = runs_of(tx.connection.execute(select(runs).where(runs.c.id == run)).mappings())
    if found.unreadable:
        raise Unreadable(
            f"run {run} was written by another version of the bridge, which this one cannot read"
        )
    if not found.runs:
        raise NotPossible(f"there is no run {run} (see `bridge runs`)")
    return found.runs[0]


def calls_of(tx: Tx, *, run: RunId) -> tuple[Call, ...]:
    """Return a run's calls by part and attempt."""
    return tuple(map(call_of, tx.run(_CALLS, {"of_run": run})))


def require_owner(tx: Tx, run: Run) -> None:
    """Raise LostOwnership where a run is not its owner's any more; nobody else changes it from here on."""
    if tx.value(_OWNED, {"of_run": run.id, "of_owner": run.owner}) is None:
        raise LostOwnership(f"run {run.id} is not owned by {run.owner}")


def give_back(tx: Tx, *, run: Run, delay: timedelta, reason: Reason | None) -> None:
    """Put a run that has no open call back into the queue, due again after `delay`."""
    _back(tx, run, delay, reason, detail=None)


def look_up_later(tx: Tx, *, run: Run, delay: timedelta, reason: Reason, detail: str) -> None:
    """Put a run back whose devices could not be looked up; `detail` says why, for whoever asks meanwhile."""
    assert run.plan is not None
    _back(tx, run, delay, reason, detail=detail)
    tx.count("lookup", run.plan.portal, reason)


def _back(tx: Tx, run: Run, delay: timedelta, reason: Reason | None, *, detail: str | None) -> None:
    before = (RunState.CLAIMED, RunState.SENDING)
    _move(tx, run, before, RunState.QUEUED, reason=reason, detail=detail, due_at=tx.now + delay)


def hold(
    tx: Tx,
    *,
    run: Run,
    reason: Reason,
    detail: str | None,
    due_at: datetime,
    comment: OwedComment | None,
) -> None:
    """Hold a claimed run, and owe the comment that says so, once.

    `due_at` is when somebody looks at it again: the time that frees it, or at which it is too old. A run that
    was woken in vain is held again without a word in its timeline.
    """
    again = run.reason is reason
    _move(
        tx, run, (RunState.CLAIMED,), RunState.HELD, reason=reason, quiet=again, detail=detail, due_at=due_at
    )
    if comment is not None:
        owe(tx, run=run.id, ticket=run.ticket, comment=comment)


def due_held(tx: Tx, *, limit: int) -> ReadRuns:
    """Return held runs that somebody should look at again, the oldest first: whom time frees, or ends."""
    return runs_of(tx.connection.execute(_HELD, {"now": tx.now, "most": limit}).mappings())


def wake(tx: Tx, *, run: Run) -> bool:
    """Queue a held run that time may have freed; return False where somebody else moved it.

    Its reason stays, so that one that is held again for the same is not told again.
    """
    woken = tx.connection.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.state == RunState.HELD, runs.c.reason == run.reason)
        .values(state=RunState.QUEUED, due_at=tx.now, tries=0)
        .returning(runs.c.id)
    ).scalar()
    ring(tx)
    return woken is not None


def look_later(tx: Tx, *, run: Run, at: datetime) -> None:
    """Look at a held run again at a time, unless it is held for something else by now."""
    tx.connection.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.state == RunState.HELD, runs.c.reason == run.reason)
        .values(due_at=at)
    )


def put_aside(tx: Tx, *, run: RunId, at: datetime) -> None:
    """Look at a held run again at a time, whatever it is held for: it could not be read."""
    tx.connection.execute(
        update(runs).where(runs.c.id == run, runs.c.state == RunState.HELD).values(due_at=at)
    )


def approved(tx: Tx, *, run: Run, by: str, detail: str, comment: OwedComment) -> None:
    """Queue a held run that was approved, and owe the comment that says so."""
    moved = tx.connection.execute(
        update(runs)
        .where(
            runs.c.id == run.id,
            runs.c.state == RunState.HELD,
            runs.c.reason == Reason.AWAITING_APPROVAL,
        )
        .values(state=RunState.QUEUED, reason=None, due_at=tx.now, tries=0)
        .returning(runs.c.id)
    ).scalar()
    if moved is None:
        raise LostOwnership(f"run {run.id} does not wait for approval any more")
    tx.note(run=run.id, event="approved", by=by, detail=detail)
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
    """End a claimed or held run without a further call, and owe what is to be told."""
    _move(tx, run, (RunState.CLAIMED, RunState.HELD), state, reason=reason, detail=detail)
    tx.connection.execute(
        update(calls)
        .where(calls.c.run == run.id, calls.c.state == CallState.PLANNED)
        .values(state=CallState.DROPPED, ended_at=tx.now)
    )
    if comment is not None:
        owe(tx, run=run.id, ticket=run.ticket, comment=comment)


def _move(
    tx: Tx,
    run: Run,
    before: tuple[RunState, ...],
    after: RunState,
    *,
    reason: Reason | None,
    quiet: bool = False,
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
    if not quiet:
        tx.note(run=run.id, event=after, detail=reason)
        tx.count("run", run.mapping, after)
