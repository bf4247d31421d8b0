"""Values that the tests of the Nexthink dialects start from."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.models import (
    CommentStyle,
    Device,
    DeviceFence,
    DeviceKey,
    DeviceUid,
    Engine,
    EngineChoice,
    EngineUid,
    IfSeveral,
    IfSomeMissing,
    MappingId,
    Mode,
    Part,
    Plan,
    PortalName,
    Repeat,
    SourceName,
    TicketRef,
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
def plan() -> Callable[..., Plan]:
    """Make a plan from what differs."""

    def make(**fields: Any) -> Plan:
        given: dict[str, Any] = {
            "mapping": MappingId("office"),
            "mapping_set": "set",
            "mode": Mode.LIVE,
            "repeat": Repeat.NEVER,
            "action": "repair-office",
            "title": "Repair Microsoft Office",
            "remote_action_uid": "07844969-1889-4de3-9026-020af94be855",
            "portal": PortalName("main"),
            "devices": ("WS-1",),
            "by": DeviceKey.NAME,
            "fence": DeviceFence(),
            "if_several": IfSeveral.STOP,
            "if_some_missing": IfSomeMissing.STOP,
            "max_devices": 5,
            "engine_choice": EngineChoice.WHERE_FOUND,
            "engines": (),
            "params": (),
            "timeout_seconds": 60,
            "repeatable": False,
            "max_age": timedelta(hours=1),
            "style": CommentStyle(),
            "ticket": TicketRef(source=SourceName("jira"), uid="1", key="SUP-1"),
            "asked_by": None,
            "occurred_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
        return Plan(**{**given, **fields})

    return make
