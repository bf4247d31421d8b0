"""The web process's application: webhooks, health, metrics, and the console.

It must not construct use cases, nor start anything; a request is all that it acts on.
"""

import secrets
import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from flask import Flask
from jinja2 import StrictUndefined

from bridge.connections import Connections
from bridge.receiving import Receiving
from bridge.vitals import Vitals
from bridge.web import health, metrics, problems, schemas, webhooks
from bridge.web.services import Services
from bridge.web.turnstile import KEPT_FREE, Turnstile

# What composition may speak of without knowing the framework.
Application: TypeAlias = Flask


def create_app(
    *,
    receiving: Receiving,
    connections: Callable[[], Connections],
    vitals: Vitals,
    has_mapping_set: Callable[[], bool],
    clock: Callable[[], datetime],
    threads: int,
    console: Services | None,
) -> Application:
    """Return the application over these use cases; `threads` is how many requests it serves at once.

    Without `console` there is none.
    """
    app = Flask(__name__, static_folder=None)
    # A redirect would lead to whatever the Host header says: a wrong address is not found instead.
    app.url_map.merge_slashes = False
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True, "undefined": StrictUndefined}
    problems.install(app)
    app.register_blueprint(
        webhooks.blueprint(
            receiving=receiving,
            connections=connections,
            vitals=vitals,
            turnstile=Turnstile(places=max(1, threads - KEPT_FREE), monotonic=time.monotonic),
            clock=clock,
        )
    )
    app.register_blueprint(health.blueprint(vitals=vitals, has_mapping_set=has_mapping_set))
    app.register_blueprint(metrics.blueprint(vitals=vitals))
    app.register_blueprint(schemas.blueprint())
    if console is not None:
        _add_console(app, console)
    return app


def _add_console(app: Flask, services: Services) -> None:
    from flask_wtf.csrf import CSRFProtect  # noqa: PLC0415 - most bridges run without, and start sooner

    from bridge.web.console import blueprint, callers  # noqa: PLC0415 - as above

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
    app.register_blueprint(blueprint(services, CSRFProtect(app)))
