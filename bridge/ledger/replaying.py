"""Replays: a new run with the plan of one that ended, under every rule again (S9).

It must not send anything, nor pass a limit, pause, approval or age by.
"""

from typing import Final

from sqlalchemy import func, select, update

from bridge.errors import NotPossible
from bridge.ledger import Tx
from bridge.ledger.attempts import may_begin
from bridge.ledger.people import Act, require_as_seen
from bridge.ledger.starting import NewRun, insert_runs
from bridge.ledger.tables import runs
from bridge.ledger.waking import ring
from bridge.ledger.working import calls_of, find_run
from bridge.models import Mode, Plan, RunId, RunState

# Ended for good: what is unknown is resolved first, and what was only recorded was never to be sent.
REPLAYABLE: Final = (
    RunState.ANSWERED,
    RunState.REFUSED,
    RunState.EXPIRED,
    RunState.CANCELLED,
    RunState.DEAD,
)


def replay(tx: Tx, *, run: RunId, new_id: RunId, plan: Plan, act: Act) -> None:
    """Queue a run with `plan` in place of one that ended; each run is replayed once.

    Raises NotPossible where the run has not ended, or was replayed before: then its replay can be, so a
    double click is one replay.
    """
    # Nobody else replays it, and it does not move, until this is committed.
    tx.connection.execute(tx.locking(select(runs.c.id).where(runs.c.id == run)))
    seen = find_run(tx, run=run)
    require_as_seen(tx, run=run, act=act)
    if seen.state not in REPLAYABLE:
        raise NotPossible(f"run {run} is {seen.state} (see `bridge runs show {run}`)")
    require_first(tx, run=run)
    new = NewRun(
        id=new_id,
        mapping=seen.mapping,
        mode=Mode.LIVE,
        key=f"replay:{_replays(tx, run) + 1}",
        ticket=seen.ticket,
        state=RunState.QUEUED,
        reason=None,
        detail=None,
        plan=plan,
        comment=None,
    )
    if not insert_runs(tx, [(seen.delivery, new)], replay_of=run):
        raise NotPossible(f"another run of {seen.ticket.key} is being replayed now (try again)")
    # What was called unknown may still arrive; nothing is sent beside it (S4).
    begins = may_begin(tx, calls_of(tx, run=run))
    tx.connection.execute(update(runs).where(runs.c.id == new_id).values(due_at=begins))
    why, by = act.reason, act.author
    tx.note(run=run, event="replayed", by=by, detail=f"as {new_id}: {why}", evidence={"as": new_id})
    tx.note(run=new_id, event=RunState.QUEUED, by=by, detail=f"replay of {run}: {why}", evidence={"of": run})
    ring(tx)


def require_first(tx: Tx, *, run: RunId) -> None:
    """Raise NotPossible where a run was replayed before."""
    before = tx.connection.execute(select(runs.c.id).where(runs.c.replay_of == run)).scalar()
    if before is not None:
        raise NotPossible(f"run {run} was replayed as {before} (replay that one)")


def _replays(tx: Tx, run: RunId) -> int:
    """Return how many runs of the same ticket and mapping are replays."""
    mine = select(runs.c.source, runs.c.ticket_uid, runs.c.mapping).where(runs.c.id == run).subquery()
    return int(
        tx.connection.execute(
            select(func.count())
            .select_from(runs)
            .where(
                runs.c.source == mine.c.source,
                runs.c.ticket_uid == mine.c.ticket_uid,
                runs.c.mapping == mine.c.mapping,
                runs.c.replay_of.is_not(None),
            )
        ).scalar_one()
    )
