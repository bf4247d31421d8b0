"""The catalogue: which remote actions tickets may start, and the fences around each.

It must not know mappings, nor complete what its owner has not written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from bridge.mapping import bounds, parameters, slack
from bridge.mapping.documents import Path as Spot
from bridge.mapping.documents import Place
from bridge.mapping.parameters import ParamRule, Shape
from bridge.mapping.reading import Reading, duration
from bridge.mapping.wording import nearest
from bridge.models import DeviceFence, EngineChoice, Json, Layer, Limit, PortalName

_DEFAULT_TIMEOUT_SECONDS = 60
_EVERY_NAME = ".*"
_USED_WITHIN = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerFence:
    """Only devices that one account has used lately; `domain` None: its name alone decides."""

    domain: str | None
    used_within: timedelta

    @classmethod
    def read(cls, data: Json) -> "OwnerFence":
        """Return the fence of a group `devices` that its schema has accepted."""
        within = duration(data["used_within"]) if "used_within" in data else _USED_WITHIN
        return cls(domain=data.get("domain"), used_within=within)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A remote action. `uids` has one UID for each portal; `max_devices` None leaves it to the others.

    `approval_above` is the number of devices above which it needs approval; None: it needs none. `owner`
    says that only devices of the ticket's person are inside the fence.
    """

    name: str
    title: str
    uids: tuple[tuple[PortalName, str], ...]
    engine_choice: EngineChoice
    engines: tuple[str, ...]
    fence: DeviceFence
    owner: OwnerFence | None
    max_devices: int | None
    limits: tuple[Limit, ...]
    timeout_seconds: int
    repeatable: bool
    approval_above: int | None
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
    limits = entry.get("limits", {})
    most = [int(group["max_devices"]) for group in (entry, limits) if "max_devices" in group]
    max_devices = min(most, default=None)
    own_limits = bounds.read(limits, Layer.ACTION)
    demand = entry.get("approval", "none")
    slack.of_action(own_limits, demand, max_devices, spot, reading)
    params = entry.get("params", {})
    return Action(
        name=name,
        title=entry["title"],
        uids=_uids(entry, spot, reading),
        engine_choice=choice,
        engines=engines,
        fence=_fence(entry["devices"], (*spot, "devices"), reading),
        owner=OwnerFence.read(entry["devices"]) if "owner" in entry["devices"] else None,
        max_devices=max_devices,
        limits=own_limits,
        timeout_seconds=int(entry.get("timeout_seconds", _DEFAULT_TIMEOUT_SECONDS)),
        repeatable=entry.get("repeatable") == "true",
        approval_above=_approval_above(demand),
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


def _approval_above(demand: Json) -> int | None:
    if isinstance(demand, dict):
        return int(demand["above"])
    return 0 if demand == "required" else None


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
