"""The tests that stand beside mappings: a sample delivery and what must come of it.

It must not read samples or run anything.
"""

from dataclasses import dataclass

from bridge.errors import Reason
from bridge.mapping.documents import Path as Spot
from bridge.mapping.documents import Place
from bridge.mapping.reading import Reading
from bridge.mapping.wording import nearest
from bridge.models import Json, MappingId, SourceName


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A mapping that must fire; what is None is not compared. `problem`: that nothing can be planned."""

    mapping: MappingId
    devices: tuple[str, ...] | None
    params: tuple[tuple[str, str], ...] | None
    problem: Reason | None
    approval: bool | None
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test. `payload` is the sample's path relative to the folder of the mappings."""

    name: str
    source: SourceName
    payload: str
    expect: tuple[Expected, ...]
    place: Place
    payload_place: Place


def build(data: Json, spot: Spot, reading: Reading) -> Case:
    """Return the test of an entry that its schema has accepted."""
    sources = reading.context.sources
    if data["source"] not in sources:
        way_out = nearest(data["source"], sources)
        reading.fault((*spot, "source"), f"unknown source '{data['source']}' ({way_out})")
    expect = [_expected(one, (*spot, "expect", number), reading) for number, one in enumerate(data["expect"])]
    return Case(
        name=data["name"],
        source=SourceName(data["source"]),
        payload=data["payload"],
        expect=tuple(expect),
        place=reading.document.place((*spot, "name")),
        payload_place=reading.document.place((*spot, "payload")),
    )


def _expected(data: Json, spot: Spot, reading: Reading) -> Expected:
    return Expected(
        mapping=MappingId(data["mapping"]),
        devices=tuple(data["devices"]) if "devices" in data else None,
        params=tuple(sorted(data["params"].items())) if "params" in data else None,
        problem=Reason(data["problem"]) if "problem" in data else None,
        approval=data["approval"] == "true" if "approval" in data else None,
        place=reading.document.place((*spot, "mapping")),
    )
