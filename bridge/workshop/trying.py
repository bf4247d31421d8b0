"""What is done in the process apart: mapping texts are checked, held against a payload, and backtested.

It must not send, look anything up or write: it knows values only, and nothing that reaches outside.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from bridge import describing
from bridge.backtesting import Backtest, Backtesting
from bridge.checking import CheckResult, check, parsed_by, unread
from bridge.connections import Connections, Source
from bridge.errors import ConfigurationError, WebhookRefused
from bridge.explaining import Explanation, explained
from bridge.ledger.stored import Stored
from bridge.mapping import excerpts, language
from bridge.mapping.documents import Fault
from bridge.mapping.excerpts import Line
from bridge.mapping.language import MappingSet, MappingTexts
from bridge.mapping.reading import LoadContext
from bridge.mapping_files import MappingFiles
from bridge.models import (
    Decision,
    Ignored,
    Outcome,
    Person,
    Plan,
    PortalName,
    Problem,
    SourceName,
    Trust,
)
from bridge.nexthink import PortalConfig
from bridge.previewing import Preview
from bridge.resolving import Later
from bridge.ticketing import TicketSystem
from bridge.transport import Transport, trusting_nobody
from bridge.workshop.foretelling import Told, told_of

# Of thousands of mappings nobody reads every miss.
MISSES_SHOWN: Final = 25
# Of thousands of problems nobody mends more at once.
PROBLEMS_SHOWN: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where mapping texts are tried: what they may name, and how its systems and portals are spoken to.

    None of it holds a secret, neither the systems nor the portals.
    """

    context: LoadContext
    samples: Path
    systems: Mapping[SourceName, TicketSystem] = field(repr=False)
    reads: frozenset[SourceName]
    portals: Mapping[PortalName, PortalConfig] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one mapping makes of the payload: its bounds as (kind, text), its requests, what is told."""

    decision: Decision
    bounds: tuple[tuple[str, str], ...]
    requests: tuple[Preview, ...] | Problem | Later | None
    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A problem; `place` and `lines` say where, as far as it names a place in a text that is tried."""

    text: str
    place: str | None = None
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found; `more` were left out. `loaded` False: nothing can be made of the texts."""

    problems: tuple[Marked, ...]
    warnings: tuple[str, ...]
    more: int
    loaded: bool
    tests_run: int
    tests_failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of trying texts; without a payload no attempts. `refused` says why it is no ticket."""

    checked: Checked
    attempts: tuple[Attempt, ...] = ()
    misses_left_out: int = 0
    ignored: Ignored | None = None
    refused: Marked | None = None


def tried(
    place: Place, texts: MappingTexts, *, source: SourceName | None, body: bytes, at: datetime
) -> Tried:
    """Check texts with their tests, and hold a payload of a source against them."""
    files = MappingFiles(texts=texts, directory=place.samples)
    result = check(files, place.context, parsed_by(place.systems, at))
    checked = _checked(texts, result)
    if result.mapping_set is None or source is None or not body.strip():
        return Tried(checked=checked)
    return _explained(place, checked, result.mapping_set, source=source, body=body, at=at)


def backtested(
    place: Place,
    before: MappingTexts,
    after: MappingTexts,
    *,
    accounts: Mapping[SourceName, Person],
    stored: tuple[Stored, ...],
) -> Backtest | Checked:
    """Hold stored deliveries against two sets of texts; what cannot be read of the newer comes back."""
    old = language.load(before, place.context)
    try:
        new = language.load(after, place.context)
    except ConfigurationError as error:
        return _checked(after, unread(error.problems))
    backtesting = Backtesting(connections=_unreachable(place), accounts=accounts, before=old, after=new)
    return backtesting.compare(stored)


def _checked(texts: MappingTexts, result: CheckResult) -> Checked:
    by_name = dict((texts.catalogue, *texts.mappings))
    problems = result.problems[:PROBLEMS_SHOWN]
    warnings = result.warnings[:PROBLEMS_SHOWN]
    return Checked(
        problems=tuple(_marked(problem, by_name) for problem in problems),
        warnings=warnings,
        more=len(result.problems) + len(result.warnings) - len(problems) - len(warnings),
        loaded=result.mapping_set is not None,
        tests_run=result.tests_run,
        tests_failed=result.tests_failed,
    )


def _marked(problem: str, by_name: Mapping[str, str]) -> Marked:
    fault = Fault.read(problem)
    if fault is None:
        return Marked(text=problem)
    place = f"{fault.file}:{fault.line}:{fault.column}"
    lines = excerpts.around(by_name.get(fault.file, ""), fault.line)
    return Marked(text=fault.text, place=place, lines=lines)


def _unreadable(body: bytes, detail: str) -> Marked:
    """Say where a payload stops being JSON; who pasted it may see what it holds."""
    try:
        json.loads(body)
    except json.JSONDecodeError as error:
        lines = excerpts.around(error.doc, error.lineno)
        return Marked(
            text=f"{error.msg} ({detail})", place=f"payload:{error.lineno}:{error.colno}", lines=lines
        )
    except (ValueError, RecursionError):
        pass
    return Marked(text=detail)


def _explained(
    place: Place, checked: Checked, mapping_set: MappingSet, *, source: SourceName, body: bytes, at: datetime
) -> Tried:
    try:
        found = explained(
            body,
            system=place.systems[source],
            portals=place.portals,
            mapping_set=mapping_set,
            look_up=None,
            received_at=at,
        )
    except WebhookRefused as error:
        return Tried(checked=checked, refused=_unreadable(body, error.detail))
    if isinstance(found, Ignored):
        return Tried(checked=checked, ignored=found)
    shown = found[: MISSES_SHOWN + sum(each.decision.outcome is not Outcome.MISSED for each in found)]
    return Tried(
        checked=checked,
        attempts=tuple(_attempt(each, place) for each in shown),
        misses_left_out=len(found) - len(shown),
    )


def _attempt(one: Explanation, place: Place) -> Attempt:
    result = one.decision.result
    bounds: tuple[tuple[str, str], ...] = ()
    if isinstance(result, Plan) and one.rule is not None:
        bounds = tuple(describing.bounds(result, one.rule))
    return Attempt(
        decision=one.decision,
        bounds=bounds,
        requests=one.requests,
        told=tuple(told_of(result, place.portals)) if result else (),
    )


def _unreachable(place: Place) -> Connections:
    """Return connections by which deliveries can be read and nothing can be reached."""
    nobody = Transport(ca_file=None, context_of=trusting_nobody)
    sources = {
        name: Source(
            system=system,
            transport=nobody,
            max_body_bytes=0,
            trust=Trust.PAYLOAD,
            fetch=name in place.reads,
        )
        for name, system in place.systems.items()
    }
    return Connections(sources=sources, portals={})
