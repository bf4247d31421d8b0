"""The console: pages for people in a browser, over the same use cases as the command line.

It must not hold a rule: a page shows what it is given, and asks `Operations` for what a person does.
"""

import secrets
from typing import Final

from flask import Blueprint, Flask
from flask_wtf.csrf import CSRFProtect

from bridge.roles import Way
from bridge.web.console import (
    access,
    acts,
    backtest,
    callers,
    crowding,
    deliveries,
    kits,
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
    ("console.kits_there_are", "Kits", Role.ADMINISTRATOR),
)


def add_to(app: Flask, services: Services) -> None:
    """Add the console to an application; raise ConfigurationError where a way to sign in cannot work."""
    settings = services.settings()
    # Made here, before gunicorn makes its processes, so that all of them know each other's forms.
    given = settings.console_secret
    app.secret_key = secrets.token_bytes(32) if given is None else given.get_secret_value().encode()
    app.config.update(
        # The console asks for it; a webhook proves itself otherwise.
        WTF_CSRF_CHECK_DEFAULT=False,
        # A form is good as long as the session that it was made for.
        WTF_CSRF_TIME_LIMIT=None,
        # Our pages tell no address to anybody, not even to us.
        WTF_CSRF_SSL_STRICT=False,
        SESSION_COOKIE_NAME=callers.own_name("console", settings),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SECURE=callers.is_https(settings),
        SESSION_COOKIE_SAMESITE="Lax",
    )
    app.register_blueprint(_blueprint(services, CSRFProtect(app)))


def _blueprint(services: Services, csrf: CSRFProtect) -> Blueprint:
    door = Blueprint(
        "console", __name__, template_folder="templates", static_folder="static", static_url_path="/static"
    )
    showing.install(door)
    crowding.install(door, threads=services.settings().web_threads)
    access.install(door, csrf, services)
    if services.signing_in is not None:
        login.install(door, services)
        if Way.OIDC in services.signing_in.ways:
            oidc.install(door, services)
    for part in (overview, runs, deliveries, tickets, acts, pauses, mappings, playground, backtest, kits):
        part.install(door, services)

    @door.context_processor
    def navigation() -> dict[str, object]:
        found = access.known_visitor()
        shown = [(where, words) for where, words, role in _NAVIGATION if found and found.may(role)]
        return {"navigation": shown}

    return door
