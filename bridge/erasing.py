"""Erases one person from what is kept: finds their name, empties what has ended, tells what is left.

It must not touch what waits or is under way, nor reach into ticket systems, logs or backups.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from bridge.ledger import Ledger, erasing
from bridge.ledger.erasing import Place
from bridge.ledger.people import Act
from bridge.ledger.retention import BATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """Deliveries and runs that were emptied, runs whose timeline was, and what is left, by its name."""

    deliveries: tuple[str, ...]
    runs: tuple[str, ...]
    mentions: tuple[str, ...]
    left: tuple[str, ...]


class Erasing:
    """The erasing use case; `identifiers` are a person's login, e-mail, account id or display name."""

    def __init__(self, *, ledger: Ledger) -> None:
        self._ledger = ledger

    def preview(self, identifiers: Collection[str]) -> Erased:
        """Return what names the person; some of it may not have ended, and would be left."""
        person = erasing.naming(identifiers)
        of_runs = self._all(erasing.OF_RUNS, person)
        return Erased(
            deliveries=self._all((erasing.DELIVERIES,), person),
            runs=of_runs,
            mentions=_without(self._all(erasing.MENTIONS, person), of_runs),
            left=self._standing(person),
        )

    def erase(self, identifiers: Collection[str], *, act: Act) -> Erased:
        """Empty what has ended; whatever ends this in the middle, doing it again goes on from there."""
        person = erasing.naming(identifiers)
        found = self.preview(identifiers)
        runs = self._in_steps(found.runs, lambda ids: self._ledger.write(erasing.erase_runs, ids=ids))
        mentions = self._in_steps(
            found.mentions, lambda ids: self._ledger.write(erasing.erase_mentions, ids=ids, person=person)
        )
        deliveries = self._in_steps(
            found.deliveries, lambda ids: self._ledger.write(erasing.erase_deliveries, ids=ids)
        )
        self._ledger.write(
            erasing.told,
            identifiers=identifiers,
            act=act,
            deliveries_done=len(deliveries),
            runs_done=len(runs) + len(mentions),
        )
        left = (
            *(f"run {run}" for run in _without((*found.runs, *found.mentions), (*runs, *mentions))),
            *(f"delivery {delivery}" for delivery in _without(found.deliveries, deliveries)),
            *found.left,
        )
        return Erased(deliveries=deliveries, runs=runs, mentions=mentions, left=left)

    def _all(self, places: Iterable[Place], person: re.Pattern[str]) -> tuple[str, ...]:
        keys: set[str] = set()
        for place in places:
            after = None
            while True:
                page = self._ledger.read(erasing.look, place=place, person=person, after=after)
                keys.update(page.keys)
                if page.after is None:
                    break
                after = page.after
        return tuple(sorted(keys))

    def _standing(self, person: re.Pattern[str]) -> tuple[str, ...]:
        return tuple(
            f"{place.table.name.removesuffix('s')} {key}"
            for place in erasing.STANDING
            for key in self._all((place,), person)
        )

    @staticmethod
    def _in_steps(
        ids: tuple[str, ...], erase: Callable[[tuple[str, ...]], tuple[str, ...]]
    ) -> tuple[str, ...]:
        steps = (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
        return tuple(done for step in steps for done in erase(step))


def _without(ids: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(ids) - set(others)))
