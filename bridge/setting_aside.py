"""Ends or holds a claimed run without a further call, and owes the ticket the truth about it.

It must not send anything, nor call a run unsent of which a part may have run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from bridge import comments, consequences
from bridge.comments import waiting
from bridge.connections import Connections
from bridge.errors import Reason
from bridge.ledger import Ledger, Tx, approvals, limits, outbox, pausing, working
from bridge.ledger.people import Act
from bridge.models import (
    Call,
    Occasion,
    OwedComment,
    Part,
    PauseScope,
    Plan,
    Problem,
    Report,
    Run,
    RunState,
)
from bridge.policy import Ruling, Verdict, plan_hash, too_old_at
from bridge.telling import owed

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trips:
    """How many runs a limit may hold within a window before what it is about is paused."""

    most: int
    window: timedelta


# Why the policy holds a run, in an order that stays: an earlier version told of the first with its number.
_HELD_FOR: Final = (Reason.PORTAL_PAUSED, Reason.PAUSED, Reason.OVER_LIMIT, Reason.CLOCK_WENT_BACK)


def _number_of_hold(reason: Reason | None, calls: tuple[Call, ...]) -> int:
    """Return the number under which a hold is told: each reason once, and once more after something was sent.

    0 for a reason that is not told, because no worker held the run.
    """
    if reason not in _HELD_FOR:
        return 0
    sent = sum(call.intended_at is not None for call in calls)
    return 1 + _HELD_FOR.index(reason) + len(_HELD_FOR) * sent


class SettingAside:
    """The ways out of a claim other than sending; `calls` are always all of the run."""

    def __init__(self, *, ledger: Ledger, connections: Callable[[], Connections], trips: Trips) -> None:
        self._ledger = ledger
        self._connections = connections
        self._trips = trips

    def give_back(self, run: Run, delay: timedelta, reason: Reason | None) -> None:
        """Queue a run again."""
        self._ledger.persist(working.give_back, run=run, delay=delay, reason=reason)

    def look_up_later(self, run: Run, delay: timedelta, reason: Reason, detail: str) -> None:
        """Queue a run again whose devices could not be looked up."""
        self._ledger.persist(working.look_up_later, run=run, delay=delay, reason=reason, detail=detail)

    def refuse(self, run: Run, problem: Problem, calls: tuple[Call, ...] = ()) -> None:
        """End a run that cannot be turned into a call."""
        assert run.plan is not None
        report = comments.refused(run.id, run.plan, problem)
        self._end(run, calls, RunState.REFUSED, problem.reason, Occasion.REFUSED, report, problem.detail)

    def ruled_out(
        self, run: Run, ruling: Ruling, calls: tuple[Call, ...], parts: tuple[Part, ...] = ()
    ) -> None:
        """Set a run aside as the policy rules; `parts` are those that were not frozen yet."""
        assert ruling.reason is not None
        if ruling.verdict is Verdict.HOLD:
            self.hold(run, ruling, calls)
        elif ruling.verdict is Verdict.ASK:
            self.ask(run, parts or tuple({call.part.number: call.part for call in calls}.values()))
        elif ruling.verdict is Verdict.EXPIRE:
            self.expire(run, ruling.reason, calls)
        elif ruling.verdict is Verdict.CANCEL:
            self.withdraw(run, ruling.reason, None, calls)
        else:
            assert ruling.limit is not None
            detail = f"over {waiting.limit_in_words(ruling.limit)}"
            self.refuse(run, Problem(reason=ruling.reason, place="devices", detail=detail), calls)

    def expire(self, run: Run, reason: Reason, calls: tuple[Call, ...]) -> None:
        """End a run that became too old to be sent, or was not approved in time."""
        assert run.plan is not None
        report = waiting.expired(run.id, run.plan, reason)
        self._end(run, calls, RunState.EXPIRED, reason, Occasion.EXPIRED, report, report.advice[0])

    def withdraw(self, run: Run, reason: Reason, detail: str | None, calls: tuple[Call, ...]) -> None:
        """Cancel a run that its ticket or its approver does not want any more."""
        assert run.plan is not None
        report = waiting.withdrawn(run.id, run.plan, reason, detail)
        self._end(
            run, calls, RunState.CANCELLED, reason, Occasion.CANCELLED, report, detail or report.headline
        )

    def bury(self, run: Run, calls: tuple[Call, ...]) -> None:
        """End a run with which worker after worker died (W3)."""
        assert run.plan is not None
        report = comments.dead(run.id, run.plan, run.crashes)
        detail = "the bridge failed again and again while it worked on the rest"
        self._end(run, calls, RunState.DEAD, Reason.CRASHES, Occasion.DEAD, report, detail)

    def finish(self, run: Run, calls: tuple[Call, ...]) -> None:
        """End a run of which a late answer has left nothing to send."""
        assert run.plan is not None
        state = consequences.ended_state(calls)
        report = comments.late(run.id, run.plan, calls)
        comment = self.owed(run, consequences.told_as(state), len(calls), report)
        self._ledger.persist(working.end, run=run, state=state, reason=None, detail=None, comment=comment)

    def instead_of(self, replay: Run, first: Run, calls: tuple[Call, ...]) -> OwedComment:
        """Return that a replay is not sent: the run that it repeats was answered, and `calls` are its own."""
        assert replay.plan is not None
        why = f"This is the late answer to run {first.id}, so its replay, run {replay.id}, was not sent."
        report = comments.stopped(replay.id, replay.plan, calls, (why,))
        return self.owed(replay, Occasion.CANCELLED, 1, report)

    def hold(self, run: Run, ruling: Ruling, calls: tuple[Call, ...]) -> None:
        """Hold a run until a person or the time frees it, and say so once for each reason (S6, L1)."""
        assert run.plan is not None
        comment = self._of_hold(run, run.plan, ruling, calls)
        paused = self._ledger.persist(_hold, run=run, ruling=ruling, trips=self._trips, comment=comment)
        log.warning("run.held", run=run.id, portal=run.plan.portal, reason=ruling.reason)
        if paused is not None:
            log.error("limit.tripped", run=run.id, mapping=run.mapping, scope=paused)

    def _of_hold(self, run: Run, plan: Plan, ruling: Ruling, calls: tuple[Call, ...]) -> OwedComment | None:
        """Return what the ticket is told of a hold; None where it was woken in vain, which is no news."""
        if run.reason is ruling.reason:
            return None
        report = waiting.held(run.id, plan, ruling)
        if consequences.may_have_run(calls):
            report = comments.stopped(run.id, plan, calls, (report.headline, *report.advice))
        return self.owed(run, Occasion.HELD, _number_of_hold(ruling.reason, calls), report)

    def released(self, run: Run, act: Act) -> tuple[int, Report] | None:
        """Return what the ticket is told, and its number, where a person lets a held run go on.

        None where nobody was told that it waits.
        """
        calls, told = self._ledger.read(_told, run=run)
        if run.plan is None or not told:
            return None
        report = waiting.released(run.id, run.plan, by=act.author, why=act.reason)
        if consequences.may_have_run(calls):
            follows = f"{act.author} released the rest: {act.reason}"
            report = comments.answered_so_far(run.id, run.plan, calls, follows)
        return _number_of_hold(run.reason, calls), report

    def ask(self, run: Run, parts: tuple[Part, ...]) -> None:
        """Hold a run until somebody approves exactly this plan, and say what is asked (L3)."""
        assert run.plan is not None
        report = waiting.approval_asked(run.id, run.plan, parts)
        self._ledger.persist(_ask, run=run, parts=parts, comment=self.owed(run, Occasion.APPROVAL, 1, report))
        log.info("run.approval_asked", run=run.id, mapping=run.mapping)

    def owed(self, run: Run, occasion: Occasion, n: int, report: Report) -> OwedComment:
        """Return a report as a comment that is owed to the run's ticket."""
        assert run.plan is not None
        return owed(
            self._connections(),
            run.ticket,
            run=run.id,
            delivery=run.delivery,
            occasion=occasion,
            n=n,
            visibility=run.plan.style.visibility,
            report=report,
            after=run.plan.after,
        )

    def _end(
        self,
        run: Run,
        calls: tuple[Call, ...],
        state: RunState,
        reason: Reason,
        occasion: Occasion,
        report: Report,
        detail: str | None,
    ) -> None:
        assert run.plan is not None
        n = 1
        if consequences.may_have_run(calls):
            # Something was sent: what came of that is the outcome, and the rest is said not to follow.
            state = consequences.ended_state(calls)
            occasion, n = consequences.told_as(state), len(calls)
            why = (f"The rest was not sent: {detail}",) if detail else ()
            report = comments.stopped(run.id, run.plan, calls, why)
        # Nobody can be told in a ticket system that was taken out of the settings; the run ends all the same.
        known = run.ticket.source in self._connections().sources
        comment = self.owed(run, occasion, n, report) if known else None
        self._ledger.persist(working.end, run=run, state=state, reason=reason, detail=detail, comment=comment)
        log.info("run.ended", run=run.id, state=state, reason=reason)


def _told(tx: Tx, *, run: Run) -> tuple[tuple[Call, ...], bool]:
    calls = working.calls_of(tx, run=run.id)
    n = _number_of_hold(run.reason, calls)
    return calls, outbox.is_owed(tx, run=run.id, occasion=Occasion.HELD, n=n)


def _hold(
    tx: Tx, *, run: Run, ruling: Ruling, trips: Trips, comment: OwedComment | None
) -> PauseScope | None:
    """Hold a run, and pause what a limit is about that holds one run after the other."""
    assert run.plan is not None
    assert ruling.reason is not None
    if ruling.pause is not None and not pausing.still_standing(tx, pause=ruling.pause):
        # Whoever lifted it since has queued what it held; this run must not be left behind.
        working.give_back(tx, run=run, delay=timedelta(), reason=None)
        return None
    expiry = too_old_at(run.plan)
    detail = ruling.limit.kind.value if ruling.limit else None
    if ruling.pause is not None:
        # A portal's own trouble says what it is; of a pause that was made it is said which one.
        of_portal = ruling.reason is Reason.PORTAL_PAUSED
        detail = ruling.pause.reason.value if of_portal else pausing.named(ruling.pause)
    working.hold(
        tx,
        run=run,
        reason=ruling.reason,
        detail=detail,
        due_at=min(ruling.until or expiry, expiry),
        comment=comment,
    )
    if ruling.limit is None:
        return None
    return limits.trip(tx, run=run, plan=run.plan, limit=ruling.limit, most=trips.most, window=trips.window)


def _ask(tx: Tx, *, run: Run, parts: tuple[Part, ...], comment: OwedComment) -> None:
    assert run.plan is not None
    assert run.plan.approval is not None
    expires_at = min(tx.now + run.plan.approval.expires, too_old_at(run.plan))
    approvals.ask(tx, run=run.id, plan_hash=plan_hash(run.plan, parts), parts=parts, expires_at=expires_at)
    # It is due at once: whoever looks at the ticket finds out whether it is approved already.
    working.hold(tx, run=run, reason=Reason.AWAITING_APPROVAL, detail=None, due_at=tx.now, comment=comment)
