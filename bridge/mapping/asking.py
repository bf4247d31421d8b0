"""Reads the conditions of a mapping's entry.

It must not look at a ticket, nor guess what a condition that it cannot read would ask.
"""

from bridge.mapping import conditions
from bridge.mapping.conditions import Ask, Condition, FieldCondition, Join, JoinedCondition
from bridge.mapping.documents import Path as Spot
from bridge.mapping.entry import Entry
from bridge.models import Json, Repeat, SourceKind


def when(entry: Entry, kind: SourceKind | None) -> tuple[Condition, ...] | None:
    """Return the conditions, or None after noting why they cannot be read."""
    spot = (*entry.spot, "when")
    found = [_condition(one, (*spot, number), entry, kind) for number, one in enumerate(entry.own["when"])]
    held = tuple(condition for condition in found if condition is not None)
    if len(held) < len(found):
        return None
    # Rule A2: without a change that must have happened, every event of the ticket would run it again.
    if entry.get("repeat") == Repeat.PER_CHANGE and not any(map(conditions.needs_change, held)):
        entry.reading.fault(
            entry.at("repeat"),
            "'per_change' needs a condition on the change in every case (add one on change.NAME)",
        )
    return held


def _condition(data: Json, spot: Spot, entry: Entry, kind: SourceKind | None) -> Condition | None:
    if "field" in data:
        return _field_condition(data, spot, entry, kind)
    join = Join(next(iter(data)))
    below = data[join.value]
    if join is Join.NOT:
        found = [_condition(below, (*spot, "not"), entry, kind)]
    else:
        found = [
            _condition(one, (*spot, join.value, number), entry, kind) for number, one in enumerate(below)
        ]
    parts = tuple(part for part in found if part is not None)
    return JoinedCondition(join=join, parts=parts) if len(parts) == len(found) else None


def _field_condition(data: Json, spot: Spot, entry: Entry, kind: SourceKind | None) -> FieldCondition | None:
    test = Ask(next(key for key in data if key != "field"))
    asked = data[test.value]
    path = entry.path(data["field"], (*spot, "field"), kind, change=_asks_whole_change(test, data["field"]))
    if path is None:
        return None
    match test:
        case Ask.MATCHES:
            pattern = entry.reading.pattern(asked, (*spot, "matches"))
            return None if pattern is None else FieldCondition(path=path, test=test, pattern=pattern)
        case Ask.EXISTS | Ask.CHANGED:
            if test is Ask.EXISTS and path.root not in ("ticket", "change", "actor"):
                entry.reading.key_fault(
                    (*spot, "exists"),
                    f"'exists' cannot be asked of '{path.text}' (only of ticket., change. and actor. names)",
                )
                return None
            return FieldCondition(path=path, test=test, asked=asked == "true")
        case _:
            return FieldCondition(path=path, test=test, texts=tuple(asked) if test is Ask.IN else (asked,))


def _asks_whole_change(test: Ask, text: str) -> bool:
    """Say whether a condition is about the change itself, not about one of its sides."""
    one_side = text.endswith((".from", ".to"))
    return test is Ask.CHANGED or (test is Ask.EXISTS and text.startswith("change.") and not one_side)
