"""From the texts of the files to the mapping set in force, with every problem reported at once.

It must not read files, run tests or look at tickets.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import re2
from jsonschema.protocols import Validator

from bridge.errors import ConfigurationError
from bridge.mapping import catalogue, documents, entries, schemas
from bridge.mapping.cases import Case
from bridge.mapping.cases import build as build_case
from bridge.mapping.catalogue import Catalogue
from bridge.mapping.documents import Document, Faults, Place
from bridge.mapping.documents import Path as Spot
from bridge.mapping.entry import Entry
from bridge.mapping.parameters import Shape
from bridge.mapping.reading import Compiled, LoadContext, Reading
from bridge.mapping.rules import MappingRule
from bridge.mapping.shortlist import Shortlist, shortlist
from bridge.mapping.wording import nearest
from bridge.models import EventKind, Json, Mode, SourceName

# As `_note_identifiers` writes it.
_STANDS_TWICE: Final = re2.compile(
    r"mapping '.*' stands in ([^:\n]+):[0-9]+:[0-9]+ too \(give one another id\)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingTexts:
    """The files as they were read: (name, text) of the catalogue, and of each mapping file."""

    catalogue: tuple[str, str]
    mappings: tuple[tuple[str, str], ...]

    @property
    def hash(self) -> str:
        """Return what names this set everywhere: the SHA-256 over all names and texts, in hex."""
        digest = hashlib.sha256()
        for part in (part for pair in (self.catalogue, *sorted(self.mappings)) for part in pair):
            raw = part.encode("utf-8", "surrogatepass")
            # The length keeps ("a", "bc") and ("ab", "c") apart.
            digest.update(f"{len(raw)}:".encode() + raw)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingSet:
    """Everything in force."""

    hash: str
    catalogue: Catalogue
    mappings: tuple[MappingRule, ...]
    cases: tuple[Case, ...]
    warnings: tuple[str, ...]
    by_event: Mapping[tuple[SourceName, EventKind], Shortlist] = field(repr=False, compare=False)

    @property
    def live(self) -> int:
        """Return how many mappings would send."""
        return sum(rule.mode is Mode.LIVE for rule in self.mappings)


def load(texts: MappingTexts, context: LoadContext) -> MappingSet:
    """Return the mapping set of the texts; raise ConfigurationError with every problem of every file."""
    loading = _Loading(context=context)
    known = loading.catalogue(*texts.catalogue)
    files = [loading.mapping_file(name, text, known) for name, text in sorted(texts.mappings)]
    mappings = tuple(rule for rules, _ in files for rule in rules)
    cases = tuple(case for _, more in files for case in more)
    loading.check_expectations(cases)
    if loading.faults:
        raise ConfigurationError(loading.faults.sorted())
    assert known is not None, "a catalogue that cannot be read is a fault"
    return MappingSet(
        hash=texts.hash,
        catalogue=known,
        mappings=mappings,
        cases=cases,
        warnings=(*_warnings(known), *loading.warnings.sorted()),
        by_event=_indexed(mappings),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loading:
    """One run of `load`: what it has noted so far. `seen` says where each mapping's identifier stands."""

    context: LoadContext
    faults: Faults = field(default_factory=Faults)
    warnings: Faults = field(default_factory=Faults)
    compiled: Compiled = field(default_factory=Compiled)
    seen: dict[str, Place] = field(default_factory=dict)
    schema: Validator = field(default_factory=lambda: schemas.validator(schemas.MAPPINGS))

    def catalogue(self, name: str, text: str) -> Catalogue | None:
        """Return the catalogue, or None after noting why it cannot be read."""
        document = documents.read(name, text, self.faults)
        if document is None:
            return None
        faulty = schemas.check(document, schemas.validator(schemas.ACTIONS), self.faults)
        return catalogue.build(self._reading(document), faulty)

    def mapping_file(
        self, name: str, text: str, known: Catalogue | None
    ) -> tuple[list[MappingRule], list[Case]]:
        """Return the mappings and tests of a file; what is wrong is noted and left out."""
        document = documents.read(name, text, self.faults)
        if document is None:
            return [], []
        faulty = schemas.check(document, self.schema, self.faults)
        data = document.data if isinstance(document.data, dict) else {}
        reading = self._reading(document)
        rules = list(self._mappings(data, faulty, reading, known))
        cases = [build_case(entry, spot, reading) for entry, spot in _sound(data, "tests", faulty)]
        return rules, cases

    def check_expectations(self, cases: tuple[Case, ...]) -> None:
        """Note tests that expect a mapping that does not stand in any file."""
        for expected in (one for case in cases for one in case.expect):
            if expected.mapping not in self.seen:
                way_out = nearest(expected.mapping, self.seen)
                self.faults.add(expected.place, f"unknown mapping '{expected.mapping}' ({way_out})")

    def _mappings(
        self, data: Json, faulty: frozenset[Spot], reading: Reading, known: Catalogue | None
    ) -> Iterator[MappingRule]:
        self._note_identifiers(data, reading)
        if any(path[:1] == ("defaults",) for path in faulty):
            return
        for own, spot in _sound(data, "mappings", faulty):
            entry = Entry(own=own, defaults=data.get("defaults", {}), spot=spot, reading=reading)
            rule = entries.build(entry, known)
            if rule is not None:
                yield rule

    def _note_identifiers(self, data: Json, reading: Reading) -> None:
        """Note where each mapping stands, those with faults too, and identifiers that stand twice."""
        listed = data.get("mappings", [])
        for number, own in enumerate(listed if isinstance(listed, list) else []):
            name = own.get("id") if isinstance(own, dict) else None
            if not isinstance(name, str):
                continue
            spot = ("mappings", number, "id")
            if name in self.seen:
                reading.fault(spot, f"mapping '{name}' stands in {self.seen[name]} too (give one another id)")
            else:
                self.seen[name] = reading.document.place(spot)

    def _reading(self, document: Document) -> Reading:
        return Reading(
            document=document,
            faults=self.faults,
            warnings=self.warnings,
            context=self.context,
            compiled=self.compiled,
        )


def other_file(problem: str) -> str | None:
    """Return the file that holds a mapping's id already, where that is a problem; else None."""
    found = _STANDS_TWICE.fullmatch(problem)
    return found[1] if found else None


def _sound(data: Json, key: str, faulty: frozenset[Spot]) -> Iterator[tuple[Json, Spot]]:
    """Yield the entries of a list that fit the schema, each with its place."""
    broken = {path[1] for path in faulty if len(path) > 1 and path[0] == key}
    if (key,) in faulty:
        return
    for number, entry in enumerate(data.get(key, [])):
        if number not in broken:
            yield entry, (key, number)


def _warnings(known: Catalogue) -> Iterator[str]:
    """List what is allowed but should be looked at by whoever owns the catalogue."""
    for action in known.actions.values():
        for rule in action.params:
            if rule.shape is Shape.ANYTHING:
                yield f"{rule.place}: '{rule.name}' of action '{action.name}' takes any text"


def _indexed(mappings: tuple[MappingRule, ...]) -> dict[tuple[SourceName, EventKind], Shortlist]:
    index: dict[tuple[SourceName, EventKind], list[MappingRule]] = {}
    for rule in mappings:
        for event in rule.events:
            index.setdefault((rule.source, event), []).append(rule)
    return {key: shortlist(rules) for key, rules in index.items()}
