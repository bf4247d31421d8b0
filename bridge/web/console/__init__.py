"""The console: pages for people in a browser, over the same use cases as the command line.

It must not hold a rule: a page shows what it is given, and asks `Operations` for what a person does.
"""

from typing import Final

from flask import Blueprint
from flask_wtf.csrf import CSRFProtect

from bridge.roles import Way
from bridge.web.console import (
    access,
    acts,
    backtest,
    deliveries,
    login,
    mappings,
    oidc,
    overview,
    pauses,
    playground,
    runs,
    showing,
    tickets,
)
from bridge.web.console.access import Role
from bridge.web.services import Services

# What the top of every page leads to, for whom.
_NAVIGATION: Final = (
    ("console.overview", "Overview", Role.VIEWER),
    ("console.runs", "Runs", Role.VIEWER),
    ("console.deliveries", "Deliveries", Role.VIEWER),
    ("console.pauses", "Pauses", Role.VIEWER),
    ("console.mappings", "Mappings", Role.VIEWER),
    ("console.playground", "Playground", Role.ADMINISTRATOR),
)


def blueprint(services: Services, csrf: CSRFProtect) -> Blueprint:
    """Return the pages, each part's routes added by its module."""
    door = Blueprint(
        "console", __name__, template_folder="templates", static_folder="static", static_url_path="/static"
    )
    showing.install(door)
    access.install(door, csrf, services)
    if services.signing_in is not None:
        login.install(door, services)
        if Way.OIDC in services.signing_in.ways:
            oidc.install(door, services)
    for part in (overview, runs, deliveries, tickets, acts, pauses, mappings, playground, backtest):
        part.install(door, services)

    @door.context_processor
    def navigation() -> dict[str, object]:
        found = access.known_visitor()
        shown = [(where, words) for where, words, role in _NAVIGATION if found and found.may(role)]
        return {"navigation": shown}

    return door
