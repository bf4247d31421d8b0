"""Turns a plan's device names into UIDs and Engines by asking the portal; read-only, may be repeated.

It must not send an action. An Engine in scope that does not answer means no answer at all (S10).
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bridge.connections import Connections, Portal
from bridge.errors import Reason
from bridge.models import DeviceKey, Engine, EngineUid, FoundDevice, NoResponse, Plan, PortalName, Problem
from bridge.nexthink import engines as engine_list
from bridge.nexthink import nxql
from bridge.nexthink.resolution import Resolved, choose

# Seconds for one question to a portal or an Engine.
REQUEST_SECONDS = 30.0
# Seconds for which a list of Engines is believed.
ENGINES_SECONDS = 60.0
# Questions to Engines at the same time, for one run.
AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """The question could not be answered now; it may be asked again."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    engines: tuple[Engine, ...]
    until: float


class Resolving:
    """The resolving use case; it remembers each portal's Engines for a minute."""

    def __init__(self, *, connections: Callable[[], Connections]) -> None:
        self._connections = connections
        self._listed: dict[PortalName, _Listed] = {}
        self._lock = threading.Lock()

    def resolve(self, plan: Plan) -> Resolved | Problem | Later:
        """Return the targets of a plan, why there are none, or that nobody could say."""
        portal = self._connections().portals[plan.portal]
        engines = self.engines(plan.portal)
        if portal.config.nxql_url is None:
            listed = () if isinstance(engines, Later) else engines
            return choose(plan, portal=portal.config, found=(), engines=listed)
        if isinstance(engines, Later):
            return engines
        asked = [engine for engine in engines if engine.connected]
        found = self._ask(portal, asked, plan)
        if isinstance(found, Later):
            return found
        return choose(plan, portal=portal.config, found=found, engines=engines)

    def engines(self, name: PortalName) -> tuple[Engine, ...] | Later:
        """Return a portal's Engines, from memory where it is fresh."""
        with self._lock:
            known = self._listed.get(name)
        if known is not None and known.until > time.monotonic():
            return known.engines
        listed = self.ask_engines(name)
        if not isinstance(listed, Later):
            with self._lock:
                self._listed[name] = _Listed(engines=listed, until=time.monotonic() + ENGINES_SECONDS)
        return listed

    def ask_engines(self, name: PortalName) -> tuple[Engine, ...] | Later:
        """Ask a portal for its Engines; also the read-only probe of a portal that did not answer (W4)."""
        portal = self._connections().portals[name]
        response = portal.transport.send(engine_list.list_request(portal.config), deadline=REQUEST_SECONDS)
        if isinstance(response, NoResponse):
            return Later(reason=response.reason, detail=response.detail)
        answer = engine_list.read_engines(response)
        if isinstance(answer, engine_list.LookupFailure):
            return Later(reason=answer.reason, detail=answer.detail)
        return answer

    def engine_names(self, name: PortalName) -> Mapping[EngineUid, str]:
        """Return the names of a portal's Engines as far as they are known, without asking."""
        with self._lock:
            known = self._listed.get(name)
        return {engine.uid: engine.name for engine in known.engines} if known else {}

    def _ask(self, portal: Portal, engines: list[Engine], plan: Plan) -> tuple[FoundDevice, ...] | Later:
        questions = [(engine, device) for engine in engines for device in plan.devices]
        if not questions:
            return Later(reason=Reason.LOOKUP_FAILED, detail="the portal has no connected Engine")
        with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(questions))) as pool:
            answers = pool.map(lambda question: self._ask_one(portal, *question, plan.by), questions)
            found: list[FoundDevice] = []
            for answer in answers:
                if isinstance(answer, Later):
                    return answer
                found += answer
        return tuple(found)

    def _ask_one(
        self, portal: Portal, engine: Engine, device: str, by: DeviceKey
    ) -> tuple[FoundDevice, ...] | Later:
        request = nxql.device_query(portal.config, engine, device, by)
        if isinstance(request, engine_list.LookupFailure):
            return Later(reason=request.reason, detail=request.detail)
        response = portal.transport.send(request, deadline=REQUEST_SECONDS)
        if isinstance(response, NoResponse):
            return Later(reason=response.reason, detail=f"{engine.name}: {response.detail}")
        answer = nxql.read_devices(response, asked=device, by=by, engine=engine)
        if isinstance(answer, engine_list.LookupFailure):
            return Later(reason=answer.reason, detail=f"{engine.name}: {answer.detail}")
        return answer
