"""Takes one claimed run to its calls and answers: intent before, answer after, never a second send by itself.

It must not decide what an answer means, nor compose words; the dialect and `comments` do.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bridge import comments, consequences, retries
from bridge.connections import Connections, Portal
from bridge.errors import LedgerUnavailable, LostOwnership, Reason
from bridge.ledger import Ledger, late, sending, sessions
from bridge.ledger.sending import Admission, Next
from bridge.mapping.language import MappingSet
from bridge.mapping.withdrawing import withdrawn
from bridge.models import (
    Call,
    CallResult,
    CallState,
    EngineUid,
    HttpResponse,
    NoResponse,
    Occasion,
    Part,
    Plan,
    PortalName,
    Problem,
    Run,
    RunState,
)
from bridge.nexthink import act
from bridge.nexthink.resolution import parts as split_into_parts
from bridge.policy import Verdict
from bridge.resolving import Later, Resolving
from bridge.setting_aside import SettingAside, Trips

log = structlog.get_logger(__name__)

# Seconds after the intent began within which the first byte must leave (S4).
FIRST_BYTE_SECONDS = 5.0
# Seconds that our deadline is longer than the time that Act waits for its Engines.
DEADLINE_MARGIN = 10.0
# Seconds for what lies between two clock readings; an attempt is over for certain after all three.
SLACK_SECONDS = 5.0
# Answers that are read and recorded at the same time: threads that all wake at once, as after a proxy's
# pause, spend their time fighting for the interpreter (2,000 of them took eight times as long).
RECORDED_AT_ONCE = 8


class Acting:
    """The acting use case. `boot_clock` counts suspension; `jitter` gives a number in [0, 1).

    `noted` is told how each call to a portal ended, for the worker's care of portals that do not answer.
    `stopping` says that this worker begins nothing more, because it ends or its host is paused: the parts of
    a run that are left wait. `mapping_set` gives the rules in force, which may have become narrower.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        connections: Callable[[], Connections],
        resolving: Resolving,
        clock: Callable[[], datetime],
        boot_clock: Callable[[], float],
        jitter: Callable[[], float],
        mapping_set: Callable[[], MappingSet | None],
        noted: Callable[[PortalName, CallResult], None],
        stopping: Callable[[], bool],
        trips: Trips,
    ) -> None:
        self._ledger = ledger
        self._connections = connections
        self._resolving = resolving
        self._clock = clock
        self._boot_clock = boot_clock
        self._jitter = jitter
        self._mapping_set = mapping_set
        self._noted = noted
        self._stopping = stopping
        self._recording = threading.BoundedSemaphore(RECORDED_AT_ONCE)
        self._aside = SettingAside(ledger=ledger, connections=connections, trips=trips)

    def act(self, run: Run) -> None:
        """Take a claimed run as far as it goes now; every way out leaves it in a recorded state."""
        try:
            self._act(run)
        except LostOwnership:
            log.warning("run.lost", run=run.id)
            self._let_go(run)
        except Exception:
            log.exception("run.failed", run=run.id)
            self._ledger.persist(sessions.lose, run=run, delay=timedelta(seconds=30))

    def _let_go(self, run: Run) -> None:
        """Leave a run to whoever has it; one that is still ours was refused because of an attempt (S4)."""
        try:
            self._aside.give_back(run, timedelta(seconds=30), None)
        except LostOwnership:
            return

    def _act(self, run: Run) -> None:
        plan = run.plan
        assert plan is not None
        if run.ticket.source not in self._connections().sources:
            # Nothing could be told to this ticket; the run waits until its source is configured again.
            self._aside.give_back(run, timedelta(minutes=1), Reason.UNKNOWN_SOURCE)
            return
        try:
            calls, ruling = self._ledger.read(
                sending.first_look, run=run, engine_names=self._engine_names(plan)
            )
        except LedgerUnavailable:
            self._aside.give_back(run, timedelta(seconds=5), Reason.LEDGER_UNAVAILABLE)
            return
        portal = self._connections().portals.get(plan.portal)
        if run.crashes >= sessions.CRASHES:
            self._aside.bury(run, calls)
        elif portal is None:
            problem = Problem(reason=Reason.NO_PORTAL, place="portal", detail=_not_configured(plan))
            self._aside.refuse(run, problem, calls)
        elif ruling.verdict is not Verdict.GO:
            self._aside.ruled_out(run, ruling, calls)
        else:
            parts = () if calls else self._parts(run, plan, portal)
            if parts is not None and self._still_allowed(run, plan, parts, calls):
                self._send_all(run, plan, portal, parts)

    def _engine_names(self, plan: Plan) -> tuple[tuple[EngineUid, str], ...]:
        return tuple(self._resolving.engine_names(plan.portal).items())

    def _parts(self, run: Run, plan: Plan, portal: Portal) -> tuple[Part, ...] | None:
        """Resolve a plan into its parts; None where the run ended or waits instead."""
        resolved = self._resolving.resolve(plan)
        if isinstance(resolved, Problem):
            self._aside.refuse(run, resolved)
            return None
        if isinstance(resolved, Later):
            self._wait(run, plan, resolved)
            return None
        return split_into_parts(resolved, portal.config.max_devices_per_call)

    def _still_allowed(self, run: Run, plan: Plan, parts: tuple[Part, ...], calls: tuple[Call, ...]) -> bool:
        """Look at the rules once more, as they stand now; end a run that they do not allow any more."""
        frozen = parts or tuple(call.part for call in calls)
        names = [device.name for part in frozen for device in part.devices if device.name]
        problem = withdrawn(plan, names, self._mapping_set())
        if problem is not None:
            self._aside.refuse(run, problem, calls)
        return problem is None

    def _wait(self, run: Run, plan: Plan, later: Later) -> None:
        if later.engine is None:
            # A portal that cannot even be asked takes no calls either (W4).
            self._noted(plan.portal, CallResult(state=CallState.NOT_SENT, reason=later.reason))
        now = self._clock()
        again = retries.decide(
            retries.calls(plan.max_age),
            run.tries,
            now,
            first_at=plan.occurred_at,
            jitter=self._jitter(),
            retry_after=None,
        )
        if isinstance(again, retries.GiveUp):
            problem = Problem(reason=Reason.LOOKUP_FAILED, place="devices", detail=later.detail)
            self._aside.refuse(run, problem)
            return
        log.info("run.lookup_later", run=run.id, reason=later.reason, attempt=run.tries)
        self._aside.give_back(run, max(again.at - now, timedelta()), later.reason)

    def _send_all(self, run: Run, plan: Plan, portal: Portal, parts: tuple[Part, ...]) -> None:
        lasting = FIRST_BYTE_SECONDS + plan.timeout_seconds + DEADLINE_MARGIN + SLACK_SECONDS
        first = True
        while True:
            began = self._boot_clock()
            try:
                admission = self._ledger.write(
                    sending.admit,
                    run=run,
                    parts=parts,
                    lasting=timedelta(seconds=lasting),
                    engine_names=self._engine_names(plan),
                )
            except LedgerUnavailable as error:
                # An intent whose COMMIT raised is never sent, whether it was committed or not (S1).
                log.warning("run.not_admitted", run=run.id, reason=str(error))
                self._ledger.persist(sending.close_not_sent, run=run, delay=timedelta(seconds=5))
                return
            if admission.call is None:
                self._not_admitted(run, admission, parts, first=first)
                return
            following = self._send(run, plan, portal, admission.call, admission.calls, began)
            if following.state is not RunState.SENDING:
                return
            if self._stopping():
                self._aside.give_back(run, timedelta(), None)
                return
            parts, first = (), False

    def _not_admitted(self, run: Run, admission: Admission, parts: tuple[Part, ...], *, first: bool) -> None:
        if not first:
            # A part was answered already: the next claim finds what stands in the way, with the run its own.
            self._aside.give_back(run, timedelta(), None)
        elif admission.ruling.verdict is Verdict.GO:
            self._aside.finish(run, admission.calls)
        else:
            self._aside.ruled_out(run, admission.ruling, admission.calls, parts)

    def _send(
        self, run: Run, plan: Plan, portal: Portal, call: Call, calls: tuple[Call, ...], began: float
    ) -> Next:
        request = act.run_request(
            portal.config,
            request_uid=call.request_uid,
            remote_action_uid=plan.remote_action_uid,
            part=call.part,
            timeout_seconds=plan.timeout_seconds,
            params=plan.params,
        )
        response = portal.transport.send(
            request,
            deadline=FIRST_BYTE_SECONDS + plan.timeout_seconds + DEADLINE_MARGIN,
            first_byte_within=FIRST_BYTE_SECONDS,
            started=began,
            fresh=True,
        )
        with self._recording:
            return self._take_in(run, plan, portal, call, calls, response)

    def _take_in(
        self,
        run: Run,
        plan: Plan,
        portal: Portal,
        call: Call,
        calls: tuple[Call, ...],
        response: HttpResponse | NoResponse,
    ) -> Next:
        result = act.decipher(
            portal.config, response, part=call.part, engine_names=self._resolving.engine_names(plan.portal)
        )
        self._noted(plan.portal, result)
        log.info(
            "call.ended",
            run=run.id,
            portal=plan.portal,
            state=result.state,
            reason=result.reason,
            attempt=call.attempt,
        )
        # Nothing is read between here and the record: an answer in hand must not depend on a look (S8).
        calls = tuple(
            replace(each, state=result.state, result=result) if each == call else each for each in calls
        )
        return self._record(run, plan, call, result, calls)

    def _record(self, run: Run, plan: Plan, call: Call, result: CallResult, calls: tuple[Call, ...]) -> Next:
        """Record an answer, also where the run was lost meanwhile (S8)."""
        following = consequences.of_answer(
            run,
            call,
            result,
            calls,
            now=self._clock(),
            jitter=self._jitter(),
            owe=lambda occasion, n, report: self._aside.owed(run, occasion, n, report),
        )
        try:
            self._ledger.persist(sending.answer, run=run, call=call, result=result, following=following)
        except LostOwnership:
            report = comments.late(run.id, plan, calls)
            self._ledger.persist(
                late.answer_late,
                run=run,
                call=call,
                result=result,
                state=consequences.ended_state(calls),
                comment=self._aside.owed(run, Occasion.LATE, len(calls), report),
            )
        return following


def _not_configured(plan: Plan) -> str:
    return f"portal {plan.portal} is not configured any more"
