"""Tries mapping texts that are not in force, on payloads and on what came, and says what they would do.

It must not put a text into force, write, send or look anything up.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from bridge import mapping_files
from bridge.backtesting import Backtest
from bridge.connections import Connections
from bridge.errors import ConfigurationError, NotPossible
from bridge.ledger import Ledger, in_force, stored
from bridge.mapping.language import MappingTexts
from bridge.mapping.reading import LoadContext
from bridge.models import SourceName
from bridge.settings import Settings, without_secrets
from bridge.workshop import trying
from bridge.workshop.apart import Apart, Refused
from bridge.workshop.trying import Checked, Place, Tried

# Seconds that a try may take, its process's start included.
TRY_SECONDS: Final = 10.0
BACKTEST_SECONDS: Final = 25.0
# How many deliveries one backtest looks at; `bridge backtest` has no such bound.
BACKTEST_DELIVERIES: Final = 1_000


class Base(StrEnum):
    """Where the texts stand that somebody begins with."""

    IN_FORCE = "in_force"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A text that stands for that of a file, or is a further file where none bears its name."""

    file: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtested:
    """What came of a backtest: since when deliveries were looked at, and whether older ones were left out."""

    since: datetime
    cut: bool
    result: Backtest | Checked


class Workshop:
    """The use case. `settings` are those of now.

    `connections_of` and `context_of` are given them without their secrets, and say how systems and portals
    are spoken to and what mappings may name.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        settings: Callable[[], Settings],
        connections_of: Callable[[Settings], Connections],
        context_of: Callable[[Settings], LoadContext],
        texts_of: Callable[[str], MappingTexts],
        clock: Callable[[], datetime],
        apart: Apart,
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._connections_of = connections_of
        self._context_of = context_of
        self._texts_of = texts_of
        self._clock = clock
        self._apart = apart
        self._backtesting = threading.Lock()

    def texts(self, base: Base) -> MappingTexts:
        """Return the texts to begin with; raise NotPossible where there are none, or they cannot be read."""
        if base is Base.FOLDER:
            settings = self._settings()
            try:
                return mapping_files.read(settings.mappings, settings.catalogue_file).texts
            except ConfigurationError as error:
                raise NotPossible(str(error)) from error
        set_hash = self._ledger.read(in_force.mapping_set_in_force)
        if set_hash is None:
            raise NotPossible("no mapping set is in force yet: the files have problems, or nothing read them")
        return self._texts_of(self._ledger.read(in_force.mapping_texts, set_hash=set_hash))

    def warm(self) -> None:
        """Get ready for a try that will come soon."""
        self._apart.warm()

    def stop(self) -> None:
        """Let go of the process, and of what is being tried."""
        self._apart.stop()

    def tried(self, texts: MappingTexts, *, source: SourceName | None, payload: str) -> Tried:
        """Check texts, and hold a payload against them; raise Refused."""
        body = payload.encode("utf-8", "replace")
        return self._apart.call(
            TRY_SECONDS, trying.tried, self._place(), texts, source=source, body=body, at=self._clock()
        )

    def backtested(self, after: MappingTexts, *, last: timedelta) -> Backtested:
        """Hold the newest deliveries of a time against the texts in force and others; raise Refused."""
        if not self._backtesting.acquire(blocking=False):
            raise Refused("a backtest is under way (wait for it, and try again)")
        try:
            return self._backtested(after, self._clock() - last)
        finally:
            self._backtesting.release()

    def _backtested(self, after: MappingTexts, asked: datetime) -> Backtested:
        since = self._ledger.read(stored.newest_since, since=asked, most=BACKTEST_DELIVERIES)
        found = tuple(stored.stored_since(self._ledger, since))[-BACKTEST_DELIVERIES:]
        result = self._apart.call(
            BACKTEST_SECONDS,
            trying.backtested,
            self._place(),
            self.texts(Base.IN_FORCE),
            after,
            accounts=self._ledger.read(in_force.own_accounts),
            stored=found,
        )
        return Backtested(since=since, cut=since > asked, result=result)

    def _place(self) -> Place:
        # No try needs a secret, so none is handed over to where texts are tried that nobody has looked at.
        settings = without_secrets(self._settings())
        connections = self._connections_of(settings)
        return Place(
            context=self._context_of(settings),
            samples=settings.mappings,
            systems={name: source.system for name, source in connections.sources.items()},
            reads=frozenset(name for name, source in connections.sources.items() if source.reads),
            portals={name: portal.config for name, portal in connections.portals.items()},
        )


def with_edited(texts: MappingTexts, edited: Edited | None) -> MappingTexts:
    """Return texts in which one file has another text, or which have one file more."""
    if edited is None:
        return texts
    if edited.file == texts.catalogue[0]:
        return replace(texts, catalogue=(edited.file, edited.text))
    others = tuple(pair for pair in texts.mappings if pair[0] != edited.file)
    return replace(texts, mappings=(*others, (edited.file, edited.text)))
