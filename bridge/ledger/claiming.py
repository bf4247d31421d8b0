"""Claims due runs for the senders that are free: the oldest of each portal, whoever else claims (W1, W3, W4).

It must not move a run any further; what it claimed, `working` and `sending` do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, Select, Update, bindparam, exists, func, or_, select, update

from bridge.ledger import Tx, sending
from bridge.ledger.codec import runs_of
from bridge.ledger.prepared import locking
from bridge.ledger.tables import UNENDED, UNPOSTED, comments, is_in, runs, sessions
from bridge.models import PortalName, Run, RunId, RunState, SessionId

log = structlog.get_logger(__name__)

# How long a run waits that this version cannot read: a newer worker may, and others must not wait for it.
ASIDE: Final = timedelta(minutes=10)


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


def _any_of(ordered: Select[Any]) -> ColumnElement[bool]:
    """Ask whether there is any row, by one step of the index that has its order, however many there are.

    Of an EXISTS PostgreSQL drops the order: it would read all runs where it counted them while many waited.
    """
    return ordered.limit(1).scalar_subquery().is_not(None)


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
_WAITING: Final = _waiting().order_by("portal")
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
_WORK: Final = select(
    or_(
        _any_of(
            select(runs.c.id)
            .where(is_in(runs.c.state, RunState.QUEUED))
            .order_by(runs.c.portal, runs.c.due_at)
        ),
        _any_of(
            select(comments.c.id)
            .where(is_in(comments.c.state, *UNPOSTED))
            .order_by(comments.c.source, comments.c.ticket_uid, comments.c.id)
        ),
    ).label("there_is")
)
_PUT_BACK: Final = update(runs).where(runs.c.id == bindparam("of_run"))
# SQLite has one writer, so nothing is locked there that could be passed over.
_TAKE: Final = {
    suspect: {
        dialect: _taking(_due(suspect=suspect), skip_locked=skip_locked)
        for dialect, skip_locked in (("sqlite", False), ("postgresql", True))
    }
    for suspect in (True, False)
}


def is_there_work(tx: Tx) -> bool:
    """Say whether any run or comment waits, due or not; it costs a quarter of a claim that finds nothing."""
    return bool(tx.value(_WORK, {}))


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
    taken = runs_of(tx.run(_TAKE[suspect], {**due, "the_session": session, "most": most}))
    for unreadable in taken.unreadable:
        log.error("run.not_readable", run=unreadable)
        tx.run(
            _PUT_BACK,
            {"of_run": unreadable, "state": RunState.QUEUED, "owner": None, "due_at": tx.now + ASIDE},
        )
    return sorted(taken.runs, key=lambda run: (run.due_at, run.id))


def give_back_unseen(tx: Tx, *, session: SessionId, seen: Sequence[RunId]) -> int:
    """Queue the runs that a claim of ours took without our learning of it; return how many (S1).

    `seen` are all that the session has in hand. What was admitted with the claim has an intent, of which
    nothing was sent: that is closed.
    """
    # A COMMIT that is still going on at the server is waited for here: every claim holds its session's row.
    _is_open(tx, session)
    unseen = (runs.c.owner == session, runs.c.id.not_in(seen))
    lost = tx.connection.execute(
        update(runs)
        .where(*unseen, runs.c.state == RunState.CLAIMED)
        .values(state=RunState.QUEUED, owner=None)
        .returning(runs.c.id)
    )
    admitted = tx.connection.execute(
        tx.locking(select(runs).where(*unseen, runs.c.state == RunState.SENDING))
    )
    intended = runs_of(admitted.mappings()).runs
    for run in intended:
        sending.close_not_sent(tx, run=run, delay=timedelta())
    return len(lost.all()) + len(intended)
