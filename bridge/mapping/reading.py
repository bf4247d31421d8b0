"""What reading a set of files needs at every turn: document, faults, and each path and pattern once.

It must not know the keys of the language; those stand in `catalogue`, `rules` and `cases`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from bridge.mapping import paths, patterns
from bridge.mapping.documents import Document, Faults
from bridge.mapping.documents import Path as Spot
from bridge.mapping.paths import Path
from bridge.mapping.patterns import Pattern
from bridge.models import Limit, PortalName, SourceKind, SourceName

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadContext:
    """What mappings may name, and the bridge's own limits: most devices for a ticket, greatest age.

    `without_history` are the sources whose tickets are fetched and keep no history that can be read: there
    `change.` means nothing. `history_unread` are all sources of which we cannot read who changed what, also
    where a webhook tells what changed; `without_login` are those whose tickets name no login of their person.
    `limits` are the bridge's own.
    """

    sources: Mapping[SourceName, SourceKind]
    portals: tuple[PortalName, ...]
    max_devices: int
    max_age: timedelta = timedelta(hours=24)
    without_history: frozenset[SourceName] = frozenset()
    history_unread: frozenset[SourceName] = frozenset()
    without_login: frozenset[SourceName] = frozenset()
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """Paths and patterns by their text: thousands of mappings share a few."""

    paths: dict[str, Path] = field(default_factory=dict)
    patterns: dict[tuple[str, bool], Pattern] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One document being read. A fault makes the load fail, but the reading goes on; a warning does not."""

    document: Document
    faults: Faults
    warnings: Faults
    context: LoadContext
    compiled: Compiled

    def fault(self, spot: Spot, text: str) -> None:
        """Note a problem of the value at a place."""
        self.faults.add(self.document.place(spot), text)

    def warn(self, spot: Spot, text: str) -> None:
        """Note what should be looked at, of the value at a place."""
        self.warnings.add(self.document.place(spot), text)

    def key_fault(self, spot: Spot, text: str) -> None:
        """Note a problem of the key at a place."""
        self.faults.add(self.document.key_place(spot), text)

    def path(self, text: str, spot: Spot) -> Path | None:
        """Return the path that a text is, or None after noting why it is none."""
        known = self.compiled.paths.get(text)
        if known is not None:
            return known
        try:
            path = paths.compiled(text)
        except paths.PathError as error:
            self.fault(spot, str(error))
            return None
        self.compiled.paths[text] = path
        return path

    def pattern(self, text: str, spot: Spot, *, ignore_case: bool = False) -> Pattern | None:
        """Return the pattern that a text is, or None after noting why it is none."""
        known = self.compiled.patterns.get((text, ignore_case))
        if known is not None:
            return known
        try:
            pattern = patterns.compiled(text, ignore_case=ignore_case)
        except patterns.PatternError as error:
            # The four forms of looking around, which RE2 leaves out so that no text takes it long.
            around = any(form in text for form in ("(?=", "(?!", "(?<=", "(?<!"))
            way_out = "RE2 has no look-ahead or look-behind; use 'not:'" if around else "correct it"
            self.fault(spot, f"'{text}' is not a regular expression of RE2: {error} ({way_out})")
            return None
        self.compiled.patterns[text, ignore_case] = pattern
        return pattern


def duration(text: str) -> timedelta:
    """Return a length of time that the schema has accepted, such as 30m."""
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
