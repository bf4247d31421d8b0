"""What must hold for whatever comes out of a target."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bridge.bootstrap.outside import connect
from bridge.connections import Connections
from bridge.settings import Settings, read_settings

ROOT = Path(__file__).resolve().parents[2]


def see_storable(value: Any) -> None:
    """See that every text in a value can be kept by any ledger: no NUL, no half of a surrogate pair."""
    if isinstance(value, str):
        assert "\x00" not in value, repr(value)
        value.encode("utf-8")
    elif dataclasses.is_dataclass(value):
        see_storable([getattr(value, field.name) for field in dataclasses.fields(value)])
    elif isinstance(value, Mapping):
        see_storable([*value, *value.values()])
    elif isinstance(value, Iterable) and not isinstance(value, bytes):
        for each in value:
            see_storable(each)


def made_up_settings() -> Settings:
    """Return settings that the shipped mappings can be loaded with."""
    return read_settings({"BRIDGE_MAPPINGS": str(ROOT / "mappings")}, ROOT / ".ci" / "check.env")


def made_up_connections() -> Connections:
    """Return the dialects of those settings; what they build requests for is never sent."""
    return connect(made_up_settings())


def samples() -> list[bytes]:
    """Return every webhook that lies in the repository as a sample."""
    folders = (ROOT / "mappings" / "samples", ROOT / "tests" / "samples")
    return [path.read_bytes() for folder in folders for path in sorted(folder.rglob("*.json"))]
