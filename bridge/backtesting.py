"""Holds stored deliveries against two mapping sets and says what a change would have made of them.

It must not write, send or look anything up.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from itertools import combinations, count
from typing import Final

from bridge.connections import Connections
from bridge.errors import WebhookRefused
from bridge.judging import Judging
from bridge.ledger.starting import NewRun
from bridge.ledger.stored import Stored
from bridge.mapping.language import MappingSet
from bridge.models import DeliveryId, MappingId, Mode, Person, Plan, RunState, SourceName

# What is other in every plan of another set, or says nothing of what would be sent.
_NOT_COMPARED: Final = frozenset(
    {"mapping", "mapping_set", "ticket", "occurred_at", "requesters", "asked_by", "params"}
)

Pair = tuple[MappingId, MappingId]
# A run's place: source, ticket, mapping and the run's own key; a second one there is not made (A2).
_Place = tuple[str, str, str, str]


class Change(StrEnum):
    """How a run of the new mappings differs from that of the old ones."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One run that would be other; `what` names what differs of it, as (name, before, after).

    At least one of `before` and `after` is there.
    """

    delivery: DeliveryId
    before: NewRun | None
    after: NewRun | None
    what: tuple[tuple[str, str, str], ...]

    @property
    def run(self) -> NewRun:
        """Return the run as the new set makes it, or as the old one does where the new makes none."""
        run = self.after or self.before
        assert run is not None
        return run

    @property
    def change(self) -> Change:
        """Say how it differs."""
        if self.before is None:
            return Change.ADDED
        return Change.REMOVED if self.after is None else Change.CHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one of the two sets makes of all deliveries; `most_devices` is of one run that would be sent."""

    runs: int
    sent: int
    refused: int
    most_devices: int
    overlaps: Mapping[Pair, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What came of it; `untried` counts by why a delivery says nothing."""

    tried: int
    untried: Mapping[str, int]
    before: Side
    after: Side
    differences: tuple[Difference, ...]

    @property
    def new_overlaps(self) -> dict[Pair, int]:
        """Return the pairs of mappings that fire for one event with the new set and did not with the old."""
        return {
            pair: times for pair, times in self.after.overlaps.items() if pair not in self.before.overlaps
        }

    def of(self, change: Change) -> tuple[Difference, ...]:
        """Return the differences of one kind."""
        return tuple(difference for difference in self.differences if difference.change is change)


class Backtesting:
    """The use case: `before` and `after` are the two sets, `accounts` our own ones in the ticket systems."""

    def __init__(
        self,
        *,
        connections: Connections,
        accounts: Mapping[SourceName, Person],
        before: MappingSet,
        after: MappingSet,
    ) -> None:
        self._connections = connections
        self._accounts = accounts
        self._before = _Judge(self._judging(before))
        self._after = _Judge(self._judging(after))

    def compare(self, stored: Iterable[Stored]) -> Backtest:
        """Judge deliveries by both sets, in the order in which they came."""
        tried, untried = 0, Counter[str]()
        differences: list[Difference] = []
        for one in stored:
            why = self._says_nothing(one)
            if why is None:
                try:
                    old, new = self._before.runs(one), self._after.runs(one)
                except WebhookRefused as error:
                    why = f"it is no ticket: {error.detail}"
            if why is not None:
                untried[why] += 1
                continue
            tried += 1
            differences += _differences(one, old, new)
        return Backtest(
            tried=tried,
            untried=dict(untried),
            before=self._before.side(),
            after=self._after.side(),
            differences=tuple(differences),
        )

    def _judging(self, mapping_set: MappingSet) -> Judging:
        numbers = count(1)
        return Judging(
            connections=lambda: self._connections,
            mapping_set=lambda: mapping_set,
            accounts=lambda: self._accounts,
            new_id=lambda: str(next(numbers)),
        )

    def _says_nothing(self, stored: Stored) -> str | None:
        """Return why the body of a delivery cannot be judged as it was; None where it can."""
        if stored.content is None:
            return "its payload was removed"
        source = self._connections.sources.get(stored.content.source)
        if source is None:
            return "its source is not configured"
        if source.reads or stored.content.recovered:
            return "its ticket was read, and only the webhook is stored"
        if stored.content.source not in self._accounts:
            return "our own account there is not known"
        return None


@dataclass(slots=True)
class _Judge:
    """One mapping set at work: what it makes of each delivery, and all that it has made so far."""

    judging: Judging
    served: set[_Place] = field(default_factory=set)
    counted: Counter[RunState] = field(default_factory=Counter)
    overlaps: Counter[Pair] = field(default_factory=Counter)
    most_devices: int = 0

    def runs(self, stored: Stored) -> dict[MappingId, NewRun]:
        assert stored.content is not None
        verdict = self.judging.of_webhook(stored.id, stored.content)
        made: dict[MappingId, NewRun] = {}
        for run in verdict.runs if verdict else ():
            place = (run.ticket.source, run.ticket.uid, run.mapping, run.key)
            if place not in self.served:
                self.served.add(place)
                made[run.mapping] = run
        for run in made.values():
            self.counted[run.state] += 1
            if run.plan is not None and run.state is RunState.QUEUED:
                self.most_devices = max(self.most_devices, len(run.plan.devices))
        live = sorted(name for name, run in made.items() if run.mode is Mode.LIVE)
        self.overlaps.update(combinations(live, 2))
        return made

    def side(self) -> Side:
        return Side(
            runs=self.counted.total(),
            sent=self.counted[RunState.QUEUED],
            refused=self.counted[RunState.REFUSED],
            most_devices=self.most_devices,
            overlaps=dict(self.overlaps),
        )


def _differences(
    stored: Stored, old: Mapping[MappingId, NewRun], new: Mapping[MappingId, NewRun]
) -> Iterable[Difference]:
    for mapping in sorted(old.keys() | new.keys()):
        before, after = old.get(mapping), new.get(mapping)
        what = _compared(before, after) if before and after else ()
        if what or before is None or after is None:
            yield Difference(delivery=stored.id, before=before, after=after, what=what)


def _compared(before: NewRun, after: NewRun) -> tuple[tuple[str, str, str], ...]:
    """Return what two runs of one mapping and delivery differ in."""
    pairs: list[tuple[str, object, object]] = [("state", before.state, after.state)]
    if before.plan is not None and after.plan is not None:
        pairs += [
            (each.name, getattr(before.plan, each.name), getattr(after.plan, each.name))
            for each in fields(Plan)
            if each.name not in _NOT_COMPARED
        ]
        pairs += _of_params(dict(before.plan.params), dict(after.plan.params))
    else:
        pairs.append(("problem", before.detail, after.detail))
    return tuple((name, _shown(old), _shown(new)) for name, old, new in pairs if old != new)


def _of_params(old: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, object, object]]:
    names = dict.fromkeys((*old, *new))
    return [(f"parameter {name}", old.get(name), new.get(name)) for name in names]


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value)) or "none"
    return "none" if value is None else str(value)
