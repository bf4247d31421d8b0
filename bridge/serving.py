"""Constructs the web process: the use cases, their vitals, and the application in front of them.

It must not start a thread: gunicorn does that in each worker process, through `WebProcess`.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bridge import logs, web
from bridge.bootstrap import Bridge, open_bridge, read_live_settings, utc_now
from bridge.undertaking import DEAD_AFTER_BEATS
from bridge.vitals import Vitals

# A sender waits 10 to 30 seconds: it is told of a ledger that stands still while it still listens.
WRITE_TIMEOUT = 4.0


class Part(Protocol):
    """What starts after the ledger, and stops before it."""

    def start(self) -> None:
        """Start its threads."""

    def stop(self) -> None:
        """End them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebProcess:
    """What runs behind the application in one web process."""

    bridge: Bridge
    vitals: Vitals
    console: Part | None

    def start(self) -> None:
        """Learn what is in force, and look at the ledger from then on."""
        self.bridge.start()
        self.vitals.start()
        if self.console is not None:
            self.console.start()

    def stop(self) -> None:
        """Write what is queued and let go of everything."""
        if self.console is not None:
            self.console.stop()
        self.vitals.stop()
        self.bridge.stop()


def create_app(environ: Mapping[str, str] | None = None) -> web.Application:
    """Return the application; `app.extensions["bridge"]` is its WebProcess, to be started before use.

    Raises ConfigurationError where the settings cannot work.
    """
    live = read_live_settings(environ)
    settings = live.current()
    logs.configure(settings.log_level)
    bridge = open_bridge(live, write_timeout=WRITE_TIMEOUT)
    # The processes that gunicorn makes of this one must not find a connection that several would use.
    bridge.ledger.engine.dispose()
    vitals = Vitals(
        ledger=bridge.ledger,
        sources=lambda: bridge.watching.connections().sources,
        monotonic=time.monotonic,
        worker_seconds=DEAD_AFTER_BEATS * settings.beat_seconds,
    )
    console = None
    if settings.console != "off":
        from bridge.bootstrap.console import open_console  # noqa: PLC0415 - most run without, and start sooner

        console = open_console(bridge, vitals)
    app = web.create_app(
        receiving=bridge.receiving,
        connections=bridge.watching.connections,
        vitals=vitals,
        has_mapping_set=lambda: bridge.watching.mapping_set() is not None,
        clock=utc_now,
        threads=settings.web_threads,
        add_console=console.add_to if console else None,
    )
    app.extensions["bridge"] = WebProcess(bridge=bridge, vitals=vitals, console=console)
    return app
