"""Shows a delivery and what every mapping decided on it.

It must not change anything, nor show a payload.
"""

from flask import Blueprint, Response

from bridge.ledger import queries
from bridge.models import DeliveryId
from bridge.web.console.access import Role, needs
from bridge.web.console.showing import identifier, shown
from bridge.web.services import Services


def install(door: Blueprint, services: Services) -> None:
    """Add the page of a delivery."""

    @door.get("/deliveries/<delivery>")
    @needs(Role.VIEWER)
    def delivery(delivery: str) -> Response:
        found = services.ledger.read(queries.one_delivery, delivery=DeliveryId(identifier(delivery)))
        return shown("delivery.html", delivery=found)
