"""Values that the tests of the Nexthink dialects start from."""

from collections.abc import Callable
from typing import Any

import pytest

from bridge.models import (
    Device,
    DeviceKey,
    DeviceUid,
    Engine,
    EngineChoice,
    EngineUid,
    Part,
    Plan,
    PortalName,
)
from bridge.nexthink import PortalConfig


@pytest.fixture
def portal() -> Callable[..., PortalConfig]:
    """Make a portal's configuration from what differs."""

    def make(**settings: Any) -> PortalConfig:
        given: dict[str, Any] = {
            "name": PortalName("main"),
            "base_url": "https://portal.example.com/",
            "username": "bridge",
            "password": "pässword",
            "nxql_url": "https://{address}:1671/2/query",
            "engine_hosts": (".engines.example.com", "192.0.2.0/24", "2001:db8::/32", "exact.example.com"),
        }
        return PortalConfig(**{**given, **settings})

    return make


@pytest.fixture
def engine() -> Callable[..., Engine]:
    """Make an Engine by its letter: `a` is EngineA, whose UID is 32 times that letter."""

    def make(letter: str, **fields: Any) -> Engine:
        given: dict[str, Any] = {
            "uid": EngineUid(letter * 32),
            "name": f"Engine{letter.upper()}",
            "address": f"{letter}.engines.example.com",
            "connected": True,
        }
        return Engine(**{**given, **fields})

    return make


@pytest.fixture
def part() -> Callable[..., Part]:
    """Make a part for one device, on the Engines of some letters or on all of them."""

    def make(letters: str | None = None) -> Part:
        device = Device(uid=DeviceUid("1" * 32), name="WS-ABC-00001")
        engines = None if letters is None else tuple(EngineUid(letter * 32) for letter in letters)
        return Part(number=1, devices=(device,), engines=engines)

    return make


@pytest.fixture
def plan(make_plan: Callable[..., Plan]) -> Callable[..., Plan]:
    """Make a plan for one device by its name, where it is found, from what differs."""

    def make(**fields: Any) -> Plan:
        given: dict[str, Any] = {
            "devices": ("WS-1",),
            "by": DeviceKey.NAME,
            "engine_choice": EngineChoice.WHERE_FOUND,
        }
        return make_plan(**{**given, **fields})

    return make
