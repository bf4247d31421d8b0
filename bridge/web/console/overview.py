"""Shows what needs a person, what came and ran lately, what waits, and how everybody does who takes part.

It must not change anything, nor judge: what is wanting, health says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import Blueprint, Response, request

from bridge.charting import Last
from bridge.ledger import Tx, onlooking, pausing
from bridge.ledger.onlooking import EngineLine, Pressing, PressingRun
from bridge.models import Pause, SessionId, SourceName
from bridge.web import diagnosis
from bridge.web.console import charts, standing
from bridge.web.console.access import Role, needs
from bridge.web.console.concerns import concerns
from bridge.web.console.showing import shown
from bridge.web.services import Services

REFRESH_SECONDS: Final = 5


def install(door: Blueprint, services: Services) -> None:
    """Add the first page."""

    @door.get("/")
    @needs(Role.VIEWER)
    def overview() -> Response:
        asked = request.args.get("last", "")
        last = Last(asked) if asked in set(Last) else Last.DAY
        traffic = services.charting.over(last)
        seen = services.ledger.read(_look)
        snapshot = services.vitals.snapshot()
        checks = diagnosis.diagnose(
            snapshot,
            commit_age=services.vitals.commit_age(),
            has_mapping_set=services.has_mapping_set(),
        )
        connections = services.connections()
        figures = snapshot.figures if snapshot else None
        return shown(
            "overview.html",
            last=last,
            choices=tuple(Last),
            live=request.args.get("live") != "off",
            refresh=REFRESH_SECONDS,
            concerns=concerns(checks, seen.pressing),
            pauses=seen.pauses,
            counted_at=traffic.at,
            deliveries=charts.of_deliveries(traffic, last),
            runs=charts.of_runs(traffic, last),
            figures=figures,
            portals=standing.portals(connections.portals, figures, checks) if figures else (),
            sources=standing.sources(connections.sources, figures, seen.last_webhooks) if figures else (),
            workers=standing.workers(figures, services.vitals, seen.in_hand) if figures else (),
            engines=seen.engines,
            looked_at=onlooking.RUNS_LOOKED_AT,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What is read for every look, on one snapshot."""

    pauses: tuple[Pause, ...]
    engines: tuple[EngineLine, ...]
    last_webhooks: Mapping[SourceName, datetime]
    in_hand: Mapping[SessionId, int]
    pressing: Mapping[Pressing, tuple[PressingRun, ...]]


def _look(tx: Tx) -> _Seen:
    return _Seen(
        pauses=pausing.standing(tx),
        engines=onlooking.engines(tx),
        last_webhooks=onlooking.last_webhooks(tx),
        in_hand=onlooking.in_hand(tx),
        pressing=onlooking.pressing(tx),
    )
