"""Claims runs and moves them from state to state; a move needs the ownership that the claim gave (S8, W4).

It must not decide whether a run may go; `policy` does, and the use cases bring its verdict here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Select, Update, bindparam, exists, func, or_, select, update

from bridge.errors import LostOwnership, Reason
from bridge.ledger import Tx
from bridge.ledger.codec import call_of, run_of
from bridge.ledger.outbox import owe
from bridge.ledger.prepared import locking
from bridge.ledger.tables import UNENDED, approvals, calls, is_in, runs, sessions
from bridge.ledger.waking import ring
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


def _due(*, suspect: bool) -> Select[tuple[str]]:
    """Build the query for the due runs of a portal."""
    return select(runs.c.id).where(
        is_in(runs.c.state, RunState.QUEUED),
        runs.c.due_at <= bindparam("now", type_=runs.c.due_at.type),
        runs.c.portal == bindparam("the_portal"),
        runs.c.crashes > 0 if suspect else runs.c.crashes == 0,
    )


def _waiting() -> Select[tuple[str]]:
    """Build the query for the portals that have queued runs: one step of an index each, however many wait."""
    queued = is_in(runs.c.state, RunState.QUEUED)
    names = select(func.min(runs.c.portal).label("portal")).where(queued).cte("names", recursive=True)
    following = select(func.min(runs.c.portal)).where(queued, runs.c.portal > names.c.portal)
    steps = names.union_all(select(following.scalar_subquery()).where(names.c.portal.is_not(None)))
    return select(steps.c.portal).where(steps.c.portal.is_not(None))


def _taking(due: Select[tuple[str]], *, skip_locked: bool) -> Update:
    """Build the claim of the oldest due runs, at `most` so many."""
    oldest = due.order_by(runs.c.due_at).limit(bindparam("most"))
    picked = (oldest.with_for_update(skip_locked=True) if skip_locked else oldest).cte("picked")
    return (
        update(runs)
        .where(runs.c.id.in_(select(picked.c.id)))
        .values(state=RunState.CLAIMED, owner=bindparam("the_session"), tries=runs.c.tries + 1)
        .returning(runs)
    )


# Built once: building a statement takes several times as long as running it.
_OPEN: Final = locking(
    select(sessions.c.id).where(sessions.c.id == bindparam("the_session"), sessions.c.ended_at.is_(None))
)
_WAITING: Final = _waiting()
_SUSPECTS: Final = _due(suspect=True).limit(1)
_SUSPECT_BUSY: Final = select(
    exists()
    .where(
        is_in(runs.c.state, *UNENDED),
        is_in(runs.c.state, RunState.CLAIMED, RunState.SENDING),
        runs.c.crashes > 0,
    )
    .label("busy")
)
# SQLite has one writer, so nothing is locked there that could be passed over.
_TAKE: Final = {
    suspect: {
        dialect: _taking(_due(suspect=suspect), skip_locked=skip_locked)
        for dialect, skip_locked in (("sqlite", False), ("postgresql", True))
    }
    for suspect in (True, False)
}
_CALLS: Final = (
    select(calls).where(calls.c.run == bindparam("of_run")).order_by(calls.c.part, calls.c.attempt)
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


def claim(
    tx: Tx,
    *,
    session: SessionId,
    allowances: Sequence[Allowance],
    configured: Sequence[PortalName],
    most: int | None = None,
) -> tuple[Run, ...]:
    """Take due runs, the oldest of each portal first, never more than the senders that start at once (W4).

    `most` bounds all allowances together; without it each stands for itself. Runs with a crash behind them
    are taken one at a time over all workers (W3). A session that was declared dead takes nothing: nobody
    would look after its runs (W1).
    """
    if not _is_open(tx, session):
        return ()
    claimed: list[Run] = []
    for allowance in allowances:
        room = allowance.runs if most is None else min(allowance.runs, most - len(claimed))
        for portal in (allowance.portal,) if allowance.portal else _not_configured(tx, configured):
            if room > 0:
                taken = _take_due(tx, session, portal, room)
                room -= len(taken)
                claimed += taken
    return tuple(claimed)


def _not_configured(tx: Tx, configured: Sequence[PortalName]) -> tuple[PortalName, ...]:
    """Return the portals that runs wait for and that are not there."""
    return tuple(PortalName(row["portal"]) for row in tx.run(_WAITING, {}) if row["portal"] not in configured)


def _is_open(tx: Tx, session: SessionId) -> bool:
    return tx.value(_OPEN, {"the_session": session}) is not None


def _take_due(tx: Tx, session: SessionId, portal: PortalName, room: int) -> list[Run]:
    """Take the due runs of a portal, and behind them one that has crashed if no other such is at work."""
    due = {"the_portal": portal, "now": tx.now}
    taken = _take(tx, session, due, suspect=False, most=room)
    if len(taken) == room or tx.value(_SUSPECTS, due) is None:
        return taken
    tx.only_one("suspects")
    if tx.value(_SUSPECT_BUSY, {}):
        return taken
    return taken + _take(tx, session, due, suspect=True, most=1)


def _take(tx: Tx, session: SessionId, due: Mapping[str, object], *, suspect: bool, most: int) -> list[Run]:
    rows = tx.run(_TAKE[suspect], {**due, "the_session": session, "most": most})
    return sorted(map(run_of, rows), key=lambda run: (run.due_at, run.id))


def calls_of(tx: Tx, *, run: RunId) -> tuple[Call, ...]:
    """Return a run's calls by part and attempt."""
    return tuple(map(call_of, tx.run(_CALLS, {"of_run": run})))


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


def due_held(tx: Tx, *, limit: int) -> tuple[Run, ...]:
    """Return held runs that somebody should look at again, the oldest first: whom time frees, or ends."""
    rows = tx.connection.execute(_HELD, {"now": tx.now, "most": limit}).mappings()
    return tuple(map(run_of, rows))


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
