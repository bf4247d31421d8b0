"""Sends what is planned of a claimed run: intent before, answer after, never a second send by itself.

It must not decide what an answer means, nor compose words; the dialect and `comments` do.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from bridge import comments, consequences
from bridge.connections import Portal
from bridge.errors import LedgerUnavailable, LostOwnership, Reason
from bridge.ledger import Ledger, Tx, admitting, late, sending
from bridge.ledger.admitting import Admission
from bridge.ledger.sending import Next
from bridge.models import (
    Call,
    CallResult,
    HttpResponse,
    NoResponse,
    NotRead,
    Occasion,
    Part,
    Plan,
    PortalName,
    Run,
    RunState,
)
from bridge.nexthink import act
from bridge.policy import Verdict
from bridge.rereading import NotWanted, Rereading, StillWanted, has_to_be_read
from bridge.resolving import Resolving
from bridge.setting_aside import SettingAside

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
# How long a run waits whose ticket could not be read, where the ticket system does not say.
UNREAD_PAUSE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run whose next call is committed as intended, and where it goes.

    `calls` are all of the run, `call` among them; `began` is from before the intent, on the boot clock.
    """

    run: Run
    plan: Plan
    portal: Portal
    call: Call
    calls: tuple[Call, ...]
    began: float


class Dispatching:
    """The sending use case of `Acting`, which says what its arguments mean."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        resolving: Resolving,
        rereading: Rereading,
        aside: SettingAside,
        clock: Callable[[], datetime],
        boot_clock: Callable[[], float],
        jitter: Callable[[], float],
        noted: Callable[[PortalName, CallResult], None],
        stopping: Callable[[], bool],
    ) -> None:
        self._ledger = ledger
        self._resolving = resolving
        self._rereading = rereading
        self._aside = aside
        self._clock = clock
        self._boot_clock = boot_clock
        self._jitter = jitter
        self._noted = noted
        self._stopping = stopping
        self._recording = threading.BoundedSemaphore(RECORDED_AT_ONCE)

    def begin(
        self, tx: Tx, run: Run, plan: Plan, portal: Portal, parts: tuple[Part, ...], began: float
    ) -> Begun | None:
        """Admit a run in the transaction that claims it, so that its intent costs no commit of its own.

        None where it goes the long way: its ticket has to be read again, it has calls already, or the policy
        does not let it go, of which nothing is written then. `began` is from before the transaction.
        """
        if has_to_be_read(plan, parts):
            return None
        admission = admitting.admit_claimed(
            tx,
            run=run,
            parts=parts,
            lasting=_lasting(plan),
            engine_names=self._resolving.known_names(plan.portal),
        )
        if admission is None or admission.call is None:
            return None
        return Begun(
            run=run, plan=plan, portal=portal, call=admission.call, calls=admission.calls, began=began
        )

    def send_begun(self, begun: Begun) -> None:
        """Send what was admitted with its claim, then what else is planned of it."""
        if self._goes_on(begun.run, self._send(begun)):
            self._send_planned(begun.run, begun.plan, begun.portal, (), begun.calls, first=False)

    def send_all(
        self, run: Run, plan: Plan, portal: Portal, parts: tuple[Part, ...], calls: tuple[Call, ...]
    ) -> None:
        """Send what is still planned of a claimed run, part by part, as long as the policy lets it go.

        `parts` are those that are not frozen yet, else empty, and `calls` all of the run.
        """
        self._send_planned(run, plan, portal, parts, calls, first=True)

    def _send_planned(
        self,
        run: Run,
        plan: Plan,
        portal: Portal,
        parts: tuple[Part, ...],
        calls: tuple[Call, ...],
        *,
        first: bool,
    ) -> None:
        frozen = parts or tuple({call.part.number: call.part for call in calls}.values())
        while True:
            found = self._rereading.look(run, plan, frozen)
            if not isinstance(found, StillWanted):
                self._not_wanted(run, found, calls, first=first)
                return
            began = self._boot_clock()
            try:
                admission = self._ledger.write(
                    admitting.admit,
                    run=run,
                    parts=parts,
                    lasting=_lasting(plan),
                    engine_names=self._resolving.known_names(plan.portal),
                    read_at=found.at,
                )
            except LedgerUnavailable as error:
                # An intent whose COMMIT raised is never sent, whether it was committed or not (S1).
                log.warning("run.not_admitted", run=run.id, reason=str(error))
                self._ledger.persist(sending.close_not_sent, run=run, delay=timedelta(seconds=5))
                return
            if admission.call is None:
                self._not_admitted(run, admission, parts, first=first)
                return
            begun = Begun(
                run=run, plan=plan, portal=portal, call=admission.call, calls=admission.calls, began=began
            )
            if not self._goes_on(run, self._send(begun)):
                return
            parts, first = (), False

    def _goes_on(self, run: Run, following: Next) -> bool:
        """Say whether the next part of a run is to be sent now; give the run back where it is to wait."""
        if following.state is not RunState.SENDING:
            return False
        if self._stopping():
            self._aside.give_back(run, timedelta(), None)
            return False
        return True

    def _not_wanted(
        self, run: Run, found: NotWanted | NotRead, calls: tuple[Call, ...], *, first: bool
    ) -> None:
        if isinstance(found, NotRead):
            log.info("run.ticket_not_read", run=run.id, reason=found.reason)
            self._aside.give_back(run, found.retry_after or UNREAD_PAUSE, Reason.TICKET_NOT_READ)
        elif first:
            self._aside.withdraw(run, found.reason, found.detail, calls)
        else:
            self._aside.give_back(run, timedelta(), None)

    def _not_admitted(self, run: Run, admission: Admission, parts: tuple[Part, ...], *, first: bool) -> None:
        if not first or admission.ruling.verdict is Verdict.READ:
            # A part was answered already: the next claim finds what stands in the way, with the run its own.
            # Or the ledger was so slow that the ticket has to be read again.
            self._aside.give_back(run, timedelta(), None)
        elif admission.ruling.verdict is Verdict.GO:
            self._aside.finish(run, admission.calls)
        else:
            self._aside.ruled_out(run, admission.ruling, admission.calls, parts)

    def _send(self, begun: Begun) -> Next:
        plan, portal, call = begun.plan, begun.portal, begun.call
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
            started=begun.began,
            fresh=True,
        )
        with self._recording:
            return self._take_in(begun, response)

    def _take_in(self, begun: Begun, response: HttpResponse | NoResponse) -> Next:
        run, plan, portal, call = begun.run, begun.plan, begun.portal, begun.call
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
            replace(each, state=result.state, result=result) if each == call else each for each in begun.calls
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
                tell_replay=lambda replay: self._aside.instead_of(replay, run, calls),
            )
        return following


def _lasting(plan: Plan) -> timedelta:
    """Return the longest that an attempt takes, from before its intent to after its answer."""
    return timedelta(seconds=FIRST_BYTE_SECONDS + plan.timeout_seconds + DEADLINE_MARGIN + SLACK_SECONDS)
