"""Turns device names, or whose devices they are, into UIDs and Engines by asking the portal.

It only reads and may be repeated; it must not send an action. An Engine in scope that does not answer means
no answer at all (S10).
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from bridge.connections import Connections, Portal
from bridge.errors import Reason
from bridge.mapping.fences import breach
from bridge.models import (
    DeviceKey,
    DeviceUser,
    Engine,
    EngineChoice,
    EngineUid,
    FoundDevice,
    HttpRequest,
    HttpResponse,
    NoResponse,
    Plan,
    PortalName,
    Problem,
)
from bridge.nexthink import LookupFailure, nxql, resolution, users
from bridge.nexthink import engines as engine_list
from bridge.nexthink.resolution import Resolved

# Seconds for one question to a portal or an Engine.
REQUEST_SECONDS = 30.0
# Seconds for which a list of Engines is believed.
ENGINES_SECONDS = 60.0
# Questions to Engines at the same time, for one run.
AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """The question could not be answered now; it may be asked again.

    `engine` is the Engine that gave no answer; None where it was the portal.
    """

    reason: Reason
    detail: str
    engine: EngineUid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    engines: tuple[Engine, ...]
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is asked of every Engine, and how its answer is read."""

    request: Callable[[Engine], HttpRequest]
    read: Callable[[HttpResponse | NoResponse, Engine], tuple[FoundDevice, ...] | LookupFailure]


class Resolving:
    """The resolving use case; it remembers each portal's Engines for a minute."""

    def __init__(self, *, connections: Callable[[], Connections], clock: Callable[[], datetime]) -> None:
        self._connections = connections
        self._clock = clock
        self._listed: dict[PortalName, _Listed] = {}
        self._lock = threading.Lock()

    def resolve(self, plan: Plan) -> Resolved | Problem | Later:
        """Return the targets of a plan, why there are none, or that nobody could say."""
        portal = self._connections().portals[plan.portal]
        engines = self.engines(plan.portal)
        if portal.config.nxql_url is None:
            # The list is for names in comments then, unless the catalogue itself names Engines.
            if isinstance(engines, Later) and plan.engine_choice is EngineChoice.NAMED:
                return engines
            return resolution.without_lookup(plan, () if isinstance(engines, Later) else engines)
        if isinstance(engines, Later):
            return engines
        asked = resolution.engines_to_ask(plan, engines)
        if isinstance(asked, Problem):
            return _or_later(asked)
        found = self._ask(portal, asked, plan)
        if isinstance(found, Later):
            return found
        answered = frozenset(engine.uid for engine in asked)
        return _or_later(resolution.choose(plan, found, engines, answered, breach))

    def at_hand(self, plan: Plan, portal: Portal) -> Resolved | None:
        """Return the targets of a plan for its portal where nobody has to be asked for them, else None."""
        engines = self._fresh(plan.portal)
        if engines is None or portal.config.nxql_url is not None:
            return None
        resolved = resolution.without_lookup(plan, engines)
        return resolved if isinstance(resolved, Resolved) else None

    def _fresh(self, name: PortalName) -> tuple[Engine, ...] | None:
        with self._lock:
            known = self._listed.get(name)
        return known.engines if known is not None and known.until > time.monotonic() else None

    def engines(self, name: PortalName) -> tuple[Engine, ...] | Later:
        """Return a portal's Engines, from memory where it is fresh."""
        known = self._fresh(name)
        if known is not None:
            return known
        listed = self.ask_engines(name)
        if not isinstance(listed, Later):
            with self._lock:
                self._listed[name] = _Listed(engines=listed, until=time.monotonic() + ENGINES_SECONDS)
        return listed

    def ask_engines(self, name: PortalName) -> tuple[Engine, ...] | Later:
        """Ask a portal for its Engines; also the read-only probe of a portal that did not answer (W4)."""
        portal = self._connections().portals[name]
        response = portal.transport.send(engine_list.list_request(portal.config), deadline=REQUEST_SECONDS)
        answer = engine_list.read_list(response)
        if isinstance(answer, LookupFailure):
            return Later(reason=answer.reason, detail=answer.detail)
        return answer

    def engine_names(self, name: PortalName) -> Mapping[EngineUid, str]:
        """Return the names of a portal's Engines as far as they are known, without asking."""
        with self._lock:
            known = self._listed.get(name)
        return {engine.uid: engine.name for engine in known.engines} if known else {}

    def known_names(self, name: PortalName) -> tuple[tuple[EngineUid, str], ...]:
        """Return the same as pairs, for the policy."""
        return tuple(self.engine_names(name).items())

    def _ask(
        self, portal: Portal, engines: tuple[Engine, ...], plan: Plan
    ) -> tuple[FoundDevice, ...] | Later:
        now = self._clock()
        asked = plan.devices if plan.by is not DeviceKey.USER else ()
        questions = [_device_question(portal, plan.by, device) for device in asked]
        if plan.user is not None:
            questions.append(_user_question(portal, plan.user, now))
        pairs = [(engine, question) for engine in engines for question in questions]
        with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(pairs))) as pool:
            answers = list(pool.map(lambda pair: _ask_one(portal, *pair), pairs))
        found: list[FoundDevice] = []
        for answer in answers:
            if isinstance(answer, Later):
                return answer
            found += answer
        return tuple(found)


def _device_question(portal: Portal, by: DeviceKey, device: str) -> _Question:
    if by is DeviceKey.NAME:
        return _Question(
            request=lambda engine: nxql.device_query(portal.config, engine, device),
            read=lambda response, engine: nxql.read_devices(response, name=device, engine=engine),
        )
    return _Question(
        request=lambda engine: nxql.uid_query(portal.config, engine, device),
        read=lambda response, engine: nxql.read_device(response, device=device, engine=engine),
    )


def _user_question(portal: Portal, user: DeviceUser, now: datetime) -> _Question:
    return _Question(
        request=lambda engine: users.user_query(portal.config, engine, user),
        read=lambda response, engine: users.read_used_devices(
            portal.config, response, user=user, engine=engine, now=now
        ),
    )


def _ask_one(portal: Portal, engine: Engine, question: _Question) -> tuple[FoundDevice, ...] | Later:
    if not engine_list.allowed(portal.config, engine):
        detail = f"the address of {engine.name} is outside ENGINE_HOSTS of portal {portal.config.name}"
        return Later(reason=Reason.LOOKUP_FAILED, detail=detail, engine=engine.uid)
    response = portal.transport.send(question.request(engine), deadline=REQUEST_SECONDS)
    answer = question.read(response, engine)
    if isinstance(answer, LookupFailure):
        return Later(reason=answer.reason, detail=f"{engine.name}: {answer.detail}", engine=engine.uid)
    return answer


def _or_later(result: Resolved | Problem) -> Resolved | Problem | Later:
    """Tell a problem that may pass by itself from one that refuses the run."""
    if isinstance(result, Problem) and result.reason is Reason.LOOKUP_FAILED:
        return Later(reason=result.reason, detail=result.detail)
    return result
