"""The catalogue: which remote actions tickets may start, and the fences around each.

It must not know mappings, nor complete what its owner has not written.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.mapping import parameters
from bridge.mapping.documents import Path as Spot
from bridge.mapping.documents import Place
from bridge.mapping.parameters import ParamRule, Shape
from bridge.mapping.reading import Reading
from bridge.mapping.wording import nearest
from bridge.models import DeviceFence, EngineChoice, Json, PortalName

_DEFAULT_TIMEOUT_SECONDS = 60
_EVERY_NAME = ".*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A remote action. `uids` has one UID for each portal; `max_devices` None leaves it to the others."""

    name: str
    title: str
    uids: tuple[tuple[PortalName, str], ...]
    engine_choice: EngineChoice
    engines: tuple[str, ...]
    fence: DeviceFence
    max_devices: int | None
    timeout_seconds: int
    repeatable: bool
    needs_approval: bool
    params: tuple[ParamRule, ...]
    place: Place

    @property
    def portals(self) -> tuple[PortalName, ...]:
        return tuple(portal for portal, _ in self.uids)

    def param(self, name: str) -> ParamRule | None:
        """Return a declared parameter by its exact name."""
        return next((rule for rule in self.params if rule.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All actions by name. `broken` are names that stand in the file but could not be read."""

    actions: Mapping[str, Action]
    broken: frozenset[str] = frozenset()


def build(reading: Reading, faulty: frozenset[Spot]) -> Catalogue:
    """Return the catalogue of a document; what the schema refused is left out."""
    data = reading.document.data
    entries = data.get("actions") if isinstance(data, dict) else None
    actions: dict[str, Action] = {}
    broken: set[str] = set()
    for name, entry in (entries if isinstance(entries, dict) else {}).items():
        spot: Spot = ("actions", name)
        if any(path[:2] == spot for path in faulty):
            broken.add(name)
        else:
            actions[name] = _action(name, entry, spot, reading)
    return Catalogue(actions=actions, broken=frozenset(broken))


def _action(name: str, entry: Json, spot: Spot, reading: Reading) -> Action:
    choice, engines = _engines(entry.get("engines", "where_found"))
    max_devices = entry.get("max_devices")
    params = entry.get("params", {})
    return Action(
        name=name,
        title=entry["title"],
        uids=_uids(entry, spot, reading),
        engine_choice=choice,
        engines=engines,
        fence=_fence(entry["devices"], (*spot, "devices"), reading),
        max_devices=None if max_devices is None else int(max_devices),
        timeout_seconds=int(entry.get("timeout_seconds", _DEFAULT_TIMEOUT_SECONDS)),
        repeatable=entry.get("repeatable") == "true",
        needs_approval=entry.get("approval") == "required",
        params=tuple(_param(key, params[key], (*spot, "params", key), reading) for key in params),
        place=reading.document.key_place(spot),
    )


def _uids(entry: Json, spot: Spot, reading: Reading) -> tuple[tuple[PortalName, str], ...]:
    portals = reading.context.portals
    if "portals" in entry:
        for name in entry["portals"]:
            if name not in portals:
                reading.key_fault(
                    (*spot, "portals", name), f"unknown portal '{name}' ({nearest(name, portals)})"
                )
        return tuple((PortalName(name), one["uid"].lower()) for name, one in entry["portals"].items())
    named = entry.get("portal")
    if named is None and len(portals) == 1:
        named = portals[0]
    if named is None:
        way_out = "add 'portal'" if portals else "configure one"
        reading.key_fault(
            spot, f"action '{spot[-1]}' names no portal and {len(portals)} are configured ({way_out})"
        )
        return ()
    if named not in portals:
        reading.fault((*spot, "portal"), f"unknown portal '{named}' ({nearest(named, portals)})")
    return ((PortalName(named), entry["uid"].lower()),)


def _engines(chosen: Json) -> tuple[EngineChoice, tuple[str, ...]]:
    if isinstance(chosen, list):
        return EngineChoice.NAMED, tuple(chosen)
    return EngineChoice(chosen), ()


def _fence(entry: Json, spot: Spot, reading: Reading) -> DeviceFence:
    never = entry.get("never", [])
    reading.pattern(entry["names"], (*spot, "names"), ignore_case=True)
    for number, text in enumerate(never):
        reading.pattern(text, (*spot, "never", number), ignore_case=True)
    # A fence that admits every name needs none: it also holds where the name behind a UID is not known.
    names = None if entry["names"] == _EVERY_NAME else entry["names"]
    return DeviceFence(names=names, never=tuple(never))


def _param(name: str, entry: Json, spot: Spot, reading: Reading) -> ParamRule:
    one_of = entry.get("one_of")
    pattern = entry.get("pattern")
    rule = ParamRule(
        name=name,
        one_of=None if one_of is None else tuple(one_of),
        pattern=None if pattern is None else reading.pattern(pattern, (*spot, "pattern")),
        shape=Shape(entry["shape"]) if "shape" in entry else None,
        default=entry.get("default"),
        required=entry.get("required") == "true",
        place=reading.document.key_place(spot),
    )
    if rule.default is not None:
        why = parameters.refusal(rule, rule.default)
        if why is not None:
            reading.fault(
                (*spot, "default"), f"'{rule.default}' is not allowed for '{name}': {why} (correct it)"
            )
    return rule
