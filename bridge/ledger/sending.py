"""The answer of every Act call, and what it makes of its run (S7 to S9).

It must not read an answer; it only remembers, and refuses what the states forbid.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import bindparam, update

from bridge.errors import LostOwnership, Reason
from bridge.ledger import Tx, limits, pausing
from bridge.ledger.attempts import ONE_CALL, add_attempt, add_parts, drop_planned, place_of
from bridge.ledger.codec import RESULT, to_text
from bridge.ledger.outbox import owe
from bridge.ledger.tables import calls, is_in, runs
from bridge.ledger.working import ENDED, calls_of, give_back, require_owner
from bridge.models import (
    Call,
    CallResult,
    CallState,
    OwedComment,
    Part,
    PauseScope,
    PortalName,
    Run,
    RunState,
)

# Built once: building a statement takes several times as long as running it. What is set comes as parameters.
_UNANSWERED: Final = ONE_CALL.where(
    is_in(calls.c.state, CallState.INTENDED, CallState.UNKNOWN), calls.c.result.is_(None)
).returning(calls.c.run)
_RUN: Final = update(runs).where(runs.c.id == bindparam("of_run"))
_OWN_RUN: Final = _RUN.where(
    runs.c.owner == bindparam("of_owner"), runs.c.state == RunState.SENDING
).returning(runs.c.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What an answer makes of its run: the state, how long it waits, what is told, which portal pauses."""

    state: RunState
    reason: Reason | None = None
    detail: str | None = None
    delay: timedelta = timedelta()
    comment: OwedComment | None = None
    again: bool = False  # the same part gets a further planned attempt
    further: tuple[Part, ...] = ()  # second sends, each a further planned attempt of its part
    pause: PortalName | None = None


def answer(tx: Tx, *, run: Run, call: Call, result: CallResult, following: Next) -> bool:
    """Record what came of a call, and move its run; return False where it had an answer already (S8).

    Raises LostOwnership where the run was taken over; then the answer goes to `late.answer_late`.
    """
    if not record(tx, run=run, call=call, result=result):
        return False
    _follow(tx, run, call, following)
    return True


def record(tx: Tx, *, run: Run, call: Call, result: CallResult) -> bool:
    """Write an answer on its call, compare-and-set; return False where it had one."""
    content = to_text(RESULT, result)
    recorded = tx.value(
        _UNANSWERED,
        {
            **place_of(call),
            "state": result.state,
            "reason": result.reason,
            "result": content,
            "ended_at": tx.now,
        },
    )
    if recorded is None:
        return False
    if result.state is CallState.NOT_SENT:
        limits.give_back(tx, run=run, calls=calls_of(tx, run=run.id))
    portal = run.plan.portal if run.plan else ""
    evidence = {"call": call.request_uid, "answer": hashlib.sha256(content.encode()).hexdigest()}
    tx.note(run=run.id, event=f"call_{result.state}", detail=result.reason, evidence=evidence)
    tx.count("call", portal, result.reason or result.state)
    for outcome in result.outcomes:
        tx.count("engine", portal, outcome.code)
    return True


def _follow(tx: Tx, run: Run, call: Call, following: Next) -> None:
    sending = following.state is RunState.SENDING
    moved = tx.value(
        _OWN_RUN,
        {
            "of_run": run.id,
            "of_owner": run.owner,
            "state": following.state,
            "reason": following.reason,
            "detail": following.detail,
            "owner": run.owner if sending else None,
            "crashes": 0,
            "due_at": tx.now + following.delay,
            "ended_at": tx.now if following.state in ENDED else None,
        },
    )
    if moved is None:
        raise LostOwnership(f"run {run.id} was taken over while its call was under way")
    if following.again:
        add_attempt(tx, call=call)
    elif following.further:
        add_parts(tx, run=run.id, parts=following.further)
    elif following.state in ENDED:
        drop_planned(tx, run=run.id)
    if following.pause is not None and following.reason is not None:
        pausing.pause(tx, scope=PauseScope.PORTAL, value=following.pause, reason=following.reason, run=run.id)
    if not sending:
        tx.note(run=run.id, event=following.state, detail=following.reason)
        tx.count("run", run.mapping, following.state)
    if following.comment is not None:
        owe(tx, run=run.id, ticket=run.ticket, comment=following.comment)


def close_not_sent(tx: Tx, *, run: Run, delay: timedelta) -> None:
    """Close the intent of a run whose COMMIT raised, if it was committed, and queue the run again (S1).

    Raises LostOwnership where the run is not ours any more.
    """
    # A COMMIT that is still going on at the server is waited for here: it holds the run's row.
    require_owner(tx, run)
    for call in calls_of(tx, run=run.id):
        if call.state is CallState.INTENDED:
            closed = {"state": CallState.NOT_SENT, "reason": Reason.INTENT_NOT_COMMITTED, "ended_at": tx.now}
            tx.run(_UNANSWERED, {**place_of(call), **closed})
            add_attempt(tx, call=call)
    limits.give_back(tx, run=run, calls=calls_of(tx, run=run.id))
    give_back(tx, run=run, delay=delay, reason=Reason.INTENT_NOT_COMMITTED)
