"""Takes one claimed run as far as it goes now: set aside, resolved to its parts, or sent.

It must not send by itself; `dispatching` does, once nothing stands in the way.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

import structlog

from bridge import retries
from bridge.connections import Connections, Portal
from bridge.dispatching import Begun, Dispatching
from bridge.errors import LedgerUnavailable, LostOwnership, Reason
from bridge.ledger import Ledger, Tx, admitting, sessions
from bridge.mapping.language import MappingSet
from bridge.mapping.withdrawing import narrowed
from bridge.models import (
    Call,
    CallResult,
    CallState,
    Part,
    Plan,
    PortalName,
    Problem,
    Run,
)
from bridge.nexthink.resolution import parts as split_into_parts
from bridge.policy import Verdict
from bridge.rereading import Rereading
from bridge.resolving import Later, Resolving
from bridge.sending_again import takes_back, takes_back_by_count
from bridge.setting_aside import SettingAside

log = structlog.get_logger(__name__)

Beginning: TypeAlias = Callable[[Tx, Run], Begun | None]


class Acting:
    """The acting use case. `boot_clock` counts suspension; `jitter` gives a number in [0, 1).

    `noted` is told how each call to a portal ended, for the worker's care of portals that do not answer.
    `stopping` says that this worker begins nothing more, because it ends or its host is paused: the parts of
    a run that are left wait. `mapping_set` gives the rules in force, which may have become narrower;
    without them nothing is sent.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        connections: Callable[[], Connections],
        resolving: Resolving,
        rereading: Rereading,
        clock: Callable[[], datetime],
        boot_clock: Callable[[], float],
        jitter: Callable[[], float],
        mapping_set: Callable[[], MappingSet | None],
        noted: Callable[[PortalName, CallResult], None],
        stopping: Callable[[], bool],
        aside: SettingAside,
    ) -> None:
        self._ledger = ledger
        self._connections = connections
        self._resolving = resolving
        self._clock = clock
        self._boot_clock = boot_clock
        self._jitter = jitter
        self._mapping_set = mapping_set
        self._noted = noted
        self._aside = aside
        self._dispatching = Dispatching(
            ledger=ledger,
            resolving=resolving,
            rereading=rereading,
            aside=self._aside,
            clock=clock,
            boot_clock=boot_clock,
            jitter=jitter,
            noted=noted,
            stopping=stopping,
        )

    def beginning(self) -> Beginning:
        """Return what admits runs in the transaction that claims them; to be made before it begins.

        A run goes this way where nothing outside has to be asked before it is sent, and nothing stands in its
        way. All others it leaves as they were claimed.
        """
        began = self._boot_clock()
        connections, mapping_set = self._connections(), self._mapping_set()

        def begin(tx: Tx, run: Run) -> Begun | None:
            portal = connections.portals.get(run.plan.portal) if run.plan else None
            if (
                run.plan is None
                or portal is None
                or mapping_set is None
                or run.crashes
                or run.ticket.source not in connections.sources
            ):
                return None
            resolved = self._resolving.at_hand(run.plan, portal)
            if resolved is None:
                return None
            parts = split_into_parts(resolved, portal.config.max_devices_per_call)
            plan = narrowed(run.plan, resolved.devices, mapping_set)
            if isinstance(plan, Problem):
                return None
            return self._dispatching.begin(tx, replace(run, plan=plan), plan, portal, parts, began)

        return begin

    def act(self, run: Run, begun: Begun | None = None) -> None:
        """Take a claimed run as far as it goes now; every way out leaves it in a recorded state.

        `begun` where it was admitted with its claim.
        """
        try:
            if begun is not None:
                self._dispatching.send_begun(begun)
            else:
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
        portal = self._connections().portals.get(plan.portal)
        try:
            calls, ruling = self._ledger.read(
                admitting.first_look,
                run=run,
                engine_names=self._resolving.known_names(plan.portal),
                looks_up=portal is not None and portal.config.nxql_url is not None,
            )
        except LedgerUnavailable:
            self._aside.give_back(run, timedelta(seconds=5), Reason.LEDGER_UNAVAILABLE)
            return
        if run.crashes >= sessions.CRASHES:
            self._aside.bury(run, calls)
        elif portal is None:
            problem = Problem(reason=Reason.NO_PORTAL, place="portal", detail=_not_configured(plan))
            self._aside.refuse(run, problem, calls)
        elif ruling.verdict is not Verdict.GO:
            self._aside.ruled_out(run, ruling, calls)
        elif (mapping_set := self._mapping_set()) is None:
            # What cannot be held against the rules of now is not sent: a newer version may have them.
            log.warning("run.no_mapping_set", run=run.id)
            self._aside.give_back(run, timedelta(seconds=5), None)
        else:
            parts = () if calls else self._parts(run, plan, portal)
            narrower = None if parts is None else self._narrowed(run, plan, parts, calls, mapping_set)
            if parts is not None and narrower is not None:
                self._dispatching.send_all(replace(run, plan=narrower), narrower, portal, parts, calls)

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

    def _narrowed(
        self,
        run: Run,
        plan: Plan,
        parts: tuple[Part, ...],
        calls: tuple[Call, ...],
        mapping_set: MappingSet,
    ) -> Plan | None:
        """Return the plan as the rules of now bound it; None where they ended the run."""
        frozen = parts or tuple(call.part for call in calls)
        devices = {device.uid: device for part in frozen for device in part.devices}
        narrower = narrowed(plan, tuple(devices.values()), mapping_set)
        if isinstance(narrower, Plan) and takes_back(plan, narrower, calls):
            detail = "the action is not repeatable any more, and an Engine that timed out may have acted"
            narrower = Problem(reason=Reason.WITHDRAWN, place="engines", detail=detail)
        # What a person asked for or released is theirs, and no longer the mapping's own.
        own = run.reason is not Reason.BY_OPERATOR
        if own and isinstance(narrower, Plan) and takes_back_by_count(plan, narrower, calls):
            detail = "its mapping sends again fewer times now, or not at all"
            narrower = Problem(reason=Reason.WITHDRAWN, place="send_again", detail=detail)
        if isinstance(narrower, Problem):
            self._aside.refuse(run, narrower, calls)
            return None
        return narrower

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
        log.warning("run.lookup_later", run=run.id, reason=later.reason, attempt=run.tries)
        self._aside.look_up_later(run, max(again.at - now, timedelta()), later.reason, later.detail)


def _not_configured(plan: Plan) -> str:
    return f"portal {plan.portal} is not configured any more"
