"""The dialects and the transport together, over real sockets, against the simulated portal."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge.errors import Reason
from bridge.mapping.fences import breach
from bridge.models import (
    CallResult,
    CallState,
    DeviceFence,
    DeviceKey,
    Engine,
    EngineChoice,
    EngineCode,
    FoundDevice,
    HttpRequest,
    HttpResponse,
    IfSeveral,
    NoResponse,
    Plan,
    PortalName,
    Problem,
)
from bridge.nexthink import LookupFailure, PortalConfig, act, engines, nxql, resolution
from bridge.sandbox import credentials
from bridge.sandbox.nexthink.world import NOT_MANUAL, REPAIR_OFFICE
from bridge.sandbox.running import Sandbox
from bridge.transport import Transport

Make = Callable[..., Plan]


class Portal:
    """A portal that is asked the way the bridge asks it."""

    def __init__(self, sandbox: Sandbox, **settings: Any) -> None:
        self.config = PortalConfig(
            name=PortalName("main"),
            base_url=sandbox.nexthink_url,
            username=credentials.NEXTHINK_USERNAME,
            password=settings.pop("password", credentials.NEXTHINK_PASSWORD),
            nxql_url=sandbox.nxql_url,
            **settings,
        )
        self.transport = Transport(ca_file=None)

    def send(self, request: HttpRequest, *, fresh: bool = False) -> HttpResponse | NoResponse:
        return self.transport.send(request, deadline=10, fresh=fresh)

    def engines(self) -> tuple[Engine, ...]:
        listed = engines.read_list(self.send(engines.list_request(self.config)))
        assert isinstance(listed, tuple)
        return listed

    def find(self, plan: Plan, engine: Engine, device: str) -> tuple[FoundDevice, ...]:
        if plan.by is DeviceKey.NAME:
            answer = self.send(nxql.device_query(self.config, engine, device))
            found = nxql.read_devices(answer, name=device, engine=engine)
        else:
            answer = self.send(nxql.uid_query(self.config, engine, device))
            found = nxql.read_device(answer, device=device, engine=engine)
        assert not isinstance(found, LookupFailure), found
        return found

    def resolve(self, plan: Plan) -> resolution.Resolved | Problem:
        known = self.engines()
        scope = resolution.engines_to_ask(plan, known)
        assert isinstance(scope, tuple)
        found = [
            row for engine in scope for device in plan.devices for row in self.find(plan, engine, device)
        ]
        return resolution.choose(plan, tuple(found), known, frozenset(one.uid for one in scope), breach)

    def run(self, plan: Plan) -> list[CallResult]:
        resolved = self.resolve(plan)
        assert isinstance(resolved, resolution.Resolved)
        names = {engine.uid: engine.name for engine in self.engines()}
        results = []
        for part in resolution.parts(resolved, self.config.max_devices_per_call):
            request = act.run_request(
                self.config,
                request_uid=f"r1-{part.number}-1",
                remote_action_uid=plan.remote_action_uid,
                part=part,
                timeout_seconds=5,
                params=plan.params,
            )
            results.append(act.decipher(self.config, self.send(request, fresh=True), part, names))
        return results


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def portal(sandbox: Sandbox) -> Iterator[Portal]:
    instance = Portal(sandbox)
    yield instance
    instance.transport.close()


def by_name(make: Make, *names: str, **fields: Any) -> Plan:
    given: dict[str, Any] = {
        "devices": names,
        "by": DeviceKey.NAME,
        "engine_choice": EngineChoice.WHERE_FOUND,
        "remote_action_uid": REPAIR_OFFICE,
    }
    return make(**{**given, **fields})


def test_a_name_becomes_a_call_to_the_engine_that_knows_it(portal: Portal, make_plan: Make) -> None:
    (result,) = portal.run(by_name(make_plan, "WS-ABC-12345", params=(("Mode", "silent"),)))
    assert result.state is CallState.ANSWERED
    assert [outcome.code for outcome in result.outcomes] == [EngineCode.OK]
    assert result.outcomes[0].name in {engine.name for engine in portal.engines()}


def test_a_uid_is_looked_up_with_the_shipped_query(portal: Portal, make_plan: Make) -> None:
    named = portal.resolve(by_name(make_plan, "WS-ABC-12345"))
    assert isinstance(named, resolution.Resolved)
    by_uid = portal.resolve(by_name(make_plan, named.devices[0].uid, by=DeviceKey.UID))
    assert by_uid == named


def test_an_unknown_name_is_not_found(portal: Portal, make_plan: Make) -> None:
    problem = portal.resolve(by_name(make_plan, "WS-ZZZ-99999"))
    assert isinstance(problem, Problem)
    assert problem.reason is Reason.DEVICE_NOT_FOUND


def test_the_fence_holds_what_the_engine_returned(portal: Portal, make_plan: Make) -> None:
    fenced = by_name(make_plan, "WS-ABC-12345", fence=DeviceFence(names="SRV-.*"))
    problem = portal.resolve(fenced)
    assert isinstance(problem, Problem)
    assert problem.reason is Reason.DEVICE_REFUSED


def test_all_engines_answer_when_none_are_named(portal: Portal, make_plan: Make) -> None:
    plan = by_name(make_plan, "WS-ABC-12345", engine_choice=EngineChoice.ALL, if_several=IfSeveral.ALL)
    (result,) = portal.run(plan)
    assert len(result.outcomes) == sum(engine.connected for engine in portal.engines())


def test_an_action_that_is_not_manual_is_refused(portal: Portal, make_plan: Make) -> None:
    (result,) = portal.run(by_name(make_plan, "WS-ABC-12345", remote_action_uid=NOT_MANUAL))
    assert (result.state, result.error_code) == (CallState.REFUSED, "NO_MANUAL_EXECUTION")


def test_a_wrong_password_is_told_as_such(sandbox: Sandbox) -> None:
    stranger = Portal(sandbox, password="wrong")
    failure = engines.read_list(stranger.send(engines.list_request(stranger.config)))
    stranger.transport.close()
    assert isinstance(failure, LookupFailure)
    assert failure.reason is Reason.UNAUTHORIZED
