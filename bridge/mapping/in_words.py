"""Says in words what a mapping waits for, and where what it sends comes from.

It must not look at a ticket, nor say less than the mapping asks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bridge.mapping.catalogue import Action
from bridge.mapping.conditions import Ask, Condition, FieldCondition, Join
from bridge.mapping.parameters import ParamRule, ParamSource
from bridge.mapping.rules import DeviceRule, MappingRule
from bridge.models import DeviceKey, EngineChoice, EventKind, IfSeveral, IfSomeMissing, Mode, Repeat

_EVENTS: Final = {
    EventKind.CREATED: "created",
    EventKind.UPDATED: "updated",
    EventKind.COMMENTED: "commented on",
}
_JOINS: Final = {Join.ALL: "all of these", Join.ANY: "at least one of these", Join.NOT: "not this"}
_MODES: Final = {
    Mode.SHADOW: "only records what it would do (mode shadow)",
    Mode.ANNOUNCE: "only announces in the ticket what it would do (mode announce)",
    Mode.LIVE: "sends (mode live)",
}
_REPEATS: Final = {
    Repeat.NEVER: "once for a ticket, ever",
    Repeat.PER_CHANGE: "once for each such change of a ticket",
}
_KEYS: Final = {
    DeviceKey.NAME: "device names",
    DeviceKey.UID: "device UIDs",
    DeviceKey.USER: "logins whose devices are looked up",
}
_SEVERAL: Final = {
    IfSeveral.STOP: "nothing is sent where several devices bear a name",
    IfSeveral.MOST_RECENT: "of several devices of a name, the one seen last",
    IfSeveral.ALL: "of several devices of a name, all",
}


_ENGINES: Final = {
    EngineChoice.WHERE_FOUND: "those that know the device",
    EngineChoice.ALL: "all that are connected",
    EngineChoice.NAMED: "none",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One condition; `parts` are those that it joins."""

    text: str
    parts: tuple["Clause", ...] = ()


def occasion(rule: MappingRule) -> str:
    """Return what a mapping looks at: `a ticket of 'jira' is created or updated`."""
    return f"a ticket of '{rule.source}' is {' or '.join(_EVENTS[event] for event in rule.events)}"


def clauses(rule: MappingRule) -> tuple[Clause, ...]:
    """Return the conditions, all of which must hold."""
    return tuple(map(_clause, rule.when))


def deed(rule: MappingRule) -> Iterator[tuple[str, str]]:
    """Yield what follows, each as its kind and a text."""
    yield "then", _MODES[rule.mode]
    yield "action", f"{rule.action.title} ({rule.action.name})"
    yield "portal", _portal(rule)
    yield "devices", _devices(rule.devices)
    given = {source.name: source for source in rule.params}
    for param in rule.action.params:
        source = given.get(param.name)
        if source is not None:
            yield f"parameter {param.name}", _value(source)
        elif param.default is not None:
            yield f"parameter {param.name}", f"'{param.default}', the catalogue's default"
    yield "repeat", _REPEATS[rule.repeat]


def of_action(action: Action) -> Iterator[tuple[str, str]]:
    """Yield what the catalogue says of an action, but for its limits, each as its kind and a text."""
    for portal, uid in action.uids:
        yield "remote action", f"{uid} on portal {portal}"
    yield from fence(action)
    if action.max_devices is not None:
        yield "at most", f"{action.max_devices} devices in a run"
    yield "Engines", ", ".join(action.engines) if action.engines else _ENGINES[action.engine_choice]
    for rule in action.params:
        yield f"parameter {rule.name}", _allowed(rule)
    if action.approval_above is not None:
        above = f"on more than {action.approval_above} devices" if action.approval_above else "for every run"
        yield "approval", f"needed {above}"
    yield "timeout", f"{action.timeout_seconds} s for an Engine to answer"
    if action.repeatable:
        yield "repeatable", "yes: it does no harm when it is sent twice"


def fence(action: Action) -> Iterator[tuple[str, str]]:
    """Yield which devices an action may reach at all."""
    yield "device names", "any" if action.fence.names is None else f"only {action.fence.names}"
    yield from (("never", pattern) for pattern in action.fence.never)


def _allowed(rule: ParamRule) -> str:
    words = []
    if rule.one_of is not None:
        words.append("one of " + ", ".join(f"'{text}'" for text in rule.one_of))
    if rule.pattern is not None:
        words.append(f"a text that matches {rule.pattern.text}")
    if rule.shape is not None:
        words.append(f"of shape {rule.shape}")
    if not rule.limited:
        words.append("a value of the mapping alone, never of a ticket")
    if rule.default is not None:
        words.append(f"'{rule.default}' where none is given")
    if rule.required:
        words.append("required")
    return "; ".join(words)


def _clause(condition: Condition) -> Clause:
    if isinstance(condition, FieldCondition):
        return Clause(text=f"{condition.path.text} {_test(condition)}")
    return Clause(text=_JOINS[condition.join], parts=tuple(map(_clause, condition.parts)))


def _test(condition: FieldCondition) -> str:
    quoted = ", ".join(f"'{text}'" for text in condition.texts)
    match condition.test:
        case Ask.EQUALS:
            return f"is {quoted}"
        case Ask.IN:
            return f"is one of {quoted}"
        case Ask.CONTAINS:
            return f"has {quoted} in it"
        case Ask.MATCHES:
            assert condition.pattern is not None
            return f"matches {condition.pattern.text}"
        case Ask.EXISTS:
            return "has a value" if condition.asked else "has no value"
        case Ask.CHANGED:
            return "changed" if condition.asked else "did not change"


def _portal(rule: MappingRule) -> str:
    chosen = rule.portal
    if chosen.path is None:
        return str(chosen.fixed)
    table = ", ".join(f"{portal} for '{value}'" for value, portal in chosen.table)
    return f"chosen by {chosen.path.text}: {table}"


def _devices(rule: DeviceRule) -> str:
    paths = " and ".join(path.text for path in rule.paths)
    words = [f"the {_KEYS[rule.by]} at {paths}"]
    if rule.split is not None:
        words.append(f"split at '{rule.split}'")
    if rule.extract is not None:
        words.append(f"found by {rule.extract.text}")
    if rule.by is DeviceKey.NAME:
        words.append(_SEVERAL[rule.if_several])
    if rule.if_some_missing is IfSomeMissing.RUN_FOUND:
        words.append("sent to those that are found")
    else:
        words.append("nothing is sent unless every one is found")
    words.append(
        "a ticket that names none is told so" if rule.tell_none else "a ticket that names none is ignored"
    )
    return "; ".join(words)


def _value(source: ParamSource) -> str:
    if source.path is None:
        return f"'{source.value}'"
    words = [f"from {source.path.text}"]
    if source.table is not None:
        words.append(", ".join(f"'{value}' for '{key}'" for key, value in source.table))
    if source.other is not None:
        words.append(f"'{source.other}' for any other")
    if source.default is not None:
        words.append(f"'{source.default}' where it is missing")
    return "; ".join(words)
