"""Stops claiming for a portal that cannot be reached, and finds out by reading when it is back (W4).

It must never use an action as a probe.
"""

import threading
from collections.abc import Callable

import structlog

from bridge.errors import Reason
from bridge.models import CallResult, CallState, PortalName

log = structlog.get_logger(__name__)

# So many calls in a row that did not get through close a portal for this worker.
FAILURES = 3
PROBE_SECONDS = 15.0

_NOT_REACHED = frozenset({Reason.NOT_CONNECTED, Reason.TLS_FAILED, Reason.TOO_LATE_TO_SEND, Reason.DEADLINE})


class PortalCare:
    """Counts failures to connect; `probe` returns why a read failed, None where it did not."""

    def __init__(
        self, *, probe: Callable[[PortalName], Reason | None], monotonic: Callable[[], float]
    ) -> None:
        self._probe = probe
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failures: dict[PortalName, int] = {}
        self._next_probe: dict[PortalName, float] = {}

    def note(self, portal: PortalName, result: CallResult) -> None:
        """Take in how a call ended."""
        failed = result.state is CallState.NOT_SENT and result.reason in _NOT_REACHED
        with self._lock:
            self._failures[portal] = self._failures.get(portal, 0) + 1 if failed else 0

    def takes_work(self, portal: PortalName) -> bool:
        """Say whether runs of a portal may be claimed."""
        with self._lock:
            return self._failures.get(portal, 0) < FAILURES

    def probe_if_due(self, portal: PortalName) -> None:
        """Ask a closed portal, at most one question at a time; any answer of its own opens it."""
        with self._lock:
            closed = self._failures.get(portal, 0) >= FAILURES
            if not closed or self._monotonic() < self._next_probe.get(portal, 0.0):
                return
            self._next_probe[portal] = self._monotonic() + PROBE_SECONDS
        reason = self._probe(portal)
        if reason not in _NOT_REACHED:
            log.info("portal.reached_again", portal=portal)
            with self._lock:
                self._failures[portal] = 0
