"""Lets the answer of a worker that lost its run count, so that nothing is sent that was done already (S8).

It must not read what an answer means; the use case brings the state and the words.
"""

from collections.abc import Callable

from sqlalchemy import select, update

from bridge.ledger import Tx
from bridge.ledger.attempts import add_attempt, drop_planned
from bridge.ledger.codec import runs_of
from bridge.ledger.outbox import owe
from bridge.ledger.sending import record
from bridge.ledger.tables import calls, runs
from bridge.ledger.waking import ring
from bridge.ledger.working import ENDED, calls_of
from bridge.models import Call, CallResult, CallState, OwedComment, Run, RunId, RunState

_TOLD = frozenset({CallState.ANSWERED, CallState.REFUSED})
_TAKEN = frozenset({CallState.INTENDED, CallState.ANSWERED, CallState.UNKNOWN})
_WAITING = frozenset({RunState.QUEUED, RunState.HELD})


def answer_late(
    tx: Tx,
    *,
    run: Run,
    call: Call,
    result: CallResult,
    state: RunState,
    comment: OwedComment,
    tell_replay: Callable[[Run], OwedComment],
) -> bool:
    """Record a late answer; return False where the call had one.

    One that says that the call was taken gives up the further attempts of its part, in the same transaction,
    before anybody can send them. A run that is unknown, or that waits with nothing left to send, ends as
    `state` and is told. One that provably was not sent is queued again, if it was called unknown. A replay
    of which nothing was sent yet is cancelled by an answer, and `tell_replay` says so in the ticket.
    """
    now = tx.connection.execute(tx.locking(select(runs.c.state).where(runs.c.id == run.id))).scalar_one()
    if not record(tx, run=run, call=call, result=result):
        return False
    if result.state is CallState.ANSWERED:
        _give_up_attempts(tx, call)
        _cancel_replay(tx, run, tell_replay)
    standing = calls_of(tx, run=run.id)
    planned = any(each.state is CallState.PLANNED for each in standing)
    unknown = any(each.state is CallState.UNKNOWN for each in standing)
    if result.state is CallState.NOT_SENT and now == RunState.UNKNOWN and not unknown:
        if not any(_is_further(each, call) for each in standing):
            add_attempt(tx, call=call)
        _move(tx, run, RunState.QUEUED, None)
    ends = now == RunState.UNKNOWN or (now in _WAITING and not planned)
    if result.state in _TOLD and state in ENDED and ends:
        _move(tx, run, state, comment)
    return True


def _give_up_attempts(tx: Tx, call: Call) -> None:
    tx.connection.execute(
        update(calls)
        .where(
            calls.c.run == call.run,
            calls.c.part == call.part.number,
            calls.c.attempt > call.attempt,
            calls.c.state == CallState.PLANNED,
        )
        .values(state=CallState.DROPPED, ended_at=tx.now)
    )


def _cancel_replay(tx: Tx, run: Run, tell: Callable[[Run], OwedComment]) -> None:
    """Send nothing in place of a run that was answered after all; the newest of its replays may wait (S9)."""
    replay: str | None = run.id
    while replay is not None:
        replay = _replay_of(tx, run, replay)
        if replay is not None and not any(call.state in _TAKEN for call in calls_of(tx, run=RunId(replay))):
            _cancel(tx, RunId(replay), tell)


def _replay_of(tx: Tx, run: Run, replayed: str) -> str | None:
    """Return the replay of a run of the same ticket and mapping; nobody sends it until this is committed."""
    query = select(runs.c.id).where(
        runs.c.source == run.ticket.source,
        runs.c.ticket_uid == run.ticket.uid,
        runs.c.mapping == run.mapping,
        runs.c.replay_of == replayed,
    )
    return tx.connection.execute(tx.locking(query)).scalar()


def _cancel(tx: Tx, replay: RunId, tell: Callable[[Run], OwedComment]) -> None:
    row = tx.connection.execute(
        update(runs)
        .where(runs.c.id == replay, runs.c.state.in_(_WAITING | {RunState.CLAIMED}))
        .values(state=RunState.CANCELLED, reason=None, owner=None, ended_at=tx.now)
        .returning(runs)
    )
    # One that this version cannot read is cancelled all the same; an answer in hand is never given up for it.
    for cancelled in runs_of(row.mappings()).runs:
        owe(tx, run=replay, ticket=cancelled.ticket, comment=tell(cancelled))
        tx.count("run", cancelled.mapping, RunState.CANCELLED)
        tx.note(run=replay, event=RunState.CANCELLED, detail="late_answer")
    drop_planned(tx, run=replay)


def _is_further(each: Call, call: Call) -> bool:
    return each.part.number == call.part.number and each.attempt > call.attempt


def _move(tx: Tx, run: Run, state: RunState, comment: OwedComment | None) -> None:
    tx.connection.execute(
        update(runs)
        .where(runs.c.id == run.id)
        .values(
            state=state, reason=None, owner=None, due_at=tx.now, ended_at=tx.now if state in ENDED else None
        )
    )
    if state in ENDED:
        drop_planned(tx, run=run.id)
    tx.note(run=run.id, event=state, detail="late_answer")
    tx.count("run", run.mapping, state)
    if comment is not None:
        owe(tx, run=run.id, ticket=run.ticket, comment=comment)
    ring(tx)
