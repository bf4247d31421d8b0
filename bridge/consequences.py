"""Decides what the answer of a call makes of its run: on, again, held back, or ended and told.

It must not read a clock or the ledger, nor send; everything that it needs is an argument.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from bridge import comments, retries
from bridge.comments import second_sends
from bridge.errors import Reason
from bridge.ledger.sending import Next
from bridge.models import Call, CallResult, CallState, Occasion, OwedComment, Plan, Report, Run, RunState
from bridge.policy import too_old_at
from bridge.sending_again import parts_to_send_again, times_sent_again

# Answers that would be the same for every run of the portal, until a person has mended something (S6).
PAUSING = frozenset({Reason.UNAUTHORIZED, Reason.NO_PERMISSION, Reason.NO_ENGINES_TO_TARGET})

_NOT_TRIED = frozenset({CallState.PLANNED, CallState.DROPPED})
_TAKEN = frozenset({CallState.INTENDED, CallState.ANSWERED, CallState.UNKNOWN})

# The second argument numbers the comments of an occasion: every further attempt adds a call, so how many
# calls there are never says the same twice.
Owe = Callable[[Occasion, int, Report], OwedComment]


def of_answer(
    run: Run,
    call: Call,
    result: CallResult,
    calls: tuple[Call, ...],
    *,
    now: datetime,
    jitter: float,
    owe: Owe,
) -> Next:
    """Return what follows; `calls` are all of the run, `call` among them with its result already."""
    plan = run.plan
    assert plan is not None
    if result.state is CallState.ANSWERED and any(each.state is CallState.PLANNED for each in calls):
        return Next(state=RunState.SENDING)
    if result.state is CallState.NOT_SENT or result.reason is Reason.RATE_LIMITED:
        again = retries.decide(
            retries.calls(plan.max_age),
            call.attempt,
            now,
            first_at=plan.occurred_at,
            jitter=jitter,
            retry_after=result.retry_after,
        )
        if isinstance(again, retries.RetryAt):
            delay = max(again.at - now, timedelta())
            return Next(state=RunState.QUEUED, reason=result.reason, again=True, delay=delay)
    if result.reason in PAUSING:
        # The same call stands ready; the next claim finds the portal paused and holds the run (S6).
        return Next(state=RunState.QUEUED, reason=result.reason, again=True, pause=plan.portal)
    return _second_send(run, plan, result, calls, now, owe) or _ending(run, plan, result, calls, owe)


def _second_send(
    run: Run, plan: Plan, result: CallResult, calls: tuple[Call, ...], now: datetime, owe: Owe
) -> Next | None:
    """Return the mapping's own second send to the Engines that missed the run; None where there is none.

    An unknown part stops it (S7), and one that could only come too late is not promised.
    """
    rule, made = plan.send_again, times_sent_again(calls)
    if rule is None or made >= rule.times or result.state is not CallState.ANSWERED:
        return None
    at = now + rule.wait
    parts = parts_to_send_again(plan, calls)
    if not parts or at > too_old_at(plan) or ended_state(calls) is not RunState.ANSWERED:
        return None
    report = second_sends.planned(run.id, plan, calls, parts, at=at, number=made + 1)
    return Next(
        state=RunState.QUEUED,
        detail=f"second send {made + 1} of {rule.times}",
        delay=rule.wait,
        comment=owe(Occasion.ANSWERED, len(calls), report),
        further=parts,
    )


def _ending(run: Run, plan: Plan, result: CallResult, calls: tuple[Call, ...], owe: Owe) -> Next:
    state = ended_state(calls)
    report = comments.answered(run.id, plan, calls)
    return Next(
        state=state,
        reason=result.reason,
        detail=result.error_code,
        comment=owe(told_as(state), len(calls), report),
    )


def told_as(state: RunState) -> Occasion:
    """Return the occasion under which an end is told."""
    occasions = {RunState.ANSWERED: Occasion.ANSWERED, RunState.UNKNOWN: Occasion.UNKNOWN}
    return occasions.get(state, Occasion.REFUSED)


def may_have_run(calls: tuple[Call, ...]) -> bool:
    """Say whether anything of a run may have reached Nexthink and been taken."""
    return any(call.state in _TAKEN for call in calls)


def ended_state(calls: tuple[Call, ...]) -> RunState:
    """Return what a run is when nothing more is sent: unknown if any part is, else answered if any was.

    A further attempt that was refused or never left takes nothing back of an answer before it.
    """
    newest = {call.part.number: call.state for call in calls if call.state not in _NOT_TRIED}
    if CallState.UNKNOWN in newest.values() or CallState.INTENDED in newest.values():
        return RunState.UNKNOWN
    was_answered = any(call.state is CallState.ANSWERED for call in calls)
    return RunState.ANSWERED if was_answered else RunState.REFUSED
