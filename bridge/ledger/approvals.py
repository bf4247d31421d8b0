"""What a run needs before it is sent: asked for once, bound to its plan, decided once.

It must not know who may decide; `approving` does.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, select, update

from bridge.errors import NotPossible, Reason
from bridge.ledger import Tx, working
from bridge.ledger.codec import PARTS, ReadRuns, Stored, runs_of, to_text
from bridge.ledger.tables import approvals, history, is_in, runs
from bridge.models import Approval, ApprovalState, Part, RunId, RunState, SourceName, TicketRef

_NOT_TAKEN: Final = "approval_not_taken"
# Built once: it runs before every intent.
_OF_RUN: Final = select(approvals).where(approvals.c.run == bindparam("of_run"))
# Built once: it runs for every ticket that a webhook is about.
_NUDGE: Final = update(runs).where(
    runs.c.source == bindparam("of_source"),
    runs.c.ticket_uid == bindparam("of_ticket"),
    is_in(runs.c.state, RunState.HELD),
    is_in(runs.c.reason, Reason.AWAITING_APPROVAL),
)

_ASKED: Final = (
    is_in(runs.c.state, RunState.HELD),
    is_in(runs.c.reason, Reason.AWAITING_APPROVAL),
    runs.c.due_at <= bindparam("now", type_=runs.c.due_at.type),
)
_SOURCES: Final = select(runs.c.source).distinct().where(*_ASKED)
_DUE: Final = (
    select(runs)
    .where(*_ASKED, runs.c.source == bindparam("of_source"))
    .order_by(runs.c.due_at, runs.c.created_at)
    .limit(bindparam("most"))
)


def ask(tx: Tx, *, run: RunId, plan_hash: str, parts: tuple[Part, ...], expires_at: datetime) -> None:
    """Write down what has to be approved, the devices with it; what was asked for before stays as it is."""
    tx.connection.execute(
        tx.insert(approvals)
        .values(
            run=run,
            plan_hash=plan_hash,
            parts=to_text(PARTS, parts),
            state=ApprovalState.ASKED,
            asked_at=tx.now,
            expires_at=expires_at,
        )
        .on_conflict_do_nothing()
    )
    tx.audit("approval_asked", about=run, detail={"plan": plan_hash, "expires": expires_at.isoformat()})


def approval_of(tx: Tx, *, run: RunId) -> Approval | None:
    """Return what was asked for a run and decided; None where nothing was."""
    rows = tx.run(_OF_RUN, {"of_run": run})
    return _approval(rows[0]) if rows else None


def decide(tx: Tx, *, run: RunId, plan_hash: str, state: ApprovalState, by: str) -> None:
    """Approve or decline what was asked, compare-and-set on the plan that the person saw.

    Raises NotPossible where it was decided already, has expired, or stands for another plan.
    """
    decided = tx.connection.execute(
        update(approvals)
        .where(
            approvals.c.run == run,
            approvals.c.plan_hash == plan_hash,
            approvals.c.state == ApprovalState.ASKED,
            approvals.c.expires_at > tx.now,
        )
        .values(state=state, decided_at=tx.now, decided_by=by)
        .returning(approvals.c.run)
    ).scalar()
    if decided is None:
        raise NotPossible(f"run {run} does not wait for this approval (see `bridge runs show {run}`)")
    tx.audit(state, about=run, by=by, detail={"plan": plan_hash})


def not_taken(tx: Tx, *, run: RunId, why: str) -> bool:
    """Say in a run's timeline why an approval does not count; return False where it says so already."""
    told = select(history.c.id).where(
        history.c.run == run, history.c.event == _NOT_TAKEN, history.c.detail == why
    )
    if tx.connection.execute(told.limit(1)).scalar() is not None:
        return False
    tx.note(run=run, event=_NOT_TAKEN, detail=why)
    return True


def refused(tx: Tx, *, run: RunId, by: str, why: str) -> None:
    """Say in the timeline, and why in the audit, that somebody tried to approve who may not."""
    tx.note(run=run, event=_NOT_TAKEN, by=by, evidence={"detail": why})


def ask_again(tx: Tx, *, tickets: Collection[TicketRef]) -> None:
    """Have tickets that changed asked at once whether their runs are approved now."""
    # In one order, so that two processes do not wait for each other.
    names = sorted((ticket.source, ticket.uid) for ticket in tickets)
    tx.run_many(_NUDGE, [{"of_source": source, "of_ticket": uid, "due_at": tx.now} for source, uid in names])


def due_sources(tx: Tx) -> tuple[SourceName, ...]:
    """Return the sources with tickets that are to be asked now whether a run is approved."""
    return tuple(SourceName(row["source"]) for row in tx.run(_SOURCES, {"now": tx.now}))


def take_due(tx: Tx, *, source: SourceName, limit: int, lease: timedelta) -> ReadRuns:
    """Return the runs of a source whose tickets are to be asked now, and keep them from others meanwhile."""
    due = {"now": tx.now, "of_source": source, "most": limit}
    taken = runs_of(tx.connection.execute(_DUE, due).mappings())
    for run in (*(run.id for run in taken.runs), *taken.unreadable):
        working.put_aside(tx, run=run, at=tx.now + lease)
    return taken


def _approval(row: Stored) -> Approval:
    return Approval(
        run=RunId(row["run"]),
        plan_hash=row["plan_hash"],
        parts=PARTS.validate_json(row["parts"]),
        state=ApprovalState(row["state"]),
        asked_at=row["asked_at"],
        expires_at=row["expires_at"],
        decided_at=row["decided_at"],
        decided_by=row["decided_by"],
    )
