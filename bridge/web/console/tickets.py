"""Shows all that is known of a ticket: in one sentence why nothing ran, then its runs and deliveries.

It must not ask the ticket system, nor show what the ticket holds.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from bridge import why
from bridge.ledger import Tx, listing, queries
from bridge.ledger.listing import DeliveriesPage, RunsPage, WantedDeliveries, WantedRuns
from bridge.ledger.queries import Total
from bridge.models import Run
from bridge.ticketing import keys
from bridge.web.console.access import Role, needs
from bridge.web.console.showing import shown
from bridge.web.services import Services

LINES: Final = 50


def install(door: Blueprint, services: Services) -> None:
    """Add the page of a ticket, and the way to it from the search."""

    @door.get("/tickets")
    @needs(Role.VIEWER)
    def find_ticket() -> ResponseReturnValue:
        return _led_to(request.args.get("ticket", ""))

    @door.get("/tickets/<key>")
    @needs(Role.VIEWER)
    def ticket(key: str) -> ResponseReturnValue:
        if not keys.is_key(key) or key != keys.as_written(key):
            return _led_to(key)
        found = services.ledger.read(_about, key=key)
        deliveries, runs = found.deliveries.deliveries, found.runs.runs
        return shown(
            "ticket.html",
            key=key,
            sought=key,
            found=found,
            answer=why.of_ticket(deliveries, runs),
            latest=why.since(deliveries, runs),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the ledger knows of a ticket; `refused` counts what was turned away, whatever it was about."""

    runs: RunsPage
    deliveries: DeliveriesPage
    refused: tuple[Total, ...]

    @property
    def addresses(self) -> tuple[Run, ...]:
        """Return a run for each place where the ticket stands: two systems may use the same key."""
        return tuple({run.ticket.source: run for run in reversed(self.runs.runs)}.values())


def _about(tx: Tx, *, key: str) -> _Found:
    return _Found(
        runs=listing.page_of_runs(tx, wanted=WantedRuns(ticket=key), limit=LINES),
        deliveries=listing.page_of_deliveries(tx, wanted=WantedDeliveries(ticket=key), limit=LINES),
        refused=queries.refused(tx),
    )


def _led_to(text: str) -> ResponseReturnValue:
    """Lead to the page of a key as its system writes it, or say that it is none."""
    key = keys.as_written(text)
    if keys.is_key(key):
        return redirect(url_for(".ticket", key=key))
    words = "This is no ticket's key. Write it as SUP-7 or INC0010023."
    return shown("missing.html", HTTPStatus.NOT_FOUND, text=words, sought=text.strip())
