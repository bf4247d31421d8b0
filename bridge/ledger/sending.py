"""The write-ahead intent and the answer of every Act call (S1, S4, S7 to S9).

It must not send anything, nor read an answer; it only remembers, and refuses what the states forbid.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, select, update

from bridge import policy
from bridge.errors import LostOwnership, Reason
from bridge.ledger import Tx, approvals, limits, pausing
from bridge.ledger.attempts import (
    add_attempt,
    add_parts,
    drop_planned,
    intend_call,
    may_begin,
    plan_call,
)
from bridge.ledger.codec import RESULT, to_text
from bridge.ledger.outbox import owe
from bridge.ledger.prepared import locking
from bridge.ledger.tables import calls, is_in, runs
from bridge.ledger.working import ENDED, calls_of, give_back
from bridge.models import (
    Call,
    CallResult,
    CallState,
    EngineUid,
    OwedComment,
    Part,
    PauseScope,
    Plan,
    PortalName,
    Run,
    RunState,
)

# Built once: building a statement takes several times as long as running it. What is set comes as parameters.
_CALL: Final = update(calls).where(
    calls.c.run == bindparam("of_run"),
    calls.c.part == bindparam("of_part"),
    calls.c.attempt == bindparam("of_attempt"),
)
_UNANSWERED: Final = _CALL.where(
    is_in(calls.c.state, CallState.INTENDED, CallState.UNKNOWN), calls.c.result.is_(None)
).returning(calls.c.run)
_RUN: Final = update(runs).where(runs.c.id == bindparam("of_run"))
_OWN_RUN: Final = _RUN.where(
    runs.c.owner == bindparam("of_owner"), runs.c.state == RunState.SENDING
).returning(runs.c.id)
_OWNED: Final = locking(
    select(runs.c.id).where(
        runs.c.id == bindparam("of_run"),
        runs.c.owner == bindparam("of_owner"),
        is_in(runs.c.state, RunState.CLAIMED, RunState.SENDING),
    )
)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The ruling, and with GO the call to send now, beside all calls of the run as they stand.

    GO without a call says that nothing is left to send: a late answer came in between.
    """

    ruling: policy.Ruling
    call: Call | None = None
    calls: tuple[Call, ...] = ()


def first_look(
    tx: Tx, *, run: Run, engine_names: tuple[tuple[EngineUid, str], ...], looks_up: bool = True
) -> tuple[tuple[Call, ...], policy.Ruling]:
    """Return a run's calls, and what the policy says of it before anything is looked up.

    Where nothing will be looked up, the admission asks soon enough.
    """
    assert run.plan is not None
    standing = calls_of(tx, run=run.id)
    if not looks_up:
        return standing, policy.GO
    parts = _frozen(standing)
    spent = limits.look(tx, run=run, plan=run.plan, parts=parts)
    return standing, policy.admit(run.plan, _usage(tx, run, run.plan, parts, spent, engine_names, tx.now))


def admit(
    tx: Tx,
    *,
    run: Run,
    parts: tuple[Part, ...],
    lasting: timedelta,
    engine_names: tuple[tuple[EngineUid, str], ...] = (),
    read_at: datetime | None = None,
) -> Admission:
    """Ask the policy and, where it says go, commit the intent of the run's next call (S1, S4, S7, L1).

    `parts` are frozen as planned calls first; empty where they are already. `lasting` is the longest that
    the attempt can take, `read_at` when the ticket was found to want it. Raises LostOwnership where the run
    is not ours or an earlier attempt may still be under way.
    """
    _require_owner(tx, run)
    standing = calls_of(tx, run=run.id)
    return _admit(tx, run, standing, parts, lasting, engine_names, read_at)


def admit_claimed(
    tx: Tx,
    *,
    run: Run,
    parts: tuple[Part, ...],
    lasting: timedelta,
    engine_names: tuple[tuple[EngineUid, str], ...],
) -> Admission | None:
    """Admit a run in the transaction that claims it, so that its intent costs no commit of its own.

    None where it has calls already: what may follow them is for whoever has it to find out.
    """
    if calls_of(tx, run=run.id):
        return None
    return _admit(tx, run, (), parts, lasting, engine_names, None)


def _admit(
    tx: Tx,
    run: Run,
    standing: tuple[Call, ...],
    parts: tuple[Part, ...],
    lasting: timedelta,
    engine_names: tuple[tuple[EngineUid, str], ...],
    read_at: datetime | None,
) -> Admission:
    assert run.plan is not None
    frozen = _frozen(standing) or parts
    spent = limits.spent(tx, run=run, plan=run.plan, parts=frozen)
    ruling = policy.admit(run.plan, _usage(tx, run, run.plan, frozen, spent, engine_names, read_at))
    if ruling.verdict is not policy.Verdict.GO:
        return Admission(ruling=ruling, calls=standing)
    latest_end = tx.now + lasting
    if parts:
        first, *others = parts
        planned = (plan_call(tx, run=run.id, part=part, attempt=1) for part in others)
        standing = (intend_call(tx, run=run.id, part=first, latest_end=latest_end), *planned)
        call = standing[0]
    else:
        if may_begin(tx, standing) > tx.now:
            raise LostOwnership(f"an attempt of run {run.id} may still be under way")
        following = next((call for call in standing if call.state is CallState.PLANNED), None)
        if following is None:
            return Admission(ruling=ruling, calls=standing)
        call = following
        tx.run(
            _CALL,
            {
                **_place(call),
                "state": CallState.INTENDED,
                "intended_at": tx.now,
                "latest_end": latest_end,
            },
        )
    _intend(tx, call, run.plan, frozen)
    return Admission(ruling=ruling, call=call, calls=standing)


def _frozen(standing: tuple[Call, ...]) -> tuple[Part, ...] | None:
    """Return the parts that a run was split into, each once; None before they are known.

    A second send goes to fewer Engines than its part; what was approved is the part.
    """
    parts = {call.part.number: call.part for call in reversed(standing)}
    return tuple(reversed(parts.values())) or None


def _usage(
    tx: Tx,
    run: Run,
    plan: Plan,
    parts: tuple[Part, ...] | None,
    spent: tuple[policy.Spent, ...],
    engine_names: tuple[tuple[EngineUid, str], ...],
    read_at: datetime | None,
) -> policy.Usage:
    return policy.Usage(
        now=tx.now,
        made_at=run.created_at,
        source=run.ticket.source,
        pauses=pausing.standing(tx),
        parts=parts,
        engine_names=engine_names,
        spent=spent,
        waived=run.waived,
        approval=approvals.approval_of(tx, run=run.id) if plan.approval else None,
        read_at=read_at,
    )


def _intend(tx: Tx, call: Call, plan: Plan, parts: tuple[Part, ...]) -> None:
    tx.run(
        _RUN,
        {
            "of_run": call.run,
            "state": RunState.SENDING,
            "reason": None,
            "detail": None,
            "intended_at": tx.now,
        },
    )
    limits.use(tx, call=call, plan=plan)
    tx.note(
        run=call.run,
        event="intended",
        detail=call.request_uid,
        evidence={"plan": policy.plan_hash(plan, parts), "mapping_set": plan.mapping_set},
    )


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
            **_place(call),
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
    _require_owner(tx, run)
    for call in calls_of(tx, run=run.id):
        if call.state is CallState.INTENDED:
            closed = {"state": CallState.NOT_SENT, "reason": Reason.INTENT_NOT_COMMITTED, "ended_at": tx.now}
            tx.run(_UNANSWERED, {**_place(call), **closed})
            add_attempt(tx, call=call)
    limits.give_back(tx, run=run, calls=calls_of(tx, run=run.id))
    give_back(tx, run=run, delay=delay, reason=Reason.INTENT_NOT_COMMITTED)


def _place(call: Call) -> dict[str, object]:
    return {"of_run": call.run, "of_part": call.part.number, "of_attempt": call.attempt}


def _require_owner(tx: Tx, run: Run) -> None:
    if tx.value(_OWNED, {"of_run": run.id, "of_owner": run.owner}) is None:
        raise LostOwnership(f"run {run.id} is not owned by {run.owner}")
