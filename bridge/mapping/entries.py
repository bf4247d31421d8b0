"""Reads a mapping's entry in a file into the rule that is in force, with every cross check of names.

It must not look at a ticket, nor leave out of the rule what the file says for safety (rule L2).
"""

from datetime import timedelta
from string import Template

from bridge.mapping import afterwards, approval, asking, bounds, parameters, slack, targets
from bridge.mapping.catalogue import Action, Catalogue
from bridge.mapping.documents import Path as Spot
from bridge.mapping.documents import Place
from bridge.mapping.entry import Entry
from bridge.mapping.parameters import ParamRule, ParamSource
from bridge.mapping.reading import Reading, duration
from bridge.mapping.rules import MappingRule, PortalRule
from bridge.mapping.wording import nearest, shortened
from bridge.models import (
    EventKind,
    Json,
    Layer,
    Limit,
    MappingId,
    Mode,
    PortalName,
    Repeat,
    SourceKind,
    SourceName,
    Visibility,
)

# Names that a comment's first line may use.
INTRO_NAMES = ("action", "count", "devices", "person", "ticket")


def build(entry: Entry, catalogue: Catalogue | None) -> MappingRule | None:
    """Return the mapping of an entry, or None after noting why there can be none.

    Without a catalogue there is none, and what does not depend on the action is noted all the same.
    """
    source = _source(entry)
    kind = None if source is None else entry.reading.context.sources.get(source)
    events = entry.get("events")
    if events is None:
        entry.reading.key_fault((*entry.spot, "id"), f"mapping '{entry.own['id']}' lacks 'events' (add it)")
    when = asking.when(entry, kind)
    devices = targets.devices(entry, kind)
    visibility, intro = _comment(entry)
    max_age, max_age_of = _max_age(entry)
    again = afterwards.send_again(entry, max_age)
    after = afterwards.write_backs(entry, kind)
    action = None if catalogue is None else _action(entry, catalogue)
    if action is None:
        return None
    portal = _portal(entry, action, kind)
    params = _params(entry, action, kind)
    owner = targets.owner(entry, action)
    max_devices, max_devices_of = _max_devices(entry, action)
    demand = approval.rule(entry, action)
    limits = _limits(entry, action)
    slack.of_mapping(entry, limits, max_devices=(max_devices, max_devices_of), max_age=(max_age, max_age_of))
    if source is None or events is None or None in (when, devices, portal, params):
        return None
    assert when is not None
    assert devices is not None
    assert portal is not None
    assert params is not None
    return MappingRule(
        id=MappingId(entry.own["id"]),
        source=source,
        events=tuple(EventKind(event) for event in events),
        when=when,
        repeat=Repeat(entry.get("repeat", Repeat.NEVER)),
        action=action,
        portal=portal,
        devices=devices,
        params=params,
        owner=owner,
        max_devices=max_devices,
        max_devices_of=max_devices_of,
        max_age=max_age,
        max_age_of=max_age_of,
        limits=limits,
        approval=demand,
        send_again=again,
        after=after,
        mode=Mode(entry.get("mode", Mode.SHADOW)),
        visibility=visibility,
        intro=intro,
        place=place_of(entry),
    )


def place_of(entry: Entry) -> Place:
    """Return where a mapping's identifier stands."""
    return entry.reading.document.place((*entry.spot, "id"))


def _max_devices(entry: Entry, action: Action) -> tuple[int, Layer]:
    """Return the most devices of a run, and whose bound that is."""
    bounds = [(entry.reading.context.max_devices, Layer.BRIDGE)]
    if action.max_devices is not None:
        bounds.append((action.max_devices, Layer.ACTION))
    own = entry.group("limits").get("max_devices")
    # More than the mapping's own number needs approval then, and `approval` sees to that.
    if own is not None and entry.own["devices"].get("if_too_many") != "approval":
        bounds.append((int(own), Layer.MAPPING))
    return min(bounds, key=lambda bound: bound[0])


def _max_age(entry: Entry) -> tuple[timedelta, Layer]:
    bounds = [(entry.reading.context.max_age, Layer.BRIDGE)]
    limits = entry.group("limits")
    if "max_age" in limits:
        bounds.append((duration(limits["max_age"]), Layer.MAPPING))
    return min(bounds, key=lambda bound: bound[0])


def _limits(entry: Entry, action: Action) -> tuple[Limit, ...]:
    own = bounds.read(entry.group("limits"), Layer.MAPPING)
    return (*entry.reading.context.limits, *action.limits, *own)


def _source(entry: Entry) -> SourceName | None:
    name = entry.get("source")
    if name is None:
        entry.reading.key_fault(
            (*entry.spot, "id"), f"mapping '{entry.own['id']}' lacks 'source' (add it, or to 'defaults')"
        )
        return None
    known = entry.reading.context.sources
    if name not in known:
        entry.reading.fault(entry.at("source"), f"unknown source '{name}' ({nearest(name, known)})")
        return None
    return SourceName(name)


def _action(entry: Entry, catalogue: Catalogue) -> Action | None:
    name = entry.own["action"]
    action = catalogue.actions.get(name)
    if action is None and name not in catalogue.broken:
        known = [*catalogue.actions, *catalogue.broken]
        entry.reading.fault((*entry.spot, "action"), f"unknown action '{name}' ({nearest(name, known)})")
    return action


def _portal(entry: Entry, action: Action, kind: SourceKind | None) -> PortalRule | None:
    chosen = entry.get("portal")
    if chosen is None:
        if len(action.uids) == 1:
            return PortalRule(fixed=action.portals[0])
        if action.uids:
            entry.reading.key_fault(
                (*entry.spot, "action"),
                f"action '{action.name}' is on several portals (add 'portal': {', '.join(action.portals)})",
            )
        return None
    spot = entry.at("portal")
    if isinstance(chosen, str):
        return PortalRule(fixed=PortalName(chosen)) if _on_portal(chosen, spot, entry, action) else None
    path = entry.path(chosen["from"], (*spot, "from"), kind)
    table = chosen["map"]
    right = [_on_portal(name, (*spot, "map", value), entry, action) for value, name in table.items()]
    if path is None or not all(right):
        return None
    return PortalRule(path=path, table=tuple((value, PortalName(name)) for value, name in table.items()))


def _on_portal(name: str, spot: Spot, entry: Entry, action: Action) -> bool:
    if name in action.portals:
        return True
    entry.reading.fault(
        spot, f"action '{action.name}' has no portal '{name}' ({nearest(name, action.portals)})"
    )
    return False


def _params(entry: Entry, action: Action, kind: SourceKind | None) -> tuple[ParamSource, ...] | None:
    data = entry.own.get("params", {})
    found = [_param(name, one, entry, action, kind) for name, one in data.items()]
    for rule in action.params:
        if rule.required and rule.default is None and rule.name not in data:
            entry.reading.key_fault(
                (*entry.spot, "params") if data else (*entry.spot, "action"),
                f"action '{action.name}' needs a value for '{rule.name}' (add it under 'params')",
            )
    sources = tuple(source for source in found if source is not None)
    return sources if len(sources) == len(found) else None


def _param(
    name: str, data: Json, entry: Entry, action: Action, kind: SourceKind | None
) -> ParamSource | None:
    spot = (*entry.spot, "params", name)
    rule = action.param(name)
    if rule is None:
        known = [one.name for one in action.params]
        text = f"action '{action.name}' has no parameter '{name}' ({nearest(name, known)})"
        entry.reading.key_fault(spot, text)
        return None
    table = data.get("map")
    fixed = [(key, data[key]) for key in ("value", "other", "default") if key in data]
    for key, value in fixed:
        _allow(rule, value, (*spot, key), entry.reading)
    for key, value in (table or {}).items():
        _allow(rule, value, (*spot, "map", key), entry.reading)
    if "from" not in data:
        return ParamSource(name=name, value=data["value"])
    if not rule.limited:
        place = f"{rule.place.file}:{rule.place.line}"
        text = (
            f"'{name}' is filled from a ticket but has neither one_of, pattern nor shape (add one in {place})"
        )
        entry.reading.key_fault(spot, text)
    path = entry.path(data["from"], (*spot, "from"), kind)
    if path is None:
        return None
    return ParamSource(
        name=name,
        path=path,
        table=None if table is None else tuple(table.items()),
        other=data.get("other"),
        default=data.get("default"),
    )


def _allow(rule: ParamRule, value: str, spot: Spot, reading: Reading) -> None:
    """Note a value of the file that the catalogue does not allow."""
    why = parameters.refusal(rule, value)
    if why is not None:
        reading.fault(
            spot, f"'{shortened(value)}' is not allowed for '{rule.name}': {why} (see {rule.place})"
        )


def _comment(entry: Entry) -> tuple[Visibility, str | None]:
    data = entry.group("comment")
    intro = data.get("intro")
    if intro is not None:
        template = Template(intro)
        spot = entry.at("comment", "intro")
        if not template.is_valid():
            entry.reading.fault(spot, "a '$' in 'intro' begins no name (write $$ for a dollar sign)")
        else:
            for name in template.get_identifiers():
                if name not in INTRO_NAMES:
                    entry.reading.fault(spot, f"unknown name '${name}' ({nearest(name, INTRO_NAMES)})")
    return Visibility(data.get("visibility", Visibility.INTERNAL)), intro
