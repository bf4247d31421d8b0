"""The write-ahead intent of every Act call, where the policy lets it go (S1, S4, S7, L1).

It must not decide by itself: it brings the policy what the ledger knows, and commits what follows.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, update

from bridge import policy
from bridge.errors import LostOwnership
from bridge.ledger import Tx, approvals, limits, pausing
from bridge.ledger.attempts import intend_call, intend_planned, may_begin, plan_call
from bridge.ledger.tables import runs
from bridge.ledger.working import calls_of, require_owner
from bridge.models import Call, CallState, EngineUid, Part, Plan, Run, RunState

# Built once: building a statement takes several times as long as running it. What is set comes as parameters.
_RUN: Final = update(runs).where(runs.c.id == bindparam("of_run"))


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
    require_owner(tx, run)
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
        intend_planned(tx, call=call, latest_end=latest_end)
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
