"""Worker sessions and their beats, and what becomes of the work of a session that died (W1 to W3, W7).

It must not compare the clocks of two hosts: an observer times a beat that stands still by its own clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, or_, select, update

from bridge.errors import Reason
from bridge.ledger import Tx
from bridge.ledger.codec import run_of
from bridge.ledger.connecting import place_of
from bridge.ledger.in_force import put_fact
from bridge.ledger.outbox import owe, suspect_all_owed
from bridge.ledger.prepared import locking
from bridge.ledger.tables import UNENDED, calls, facts, is_in, runs, sessions
from bridge.ledger.working import calls_of
from bridge.models import Call, CallState, OwedComment, Run, RunState, SessionId

# A ledger silent for longer than this may be an old copy (W7).
SILENCE = timedelta(hours=1)
# So many crashes of a run that had been started make it dead (W3).
CRASHES = 3

# The owner of a run that no session holds any more, though its call has no answer.
NOBODY = "nobody"

PLACE_FACT = "place"
# The place of a ledger that was copied, and of the copy, until a session opens there.
NOWHERE = "nowhere"
BEAT_FACT = "beat"

# Built once: every worker beats and looks around every few seconds.
_BEAT: Final = (
    update(sessions)
    .where(sessions.c.id == bindparam("of_session"), sessions.c.ended_at.is_(None))
    .values(beat=sessions.c.beat + 1, beat_at=bindparam("now"))
    .returning(sessions.c.beat)
)
_BEATS: Final = select(sessions.c.id, sessions.c.host, sessions.c.beat, sessions.c.beat_at).where(
    sessions.c.ended_at.is_(None)
)
_ALIVE: Final = select(sessions.c.id).where(sessions.c.ended_at.is_(None))
_LEFT: Final = locking(
    select(runs)
    .where(
        is_in(runs.c.state, *UNENDED),
        is_in(runs.c.state, RunState.CLAIMED, RunState.SENDING),
        runs.c.owner.not_in(_ALIVE),
    )
    .order_by(runs.c.id)
)
_BEREAVED: Final = select(runs).where(
    is_in(runs.c.state, *UNENDED), is_in(runs.c.state, RunState.SENDING), runs.c.owner.not_in(_ALIVE)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A session's beat as it stands; it is alive while `count` keeps changing."""

    session: SessionId
    host: str
    count: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Bereaved:
    """A run of a dead session that had an intended call without an answer: unknown, and to be told (W2)."""

    run: Run
    calls: tuple[Call, ...]


def open_session(tx: Tx, *, session: SessionId, host: str, pid: int) -> bool:
    """Open a worker session; return True where the ledger looks restored or moved, its runs held (W7)."""
    known = {row.name: row for row in tx.connection.execute(select(facts))}
    place = place_of(tx.connection)
    beat = known.get(BEAT_FACT)
    moved = PLACE_FACT in known and known[PLACE_FACT].value != place
    silent = beat is not None and tx.now - beat.at > SILENCE
    if moved or silent:
        hold_everything(tx)
    tx.connection.execute(
        sessions.insert().values(id=session, host=host, pid=pid, beat=0, started_at=tx.now, beat_at=tx.now)
    )
    put_fact(tx, name=PLACE_FACT, value=place)
    put_fact(tx, name=BEAT_FACT, value=session)
    return moved or silent


def leave_place(tx: Tx) -> None:
    """Let the next session find that the ledger was moved, wherever that opens, and end those that stand."""
    put_fact(tx, name=PLACE_FACT, value=NOWHERE)
    tx.connection.execute(update(sessions).where(sessions.c.ended_at.is_(None)).values(ended_at=tx.now))
    tx.audit("moved", about="ledger")


def hold_everything(tx: Tx) -> int:
    """Hold every unfinished run until a person releases it: more may have been sent than is known (W7).

    A run whose call is open stays as it is: it ends answered or unknown.
    """
    unfinished = select(runs).where(
        is_in(runs.c.state, *UNENDED),
        # What is held already must not be freed by time or by its ticket either; a person frees these two.
        or_(
            runs.c.state.in_((RunState.QUEUED, RunState.CLAIMED, RunState.SENDING)),
            (runs.c.state == RunState.HELD) & runs.c.reason.not_in((Reason.LOOP, Reason.RESTORED)),
        ),
    )
    locked = tx.locking(unfinished.order_by(runs.c.id))
    held = _intact(tx, map(run_of, tx.connection.execute(locked).mappings()))
    for run in held:
        tx.connection.execute(
            update(runs)
            .where(runs.c.id == run.id)
            .values(state=RunState.HELD, reason=Reason.RESTORED, owner=None)
        )
        tx.note(run=run.id, event=RunState.HELD, detail=Reason.RESTORED)
    suspect_all_owed(tx)
    tx.audit("restored", about="ledger", detail={"held": len(held)})
    return len(held)


def beat(tx: Tx, *, session: SessionId) -> bool:
    """Move a session's beat on; return False where the session was declared dead meanwhile."""
    moved = tx.value(_BEAT, {"of_session": session, "now": tx.now})
    put_fact(tx, name=BEAT_FACT, value=session)
    return moved is not None


def beats(tx: Tx) -> tuple[Beat, ...]:
    """Return the beats of all open sessions."""
    return tuple(
        Beat(session=SessionId(row["id"]), host=row["host"], count=row["beat"], at=row["beat_at"])
        for row in tx.run(_BEATS, {})
    )


def close_session(tx: Tx, *, session: SessionId) -> None:
    """Close a session that stopped in good order, after its runs were given back."""
    tx.connection.execute(update(sessions).where(sessions.c.id == session).values(ended_at=tx.now))


def bury(tx: Tx, *, session: SessionId, seen: int) -> bool:
    """Declare a session dead whose beat still stands at `seen`; return False where it moved or is closed.

    Its runs without an open call go back to the queue, with the crash counted. Those with an intended call
    stay, for `bereaved` and `declare_unknown`; its comments are taken again when their time is over.
    """
    dead = tx.connection.execute(
        update(sessions)
        .where(sessions.c.id == session, sessions.c.beat == seen, sessions.c.ended_at.is_(None))
        .values(ended_at=tx.now)
        .returning(sessions.c.id)
    ).scalar()
    if dead is None:
        return False
    owned = tx.locking(select(runs).where(runs.c.owner == session).order_by(runs.c.id))
    intact = _intact(tx, map(run_of, tx.connection.execute(owned).mappings()))
    # A run under suspicion was alone with it: its neighbours keep a clean record (W3).
    suspects = {run.id for run in intact if run.crashes} or {run.id for run in intact}
    for run in intact:
        _give_back(tx, run, crashes=run.crashes + (run.id in suspects), delay=timedelta())
    return True


def lose(tx: Tx, *, run: Run, delay: timedelta) -> None:
    """Let go of a run whose sender failed in an unforeseen way, as if its worker had died (W2, W3)."""
    owned = (runs.c.id == run.id, runs.c.owner == run.owner)
    if _open_call(tx, run):
        tx.connection.execute(update(runs).where(*owned).values(owner=NOBODY))
    elif tx.connection.execute(select(runs.c.id).where(*owned)).scalar() is not None:
        _give_back(tx, run, crashes=run.crashes + 1, delay=delay)


def take_back(tx: Tx) -> int:
    """Queue the runs without an open call that no open session owns; return how many (W2).

    They are left by a worker whose time to stop was over, so nothing counts as a crash.
    """
    left = _intact(tx, map(run_of, tx.run(_LEFT, {})))
    for run in left:
        _give_back(tx, run, crashes=run.crashes, delay=timedelta())
    return len(left)


def bereaved(tx: Tx) -> tuple[Bereaved, ...]:
    """Return the runs with an intended call without an answer, and no open session that could record one."""
    return tuple(
        Bereaved(run=run, calls=calls_of(tx, run=run.id)) for run in map(run_of, tx.run(_BEREAVED, {}))
    )


def declare_unknown(tx: Tx, *, run: Run, reason: Reason, comment: OwedComment) -> bool:
    """Close a bereaved run's open calls and the run as unknown, and owe the comment that says so (W2)."""
    changed = tx.connection.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.owner == run.owner, runs.c.state == RunState.SENDING)
        .values(state=RunState.UNKNOWN, reason=reason, owner=None)
        .returning(runs.c.id)
    ).scalar()
    if changed is None:
        return False
    tx.connection.execute(
        update(calls)
        .where(calls.c.run == run.id, calls.c.state == CallState.INTENDED)
        .values(state=CallState.UNKNOWN, reason=reason, ended_at=tx.now)
    )
    tx.note(run=run.id, event=RunState.UNKNOWN, detail=reason)
    tx.count("run", run.mapping, RunState.UNKNOWN)
    owe(tx, run=run.id, ticket=run.ticket, comment=comment)
    return True


def _intact(tx: Tx, locked: Iterable[Run]) -> list[Run]:
    """Return those of some runs that have no open call; nobody can open one, for their rows are locked."""
    return [run for run in locked if not _open_call(tx, run)]


def _open_call(tx: Tx, run: Run) -> bool:
    return any(call.state is CallState.INTENDED for call in calls_of(tx, run=run.id))


def _give_back(tx: Tx, run: Run, *, crashes: int, delay: timedelta) -> None:
    tx.connection.execute(
        update(runs)
        .where(runs.c.id == run.id)
        .values(state=RunState.QUEUED, owner=None, crashes=crashes, due_at=tx.now + delay)
    )
    tx.note(run=run.id, event=RunState.QUEUED, detail=Reason.WORKER_LOST)
