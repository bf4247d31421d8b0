"""The requests of a run: those made, those that would be, or why there are none; never a password."""

from collections.abc import Callable
from typing import Any

import pytest

from bridge import previewing
from bridge.models import (
    Call,
    CallState,
    Device,
    DeviceKey,
    DeviceUid,
    EngineUid,
    Part,
    Plan,
    PortalName,
    RunId,
)
from bridge.nexthink import PortalConfig

MAIN = PortalName("main")
PORTAL = PortalConfig(
    name=MAIN,
    base_url="https://portal.example.com/",
    username="bridge",
    password="canary-5f3a",
    nxql_url="https://{address}/nxql",
)
PART = Part(
    number=2,
    devices=(Device(uid=DeviceUid("d" * 32), name="WS-1"),),
    engines=(EngineUid("e" * 32),),
)


@pytest.fixture
def requests(make_plan: Callable[..., Plan]) -> Callable[..., previewing.Requests]:
    def of(portals: Any, calls: tuple[Call, ...] = (), parts: tuple[Part, ...] = ()) -> previewing.Requests:
        plan = make_plan(portal=MAIN, devices=("WS-1",), by=DeviceKey.NAME)
        return previewing.of_run(RunId("r1"), plan, portals, calls=calls, parts=parts)

    return of


def test_each_call_has_the_request_with_its_own_devices_and_engines(requests: Any) -> None:
    calls = tuple(Call(run=RunId("r1"), part=PART, attempt=n, state=CallState.UNKNOWN) for n in (1, 2))
    found = requests({MAIN: PORTAL}, calls=calls)
    assert [one.body["requestUid"] for one in found.made] == ["r1-2-1", "r1-2-2"]
    assert found.made[0].url == "https://portal.example.com/api/remoteaction/v2/run"
    assert found.made[0].body["deviceUids"] == ["d" * 32]
    assert found.made[0].body["engineDatabaseUids"] == ["e" * 32]
    assert found.planned == ()
    assert "canary" not in repr(found)


def test_what_was_frozen_for_an_approval_is_what_would_be_sent(requests: Any) -> None:
    (planned,) = requests({MAIN: PORTAL}, parts=(PART,)).planned
    assert planned.body["requestUid"] == "r1-2-1"
    assert planned.body["deviceUids"] == ["d" * 32]


def test_what_is_not_looked_up_yet_stands_in_brackets(requests: Any) -> None:
    (planned,) = requests({MAIN: PORTAL}).planned
    assert planned.body["requestUid"] == "r1-1-1"
    assert planned.body["deviceUids"] == ["<UID of WS-1>"]


def test_where_nothing_can_be_looked_up_it_is_said_why_nothing_would_be_sent(requests: Any) -> None:
    blind = PortalConfig(name=MAIN, base_url=PORTAL.base_url, username="bridge", password="canary-5f3a")
    found = requests({MAIN: blind})
    assert found.made == found.planned == ()
    assert found.missing.startswith("Nothing would be sent: ")


def test_of_a_portal_that_is_not_configured_any_more_it_is_said(requests: Any) -> None:
    found = requests({}, parts=(PART,))
    assert found.made == found.planned == ()
    assert "main is not configured any more" in found.missing
