"""Conditions of a mapping: true, false, or neither where what they ask about is missing.

It must not change the event, nor let anything missing make a condition true, but where absence is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from bridge.mapping.paths import MISSING, Missing, Path, View, as_text
from bridge.mapping.patterns import Pattern
from bridge.mapping.wording import shortened
from bridge.models import ConditionTrace, EventKind, Json


class Ask(StrEnum):
    """What a condition on a field asks."""

    EQUALS = "equals"
    IN = "in"
    CONTAINS = "contains"
    MATCHES = "matches"
    EXISTS = "exists"
    CHANGED = "changed"


class Join(StrEnum):
    ALL = "all"
    ANY = "any"
    NOT = "not"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldCondition:
    """A test of one value: `texts` of equals, in, contains; `pattern` of matches; `asked` of the rest."""

    path: Path
    test: Ask
    texts: tuple[str, ...] = ()
    pattern: Pattern | None = None
    asked: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedCondition:
    join: Join
    parts: tuple["Condition", ...]


Condition = FieldCondition | JoinedCondition


def trace(condition: Condition, view: View) -> ConditionTrace:
    """Hold a condition against an event; `held` None means neither."""
    if isinstance(condition, JoinedCondition):
        return _trace_joined(condition, view)
    return _trace_field(condition, view)


def sentence(traced: ConditionTrace) -> str:
    """Return a trace as a sentence: `ticket.priority is '2 - High', the mapping wants '2'`."""
    return f"{traced.seen}, {traced.wanted}" if traced.seen else traced.wanted


def needs_change(condition: Condition) -> bool:
    """Say whether a condition can hold only for an event that made a certain change (rule A2)."""
    if isinstance(condition, FieldCondition):
        return condition.path.root == "change" and condition.asked
    if condition.join is Join.ALL:
        return any(needs_change(part) for part in condition.parts)
    return condition.join is Join.ANY and all(needs_change(part) for part in condition.parts)


def paths(condition: Condition) -> tuple[Path, ...]:
    """Return every path that a condition looks at."""
    if isinstance(condition, FieldCondition):
        return (condition.path,)
    return tuple(path for part in condition.parts for path in paths(part))


def _trace_joined(condition: JoinedCondition, view: View) -> ConditionTrace:
    parts = tuple(trace(part, view) for part in condition.parts)
    held = [part.held for part in parts]
    match condition.join:
        case Join.ALL:
            return ConditionTrace(
                wanted="the mapping wants all of these", seen=None, held=_all(held), parts=parts
            )
        case Join.ANY:
            return ConditionTrace(
                wanted="the mapping wants one of these", seen=None, held=_any(held), parts=parts
            )
        case Join.NOT:
            negated = None if held[0] is None else not held[0]
            return ConditionTrace(wanted="the mapping wants not this", seen=None, held=negated, parts=parts)


def _all(held: list[bool | None]) -> bool | None:
    if False in held:
        return False
    return None if None in held else True


def _any(held: list[bool | None]) -> bool | None:
    if True in held:
        return True
    return None if None in held else False


def _trace_field(condition: FieldCondition, view: View) -> ConditionTrace:
    name = condition.path.text
    wanted = "the mapping wants " + _wanted(condition)
    if condition.path.root == "change" and _changes_unknown(view):
        return ConditionTrace(
            wanted=wanted, seen=f"{name} is missing: the update names no changes", held=None
        )
    if condition.test is Ask.CHANGED:
        changed = condition.path.names[1] in {change.name for change in view.event.changes}
        seen = f"{name} is {'changed' if changed else 'not changed'}"
        return ConditionTrace(wanted=wanted, seen=seen, held=changed is condition.asked)
    value = view.value(condition.path)
    seen = f"{name} is {_shown(value)}"
    if condition.test is Ask.EXISTS:
        return ConditionTrace(wanted=wanted, seen=seen, held=(value is not MISSING) is condition.asked)
    held = None if isinstance(value, Missing) else _holds(condition, value)
    return ConditionTrace(wanted=wanted, seen=seen, held=held)


def _changes_unknown(view: View) -> bool:
    """Say whether the sender tells of an update but not of what it changed."""
    return view.event.kind is EventKind.UPDATED and not view.event.changes


def _holds(condition: FieldCondition, value: Json) -> bool | None:
    """Compare a value that is there; None where its kind cannot be compared so."""
    texts = condition.texts
    match condition.test:
        case Ask.CONTAINS:
            if isinstance(value, tuple):
                return _among(value, lambda text: text == texts[0])
            return _single(value, lambda text: texts[0] in text)
        case Ask.MATCHES:
            pattern = condition.pattern
            assert pattern is not None
            return _among(value if isinstance(value, tuple) else (value,), pattern.anywhere)
        case _:
            return _single(value, lambda text: text in texts)


def _single(value: Json, holds: Callable[[str], bool]) -> bool | None:
    text = None if isinstance(value, tuple) else as_text(value)
    return None if text is None else holds(text)


def _among(values: tuple[Json, ...], holds: Callable[[str], bool]) -> bool | None:
    """Say whether one of the entries holds; None where none does and one cannot be compared."""
    return _any([_single(value, holds) for value in values])


def _shown(value: Json | Missing) -> str:
    if isinstance(value, Missing):
        return "missing"
    if isinstance(value, tuple):
        entries = [as_text(entry) or "a group of fields" for entry in value]
        return (
            "a list of " + shortened(", ".join(f"'{entry}'" for entry in entries))
            if entries
            else "an empty list"
        )
    text = as_text(value)
    return "a group of fields" if text is None else f"'{shortened(text)}'"


def _wanted(condition: FieldCondition) -> str:
    quoted = [f"'{shortened(text)}'" for text in condition.texts]
    match condition.test:
        case Ask.EQUALS:
            return quoted[0]
        case Ask.IN:
            return "one of " + shortened(", ".join(quoted), 200)
        case Ask.CONTAINS:
            return f"{quoted[0]} in it"
        case Ask.MATCHES:
            assert condition.pattern is not None
            return f"a match of {condition.pattern.text}"
        case Ask.EXISTS:
            return "a value" if condition.asked else "none"
        case Ask.CHANGED:
            return "it changed" if condition.asked else "it unchanged"
