"""What the administrators of ticket systems need, and what came from a source while somebody tries it.

It must not show a secret, nor a payload.
"""

from datetime import datetime, timedelta
from typing import Final

from flask import Blueprint, Response, request

from bridge import kits
from bridge.errors import NotPossible
from bridge.kits import Kind
from bridge.ledger import Tx, listing, queries
from bridge.ledger.listing import Span, WantedDeliveries
from bridge.ledger.queries import DeliveryLine, Total
from bridge.settings import SourceSettings
from bridge.vitals import UNKNOWN_SOURCE
from bridge.web.console.access import Role, needs
from bridge.web.console.showing import shown
from bridge.web.services import Services

LINES: Final = 20
# A page that stays open shows no more than the last of it.
LONGEST: Final = timedelta(hours=1)


def install(door: Blueprint, services: Services) -> None:
    """Add the list of the kits, and each kit with what arrived since it was opened."""

    @door.get("/kits")
    @needs(Role.ADMINISTRATOR)
    def kits_there_are() -> Response:
        settings, mapping_set = services.settings(), services.mapping_set()
        rules = mapping_set.mappings if mapping_set else ()
        return shown(
            "kits.html",
            sources=[
                (source, kits.kind_of(source), sum(rule.source == source.name for rule in rules))
                for source in settings.sources
            ],
            public_url=settings.public_url,
        )

    @door.get("/kits/<kind>")
    @needs(Role.ADMINISTRATOR)
    def kit(kind: str) -> Response:
        settings, now = services.settings(), services.clock()
        source = _source(kind, settings.sources, request.args.get("source"))
        since = _since(request.args.get("since", ""), now)
        arrived, refused = services.ledger.read(_arrived, source=source.name, since=since)
        return shown(
            "kit.html",
            kit=kits.make(source, services.mapping_set(), settings.public_url),
            since=since,
            arrived=arrived,
            refused=[(each, kits.REFUSED.get(each.label, "")) for each in refused],
        )


def _source(kind: str, sources: tuple[SourceSettings, ...], name: str | None) -> SourceSettings:
    """Return the source that is meant, the first of its kind where none is named."""
    for source in sources:
        if kits.kind_of(source) == kind and name in (None, source.name):
            return source
    raise NotPossible(f"no source of the kind {kind} is configured (kinds: {', '.join(Kind)})")


def _since(text: str, now: datetime) -> datetime:
    """Return when the page was opened: now, unless its own address says so."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        return now
    return now if given.tzinfo is None else min(max(given, now - LONGEST), now)


def _arrived(tx: Tx, *, source: str, since: datetime) -> tuple[tuple[DeliveryLine, ...], tuple[Total, ...]]:
    wanted = WantedDeliveries(source=source, received=Span(since=since))
    page = listing.page_of_deliveries(tx, wanted=wanted, limit=LINES)
    # A wrong address names no source of ours: that is worth seeing here too.
    refused = [
        each
        for each in queries.refused(tx)
        if each.name in (source, UNKNOWN_SOURCE) and each.last_at >= since
    ]
    return page.deliveries, tuple(refused)
