"""Turns a stored payload into a sample that can be shared: everything is replaced but what tests need.

It must not keep a text because it looks harmless: what is kept is structure, and what a mapping reads.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import re2

from bridge.errors import NotPossible, WebhookRefused
from bridge.mapping import conditions
from bridge.mapping.evaluate import explain
from bridge.mapping.language import MappingSet
from bridge.mapping.paths import Path, View, as_text
from bridge.mapping.rules import MappingRule
from bridge.models import Delivery, Ignored, Json, MappingId, Person, TicketEvent
from bridge.ticketing import TicketSystem

# Members whose values are words of the ticket system, not of a person.
_WORDS: Final = frozenset(
    {"webhookEvent", "issue_event_type_name", "operation", "table", "sys_class_name", "rule", "field",
     "fieldId", "fieldtype", "type", "accountType", "timestamp"}
)  # fmt: skip
_PERSONAL: Final = frozenset({("ticket", "person"), ("ticket", "assignee")})

_TIME: Final = r"[0-9/-]{8,10}[T ][0-9:.]{5,12}(Z|[+-][0-9:]{4,6})?"
_EMAIL: Final = r"[^@\s]+@[^@\s]+"
_ADDRESS: Final = r"[a-z][a-z0-9+.-]*://.*"
_DIGITS: Final = r"[0-9]+"
_UID: Final = r"[0-9a-f]{32}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    """A sample. `kept` are texts that a mapping reads; `changed` decide otherwise on the sample."""

    payload: Json
    kept: tuple[str, ...]
    changed: tuple[MappingId, ...]


def redacted(
    payload: Json, *, system: TicketSystem, mapping_set: MappingSet, received_at: datetime
) -> Redacted:
    """Return a payload with its texts and numbers replaced, the same by the same everywhere."""
    event = _event(payload, system, received_at)
    people = frozenset(_people(event))
    read = frozenset(_read_by_mappings(event, mapping_set)) - people
    replacing = _Replacing(keep=read | frozenset(_structure(event)), people=people)
    sample = replacing.value("", payload)
    after = _event(sample, system, received_at)
    return Redacted(
        payload=sample,
        kept=tuple(sorted(read & replacing.kept)),
        changed=tuple(_differing(event, after, mapping_set, received_at)),
    )


def _event(payload: Json, system: TicketSystem, received_at: datetime) -> TicketEvent | None:
    delivery = Delivery(
        source=system.source, key="sample", digest="", timed=True, payload=payload, received_at=received_at
    )
    try:
        event = system.parse_event(delivery)
    except WebhookRefused as error:
        raise NotPossible(f"this payload cannot be read as a ticket: {error.detail}") from error
    return None if isinstance(event, Ignored) else event


def _people(event: TicketEvent | None) -> Iterator[str]:
    everybody = () if event is None else (event.actor, event.ticket.person, event.ticket.assignee)
    for person in everybody:
        if isinstance(person, Person):
            yield from filter(None, (person.id, person.name, person.email, person.login))


def _structure(event: TicketEvent | None) -> Iterator[str]:
    """Yield what names the ticket and its kind; nothing of it is about a person."""
    if event is None:
        return
    ticket = event.ticket
    named = (ticket.project, ticket.type, ticket.request_type, ticket.status, ticket.priority)
    yield from filter(None, (event.ref.key, event.ref.uid, event.ref.table, *named))


def _read_by_mappings(event: TicketEvent | None, mapping_set: MappingSet) -> Iterator[str]:
    if event is None:
        return
    view = View(event)
    rules = (rule for rule in mapping_set.mappings if rule.source == event.ref.source)
    for path in (path for rule in rules for path in _paths(rule)):
        if path.root == "actor" or path.names[:2] in _PERSONAL:
            continue
        value = view.value(path)
        for one in value if isinstance(value, tuple) else (value,):
            text = as_text(one)
            if text:
                yield text


def _paths(rule: MappingRule) -> Iterator[Path]:
    for condition in rule.when:
        yield from conditions.paths(condition)
    yield from rule.devices.paths
    yield from (param.path for param in rule.params if param.path is not None)
    if rule.portal.path is not None:
        yield rule.portal.path


def _differing(
    before: TicketEvent | None, after: TicketEvent | None, mapping_set: MappingSet, received_at: datetime
) -> Iterable[MappingId]:
    outcomes = [
        {}
        if event is None
        else {
            decision.mapping: decision.outcome
            for decision in explain(event, mapping_set, received_at=received_at)
        }
        for event in (before, after)
    ]
    return (name for name, outcome in outcomes[0].items() if outcomes[1].get(name) is not outcome)


class _Replacing:
    """Replaces what is not kept; the same text becomes the same replacement wherever it stands."""

    def __init__(self, *, keep: frozenset[str], people: frozenset[str]) -> None:
        self._keep = keep
        self._people = people
        self._given: dict[str, str] = {}
        self.kept: set[str] = set()

    def value(self, name: str, value: Json) -> Json:
        """Return a value of a member called `name` with everything below it replaced."""
        if isinstance(value, dict):
            if "displayName" in value or "accountId" in value:
                texts = (one for key, one in value.items() if isinstance(one, str) and key not in _WORDS)
                self._people |= frozenset(texts)
            return {key: self.value(key, one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.value(name, one) for one in value]
        text = as_text(value)
        if text is None or isinstance(value, bool) or not text or name in _WORDS:
            return value
        if text in self._keep - self._people:
            self.kept.add(text)
            return value
        if isinstance(value, str):
            return self._person(value) if value in self._people else self._text(value)
        return int(self._numbered(text, str))

    def _person(self, text: str) -> str:
        if re2.fullmatch(_EMAIL, text):
            return self._numbered(text, lambda number: f"person{number}@example.com")
        if re2.fullmatch(_ADDRESS, text) or re2.fullmatch(_UID, text):
            return self._text(text)
        return self._numbered(text, lambda number: f"Person {number}")

    def _text(self, text: str) -> str:
        if re2.fullmatch(_TIME, text):
            return text
        if re2.fullmatch(_EMAIL, text):
            return self._person(text)
        if re2.fullmatch(_ADDRESS, text):
            return self._numbered(text, lambda number: f"https://example.com/{number}")
        if re2.fullmatch(_UID, text):
            return self._numbered(text, lambda number: f"{number:032x}")
        if re2.fullmatch(_DIGITS, text):
            return self._numbered(text, lambda number: str(number).zfill(len(text)))
        return self._numbered(text, lambda number: f"Text {number}")

    def _numbered(self, text: str, form: Callable[[int], str]) -> str:
        return self._given.setdefault(text, form(len(self._given) + 1))
