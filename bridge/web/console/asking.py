"""Reads from an address what a list is narrowed to, and says in words what it cannot read.

It must not pass over anything: a name that is no filter, or a value that none can have, shows no list at all.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, TypeVar

from werkzeug.datastructures import MultiDict

from bridge.ledger.listing import Place, Span
from bridge.ticketing import keys

Choice = TypeVar("Choice", bound=StrEnum)

LONGEST: Final = 200

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE: Final = re.compile(r"(\d{1,17})-([A-Za-z0-9_-]{1,32})")
# What every list takes beside its own filters.
_ALWAYS: Final = ("from", "to", "after", "live")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What was asked, as it was written; `problems` says by filter what is wrong with it.

    `narrowed` are the filters that are set, `kept` what the links of the list keep of the address.
    """

    given: dict[str, str]
    narrowed: dict[str, str]
    kept: dict[str, str]
    problems: dict[str, str]
    behind: Place | None
    live: bool


@dataclass(slots=True)
class Reader:
    """Takes filters out of an address one by one; `done` tells what was asked, with all problems."""

    arguments: MultiDict[str, str]
    _names: list[str] = field(default_factory=list)
    _problems: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """Return a text, or None where nothing is asked."""
        self._names.append(name)
        found = self.arguments.get(name, "").strip()
        if len(found) > LONGEST:
            self._problem(name, f"is longer than {LONGEST} characters")
            return None
        if not found.isprintable():
            self._problem(name, "holds a character that cannot be seen")
            return None
        return found or None

    def ticket(self, name: str = "ticket") -> str | None:
        """Return a ticket's key as its system writes it."""
        found = self.text(name)
        if found is not None and not keys.is_key(found):
            self._problem(name, "is no ticket's key (write it as SUP-7 or INC0010023)")
            return None
        return keys.as_written(found) if found else None

    def choice(self, name: str, among: type[Choice]) -> Choice | None:
        """Return one of some words."""
        found = self.text(name)
        if found is None:
            return None
        if found not in set(among):
            self._problem(name, f"is none of {', '.join(among)}")
            return None
        return among(found)

    def span(self) -> Span:
        """Return the time that is asked for; without an offset it is in UTC."""
        since, until = self._moment("from"), self._moment("to")
        if since is not None and until is not None and since >= until:
            self._problem("to", "is not after “from”, so nothing can be between")
        return Span(since=since, until=until)

    def done(self) -> Asking:
        """Return what was asked."""
        behind = self._behind()
        live = self.text("live")
        if live not in (None, "off"):
            self._problem("live", "can only be off")
        for name in self.arguments:
            if name not in {*self._names, *_ALWAYS}:
                self._problem(name[:40], "is no filter of this list")
            elif len(self.arguments.getlist(name)) > 1:
                self._problem(name, "stands twice in the address")
        given = {name: self.arguments.get(name, "").strip() for name in (*self._names, *_ALWAYS)}
        kept = {name: value for name, value in given.items() if value and name != "after"}
        return Asking(
            given=given,
            narrowed={name: value for name, value in kept.items() if name != "live"},
            kept=kept,
            problems=self._problems,
            behind=behind,
            live=live is None,
        )

    def _moment(self, name: str) -> datetime | None:
        found = self.text(name)
        if found is None:
            return None
        try:
            at = datetime.fromisoformat(found)
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            self._problem(name, "is no time (write it as 2026-11-03 or 2026-11-03T14:30, in UTC)")
            return None

    def _behind(self) -> Place | None:
        found = self.text("after")
        if found is None:
            return None
        read = _PLACE.fullmatch(found)
        if read is None:
            self._problem("after", "is no place in the list (take the link of the page before)")
            return None
        return Place(at=_EPOCH + timedelta(microseconds=int(read[1])), id=read[2])

    def _problem(self, name: str, words: str) -> None:
        self._problems.setdefault(name, words)


def written(place: Place) -> str:
    """Return a place as it stands in an address."""
    return f"{(place.at - _EPOCH) // timedelta(microseconds=1)}-{place.id}"
