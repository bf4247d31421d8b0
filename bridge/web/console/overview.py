"""Shows what is paused, and the newest deliveries and runs.

It must not change anything.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, request

from bridge.ledger import Tx, pausing, queries
from bridge.ledger.queries import DeliveryLine
from bridge.models import Pause, Run, RunState
from bridge.web.console.access import Role, needs
from bridge.web.console.showing import shown
from bridge.web.services import Services

LINES = 50
REFRESH_SECONDS = 5

_TICKET: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def install(door: Blueprint, services: Services) -> None:
    """Add the first page."""

    @door.get("/")
    @needs(Role.VIEWER)
    def overview() -> Response:
        asked = _asked(request.args)
        pauses, deliveries, runs = services.ledger.read(_newest, asked=asked)
        return shown(
            "overview.html",
            asked=asked,
            pauses=pauses,
            deliveries=deliveries,
            runs=runs,
            states=tuple(RunState),
            limit=LINES,
            refresh=REFRESH_SECONDS,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the lists are narrowed to; `possible` is false where no ticket can bear that key."""

    ticket: str
    state: RunState | None
    refreshing: bool

    @property
    def possible(self) -> bool:
        return not self.ticket or _TICKET.fullmatch(self.ticket) is not None


def _asked(given: Mapping[str, str]) -> _Asked:
    state = given.get("state", "")
    return _Asked(
        # Both ticket systems write their keys in capitals.
        ticket=given.get("ticket", "").strip().upper()[:80],
        state=RunState(state) if state in set(RunState) else None,
        refreshing=given.get("refresh") == "on",
    )


def _newest(tx: Tx, *, asked: _Asked) -> tuple[tuple[Pause, ...], tuple[DeliveryLine, ...], tuple[Run, ...]]:
    """Return what is paused, and the newest lines; none for what no ticket can be."""
    ticket = asked.ticket or None
    pauses = pausing.standing(tx)
    if not asked.possible:
        return pauses, (), ()
    return (
        pauses,
        queries.list_deliveries(tx, limit=LINES, ticket=ticket),
        queries.list_runs(tx, limit=LINES, ticket=ticket, state=asked.state),
    )
