"""The web process's application: webhooks, health, metrics, and the console.

It must not construct use cases, nor start anything; a request is all that it acts on.
"""

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
    add_console: Callable[[Application], None] | None,
) -> Application:
    """Return the application over these use cases; `threads` is how many requests it serves at once.

    Without `add_console` there is no console.
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
    if add_console is not None:
        add_console(app)
    return app
