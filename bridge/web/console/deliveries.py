"""Shows the deliveries by pages, and each with what every mapping decided on it.

It must not change anything, nor show a payload.
"""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, request

from bridge import why
from bridge.ledger import listing, queries
from bridge.ledger.listing import Came, WantedDeliveries
from bridge.models import DeliveryId
from bridge.web.console.access import Role, needs
from bridge.web.console.asking import Asking, Reader
from bridge.web.console.showing import identifier, shown
from bridge.web.services import Services

LINES: Final = 50
_CAME: Final = {
    Came.RUN: "a run",
    Came.NO_MAPPING: "no mapping fired",
    Came.NEEDLESS: "it needed nothing",
    Came.WAITING: "it waits",
}


def install(door: Blueprint, services: Services) -> None:
    """Add the list of deliveries and the page of one."""

    @door.get("/deliveries")
    @needs(Role.VIEWER)
    def deliveries() -> Response:
        asked, wanted = _asked()
        page = None
        if not asked.problems:
            page = services.ledger.read(
                listing.page_of_deliveries, wanted=wanted, limit=LINES, behind=asked.behind
            )
        return shown(
            "deliveries.html",
            HTTPStatus.BAD_REQUEST if asked.problems else HTTPStatus.OK,
            asked=asked,
            page=page,
            came=tuple(_CAME.items()),
            sources=tuple((name, name) for name in services.connections().sources),
        )

    @door.get("/deliveries/<delivery>")
    @needs(Role.VIEWER)
    def delivery(delivery: str) -> Response:
        found = services.ledger.read(queries.one_delivery, delivery=DeliveryId(identifier(delivery)))
        return shown("delivery.html", delivery=found, answer=why.of_delivery(found))


def _asked() -> tuple[Asking, WantedDeliveries]:
    reader = Reader(request.args)
    wanted = WantedDeliveries(
        ticket=reader.ticket(),
        source=reader.text("source"),
        came=reader.choice("came", Came),
        received=reader.span(),
    )
    return reader.done(), wanted
