"""What a person may change: resolve an unknown, release, cancel; each is compare-and-set (S9).

It must not know who may do it; each change carries who, why, and the attempt that they saw.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, func, select, update

from bridge.errors import NotPossible, Reason
from bridge.ledger import Tx, pausing
from bridge.ledger.attempts import add_attempt, drop_planned, limit_again, may_begin
from bridge.ledger.codec import runs_of
from bridge.ledger.outbox import owe
from bridge.ledger.tables import calls, runs
from bridge.ledger.waking import ring
from bridge.ledger.working import ENDED, calls_of, find_run
from bridge.models import CallState, OwedComment, Pause, PauseScope, Run, RunId, RunState

RESOLVABLE: Final = (RunState.UNKNOWN,)
CANCELLABLE: Final = (RunState.QUEUED, RunState.HELD)
RELEASABLE: Final = (RunState.HELD,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A run as a person saw it when they decided; `attempt` is how many requests had been made (S9)."""

    state: RunState
    reason: Reason | None
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who does it and why, in their own words.

    `seen` is the run as they saw it: where it is another by now, nothing happens. None: they did not say.
    """

    author: str
    reason: str
    seen: Sight | None = None


def resolve(
    tx: Tx, *, run: RunId, attempt: int, state: RunState, act: Act, comment: OwedComment | None
) -> None:
    """Move an unknown run to ANSWERED or REFUSED by a person's word, or to QUEUED for one further attempt.

    `attempt` is how many requests had been made when the person looked; another one since then raises
    NotPossible (S9).
    """
    seen = find_run(tx, run=run)
    made = attempts_made(tx, run=run)
    if made != attempt:
        raise NotPossible(f"run {run} is at attempt {made}, not {attempt} (look again, then decide)")
    move(tx, seen, RESOLVABLE, state, act)
    if state is RunState.QUEUED:
        limit_again(tx, run=run)
        for call in calls_of(tx, run=run):
            again = call.state in {CallState.UNKNOWN, CallState.NOT_SENT}
            if again and call.attempt == _newest_of_part(tx, run, call.part.number):
                add_attempt(tx, call=call)
        if not any(call.state is CallState.PLANNED for call in calls_of(tx, run=run)):
            raise NotPossible(f"run {run} has nothing left that could be sent again")
    else:
        drop_planned(tx, run=run)
    if comment is not None:
        owe(tx, run=run, ticket=seen.ticket, comment=comment)


def cancel(tx: Tx, *, run: RunId, attempt: int, state: RunState, act: Act, comment: OwedComment) -> None:
    """Send nothing more of a run that is queued or held; raise NotPossible for any other.

    `state` is CANCELLED, or what became of the part that was sent; `attempt` as for `resolve`.
    """
    seen = find_run(tx, run=run)
    if attempts_made(tx, run=run) != attempt:
        raise NotPossible(f"run {run} was sent meanwhile (look again, then decide)")
    move(tx, seen, CANCELLABLE, state, act)
    drop_planned(tx, run=run)
    owe(tx, run=run, ticket=seen.ticket, comment=comment)


def release(
    tx: Tx, *, run: RunId, reason: Reason | None, waive: bool, act: Act, comment: OwedComment | None
) -> None:
    """Queue a run that is held for `reason`, as the person saw it; the policy is asked again (S9).

    `waive` lets limits, and nothing else, pass this run by. `comment` is None where nobody was told to wait.
    """
    seen = find_run(tx, run=run)
    if seen.state is RunState.HELD and seen.reason is not reason:
        raise NotPossible(f"run {run} is held for {seen.reason} by now (look again, then decide)")
    move(tx, seen, RELEASABLE, RunState.QUEUED, act)
    if waive:
        tx.connection.execute(update(runs).where(runs.c.id == run).values(waived=1))
    if comment is not None:
        owe(tx, run=run, ticket=seen.ticket, comment=comment)


def pause(
    tx: Tx,
    *,
    scope: PauseScope,
    value: str,
    lasting: timedelta | None,
    act: Act,
    seen: frozenset[str] | None = None,
) -> Pause:
    """Stop sending within a scope, for ever or for `lasting`; return the pause.

    `seen` are the fingerprints of the pauses that the person looked at: one of this scope that is not among
    them is not prolonged (S9). Raises NotPossible then, and where it is paused for as long already.
    """
    # Two of them at once would else both find that there is none.
    tx.only_one("pauses")
    if seen is not None:
        before = _standing(tx, scope, value)
        if before is not None and pausing.fingerprint(before) not in seen:
            raise _paused_already(before)
    made = pausing.pause(
        tx,
        scope=scope,
        value=value,
        reason=Reason.BY_OPERATOR,
        author=act.author,
        detail=act.reason,
        expires_at=None if lasting is None else tx.now + lasting,
    )
    standing = _standing(tx, scope, value)
    assert standing is not None
    if not made:
        raise _paused_already(standing)
    return standing


def _standing(tx: Tx, scope: PauseScope, value: str) -> Pause | None:
    found = (one for one in pausing.standing(tx) if one.scope is scope and one.value == value)
    return next(found, None)


def _paused_already(standing: Pause) -> NotPossible:
    until = f"until {standing.expires_at:%Y-%m-%d %H:%M} UTC" if standing.expires_at else "until it is lifted"
    return NotPossible(f"{pausing.named(standing)} is paused already, {until} (see `bridge pauses`)")


def resume(tx: Tx, *, scope: PauseScope, value: str, act: Act, seen: str | None = None) -> int:
    """Lift a pause and queue the runs that it held; return how many (S6).

    `seen` is the fingerprint of the pause that the person looked at; another one stays (S9).
    """
    lifted = pausing.lift(tx, scope=scope, value=value, author=act.author, why=act.reason)
    if seen is not None and pausing.fingerprint(lifted) != seen:
        raise NotPossible(f"the pause of {pausing.named(lifted)} is another by now (look again, then decide)")
    # More may be held by now than were seen, unlike after a restore: what is asked for a moment after the
    # pause is lifted goes, too.
    return _release_all(tx, act, pausing.holds(lifted))


def release_restored(tx: Tx, *, act: Act, seen: int | None = None) -> int:
    """Queue the runs that were held because the ledger looked restored or moved; return how many (W7).

    Raises NotPossible where they are more than the person has `seen` (S9).
    """
    released = _release_all(tx, act, runs.c.reason == Reason.RESTORED)
    if seen is not None and released > seen:
        raise NotPossible(f"{released} runs are held by now, not {seen} (look again, then decide)")
    return released


def _release_all(tx: Tx, act: Act, condition: ColumnElement[bool]) -> int:
    # What another version wrote stays held: a person who knows of it has that version let it go.
    held = tx.connection.execute(select(runs).where(runs.c.state == RunState.HELD, condition)).mappings()
    found = runs_of(held).runs
    for run in found:
        move(tx, run, RELEASABLE, RunState.QUEUED, act)
    return len(found)


def attempts_made(tx: Tx, *, run: RunId) -> int:
    """Return how many requests of a run were intended, over all parts: it grows with every one."""
    return int(
        tx.connection.execute(
            select(func.count())
            .select_from(calls)
            .where(calls.c.run == run, calls.c.intended_at.is_not(None))
        ).scalar_one()
    )


def _newest_of_part(tx: Tx, run: RunId, part: int) -> int:
    return int(
        tx.connection.execute(
            select(func.max(calls.c.attempt)).where(calls.c.run == run, calls.c.part == part)
        ).scalar_one()
    )


def not_in(run: Run, wanted: tuple[RunState, ...]) -> NotPossible:
    """Return that a run is in none of the states that an act needs."""
    states = " or ".join(wanted)
    return NotPossible(f"run {run.id} is {run.state}; this needs {states} (see `bridge runs show {run.id}`)")


def require_as_seen(tx: Tx, *, run: RunId, act: Act) -> None:
    """Raise NotPossible where a run is another than the person saw; else it stays so until commit (S9)."""
    if act.seen is None:
        return
    tx.connection.execute(tx.locking(select(runs.c.id).where(runs.c.id == run)))
    found, made = find_run(tx, run=run), attempts_made(tx, run=run)
    now, then = _in_words(found.state, found.reason), _in_words(act.seen.state, act.seen.reason)
    if now != then:
        raise NotPossible(f"run {run} is {now} by now, not {then} (look again, then decide)")
    if made != act.seen.attempt:
        raise NotPossible(f"run {run} is at attempt {made}, not {act.seen.attempt} (look again, then decide)")


def _in_words(state: RunState, reason: Reason | None) -> str:
    return f"{state} ({reason})" if reason else f"{state}"


def move(tx: Tx, run: Run, before: tuple[RunState, ...], after: RunState, act: Act) -> None:
    """Change a run's state by a person's word; raise NotPossible where it is in none of the states before.

    The same where it is another than they saw.
    """
    require_as_seen(tx, run=run.id, act=act)
    moved = tx.connection.execute(
        update(runs)
        .where(runs.c.id == run.id, runs.c.state.in_(before))
        .values(
            state=after,
            reason=Reason.BY_OPERATOR,
            detail=None,
            owner=None,
            due_at=max(tx.now, may_begin(tx, calls_of(tx, run=run.id))),
            ended_at=tx.now if after in ENDED else None,
        )
        .returning(runs.c.id)
    ).scalar()
    if moved is None:
        raise not_in(run, before)
    tx.note(run=run.id, event=after, by=act.author, detail=act.reason, evidence={"was": run.state})
    tx.count("run", run.mapping, after)
    ring(tx)
