"""Ends or holds a claimed run without a further call, and owes the ticket the truth about it.

It must not send anything, nor call a run unsent of which a part may have run.
"""

from collections.abc import Callable
from datetime import timedelta

import structlog

from bridge import comments, consequences
from bridge.connections import Connections
from bridge.errors import Reason
from bridge.ledger import Ledger, working
from bridge.models import Call, Occasion, OwedComment, Problem, Report, Run, RunState
from bridge.telling import owed

log = structlog.get_logger(__name__)


class SettingAside:
    """The ways out of a claim other than sending; `calls` are always all of the run."""

    def __init__(self, *, ledger: Ledger, connections: Callable[[], Connections]) -> None:
        self._ledger = ledger
        self._connections = connections

    def give_back(self, run: Run, delay: timedelta, reason: Reason | None) -> None:
        """Queue a run again."""
        self._ledger.persist(working.give_back, run=run, delay=delay, reason=reason)

    def refuse(self, run: Run, problem: Problem, calls: tuple[Call, ...] = ()) -> None:
        """End a run that cannot be turned into a call."""
        assert run.plan is not None
        report = comments.refused(run.id, run.plan, problem)
        self._end(run, calls, RunState.REFUSED, problem.reason, Occasion.REFUSED, report, problem.detail)

    def expire(self, run: Run, calls: tuple[Call, ...]) -> None:
        """End a run that became too old to be sent."""
        assert run.plan is not None
        report = comments.expired(run.id, run.plan)
        self._end(run, calls, RunState.EXPIRED, Reason.TOO_OLD, Occasion.EXPIRED, report, comments.TOO_OLD)

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

    def hold(self, run: Run, reason: Reason, calls: tuple[Call, ...]) -> None:
        """Hold a run until a person releases its portal, and say so once (S6)."""
        assert run.plan is not None
        report = comments.held(run.id, run.plan, reason)
        if consequences.may_have_run(calls):
            report = comments.stopped(run.id, run.plan, calls, (report.headline, *report.advice))
        comment = self.owed(run, Occasion.HELD, 1, report)
        self._ledger.persist(
            working.hold, run=run, reason=Reason.PORTAL_PAUSED, detail=reason.value, comment=comment
        )
        log.warning("run.held", run=run.id, portal=run.plan.portal, reason=reason)

    def owed(self, run: Run, occasion: Occasion, n: int, report: Report) -> OwedComment:
        """Return a report as a comment that is owed to the run's ticket."""
        assert run.plan is not None
        return owed(
            self._connections().sources[run.ticket.source].system,
            run=run.id,
            delivery=run.delivery,
            occasion=occasion,
            n=n,
            visibility=run.plan.style.visibility,
            report=report,
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
        comment = self.owed(run, occasion, n, report)
        self._ledger.persist(working.end, run=run, state=state, reason=reason, detail=detail, comment=comment)
        log.info("run.ended", run=run.id, state=state, reason=reason)
