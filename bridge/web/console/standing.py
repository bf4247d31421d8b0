"""How those stand that the bridge works with, a line for each portal, source and worker.

It must not judge them: health has, and a line shows what it found.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from bridge.ledger.queries import Figures
from bridge.models import PauseScope, PortalName, SessionId, SourceName
from bridge.vitals import Vitals
from bridge.web.diagnosis import Check, Health


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalLine:
    """A portal: how its last call ended, and whether it is paused."""

    name: str
    called_at: datetime | None
    trouble: str | None
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLine:
    """A source: its last webhook, whether its silence is longer than usual, what was refused by reason."""

    name: str
    last_at: datetime | None
    silent: bool
    refused: tuple[tuple[str, int], ...]
    refused_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLine:
    """A worker session: `alive` where it beat lately; `in_hand` is what it has claimed or is sending."""

    host: str
    session: str
    beat_at: datetime
    alive: bool
    in_hand: int


def portals(
    configured: Iterable[PortalName], figures: Figures, checks: Iterable[Check]
) -> tuple[PortalLine, ...]:
    """Return every portal that is configured, or was called."""
    called = {check.component: check for check in checks if check.name == "portals:last_good_call"}
    paused = {pause.value for pause in figures.pauses if pause.scope is PauseScope.PORTAL}
    everything = any(pause.scope is PauseScope.EVERYTHING for pause in figures.pauses)
    lines = []
    for name in sorted({*configured, *(name for name in called if name)}):
        check = called.get(name)
        lines.append(
            PortalLine(
                name=name,
                called_at=check.at if check else None,
                trouble=check.output if check and check.status is not Health.PASS else None,
                paused=everything or name in paused,
            )
        )
    return tuple(lines)


def sources(
    configured: Iterable[SourceName], figures: Figures, last: Mapping[SourceName, datetime]
) -> tuple[SourceLine, ...]:
    """Return every source that is configured or sent something, and what named none of them."""
    watched = {each.source: each for each in figures.sources}
    lines = []
    for name in sorted({*configured, *last, *(SourceName(each.name) for each in figures.refused)}):
        refused = [each for each in figures.refused if each.name == name]
        seen = watched.get(name)
        lines.append(
            SourceLine(
                name=name,
                last_at=last.get(name),
                silent=seen is not None and seen.silent(figures.now),
                refused=tuple((each.label, each.count) for each in refused),
                refused_at=max((each.last_at for each in refused), default=None),
            )
        )
    return tuple(lines)


def workers(figures: Figures, vitals: Vitals, in_hand: Mapping[SessionId, int]) -> tuple[WorkerLine, ...]:
    """Return every worker session that has not ended, those that beat first."""
    lines = (
        WorkerLine(
            host=each.host,
            session=each.id,
            beat_at=each.beat_at,
            alive=vitals.beats(each, figures.now),
            in_hand=in_hand.get(SessionId(each.id), 0),
        )
        for each in figures.sessions
    )
    return tuple(sorted(lines, key=lambda line: (not line.alive, line.host, line.session)))
