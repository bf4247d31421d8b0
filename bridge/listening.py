"""Learns how long each source is usually silent, so that a longer silence can be told from a quiet night.

It must not warn anybody; health and metrics do.
"""

import threading
from collections.abc import Callable
from datetime import timedelta

import structlog

from bridge.connections import Connections
from bridge.errors import BridgeError
from bridge.ledger import Ledger, watches

log = structlog.get_logger(__name__)

LOOK_SECONDS = 60.0
# A rhythm of hours is not another one after a minute.
EVERY = timedelta(minutes=10)


class Listening:
    """One thread of a worker; `run` returns when `stopping` is set."""

    def __init__(self, *, ledger: Ledger, connections: Callable[[], Connections]) -> None:
        self._ledger = ledger
        self._connections = connections

    def run(self, stopping: threading.Event) -> None:
        """Go on until told to stop, whatever a single look meets."""
        while not stopping.is_set():
            try:
                self.listen()
            except BridgeError as error:
                log.warning("listening.postponed", reason=type(error).__name__)
            except Exception:
                log.exception("listening.failed")
            stopping.wait(LOOK_SECONDS)

    def listen(self) -> None:
        """Learn the rhythm of each source, unless another worker did lately."""
        sources = tuple(self._connections().sources)
        for source in sources:
            self._ledger.write(watches.learn, source=source, every=EVERY)
        self._ledger.write(watches.forget_others, sources=sources)
