"""What the mappings of a source need of their tickets: which events, and which values.

It must not know how a ticket system sends them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bridge.mapping import conditions
from bridge.mapping.conditions import Ask, Condition, Join, JoinedCondition
from bridge.mapping.language import MappingSet
from bridge.mapping.rules import MappingRule
from bridge.models import EventKind, MappingId, SourceName

Names = tuple[str, ...]

_PERSON: Final = ("ticket", "person")
# By any of these whoever asked is told from who approves.
_IDENTIFIED_BY: Final = ("id", "name", "email", "login")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A value of a ticket that is read: the path as written, its leading names, and by which mappings."""

    path: str
    names: Names
    by: tuple[MappingId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a source's mappings need; none of it where no mapping names the source."""

    mappings: tuple[MappingRule, ...]
    reads: tuple[Read, ...]

    @property
    def events(self) -> frozenset[EventKind]:
        """Return the kinds of events that some mapping asks for."""
        return frozenset(event for rule in self.mappings for event in rule.events)

    def only(self, path: str) -> tuple[str, ...] | None:
        """Return the values to which every mapping narrows a path; None where one does not."""
        found = [_narrowed(rule, path) for rule in self.mappings]
        if not found or not all(found):
            return None
        return tuple(sorted({text for texts in found for text in texts}))

    def changes(self) -> tuple[str, ...]:
        """Return the changes that mappings ask for, in words: `state changes to In Progress`."""
        asked = (one for rule in self.mappings for condition in rule.when for one in _changes(condition))
        return tuple(dict.fromkeys(asked))


def needs(mapping_set: MappingSet | None, source: SourceName) -> Needs:
    """Return what the mappings of a source need."""
    rules = () if mapping_set is None else mapping_set.mappings
    ours = tuple(rule for rule in rules if rule.source == source)
    readers: dict[tuple[str, Names], list[MappingId]] = {}
    for rule in ours:
        for read in dict.fromkeys((*_written(rule), *_implied(rule))):
            readers.setdefault(read, []).append(rule.id)
    reads = (Read(path=path, names=names, by=tuple(by)) for (path, names), by in sorted(readers.items()))
    return Needs(mappings=ours, reads=tuple(reads))


def _written(rule: MappingRule) -> Iterator[tuple[str, Names]]:
    """Yield the paths that stand in a mapping."""
    for condition in rule.when:
        yield from ((path.text, path.names) for path in conditions.paths(condition))
    of_params = (source.path for source in rule.params)
    for path in (*rule.devices.paths, rule.portal.path, *of_params):
        if path is not None:
            yield path.text, path.names


def _implied(rule: MappingRule) -> Iterator[tuple[str, Names]]:
    """Yield what is read of a ticket's person although no path says so."""
    parts: set[str] = set()
    if rule.owner is not None:
        parts.add("login")
    if rule.intro is not None and "$person" in rule.intro.replace("${person}", "$person"):
        parts.add("name")
    if rule.approval is not None:
        parts.update(_IDENTIFIED_BY)
    for part in sorted(parts):
        yield ".".join((*_PERSON, part)), (*_PERSON, part)


def _narrowed(rule: MappingRule, path: str) -> tuple[str, ...]:
    """Return the values of which a mapping wants one; empty where it takes others too."""
    for condition in rule.when:
        if isinstance(condition, JoinedCondition) or condition.path.text != path:
            continue
        if condition.test in (Ask.EQUALS, Ask.IN):
            return condition.texts
    return ()


def _changes(condition: Condition) -> Iterator[str]:
    if isinstance(condition, JoinedCondition):
        if condition.join is not Join.NOT:
            for part in condition.parts:
                yield from _changes(part)
        return
    if condition.path.root != "change":
        return
    name, side = condition.path.names[1], condition.path.names[2:]
    if condition.test in (Ask.EQUALS, Ask.IN):
        yield f"{name} changes {side[0] if side else 'to'} {' or '.join(condition.texts)}"
    elif condition.asked:
        yield f"{name} changes"
