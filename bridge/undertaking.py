"""Beats for a worker session, notices sessions whose beat stands still, settles what they left (W1 to W3).

It must not compare wall clocks of hosts: how long a beat stands is timed by our own monotonic clock, and only
while the ledger took our own beat.
"""

import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from bridge import comments
from bridge.connections import Connections
from bridge.errors import Reason
from bridge.ledger import Ledger, sessions
from bridge.models import Occasion, SessionId
from bridge.telling import owed

log = structlog.get_logger(__name__)

# A session is dead when its beat has stood still for so many beats of ours.
DEAD_AFTER_BEATS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    count: int
    seconds: float


class Undertaking:
    """The beat of one worker; `tick` is called every `beat_seconds` from one thread.

    `new_id` gives session ids, `monotonic` seconds.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        connections: Callable[[], Connections],
        new_id: Callable[[], str],
        monotonic: Callable[[], float],
        beat_seconds: float,
    ) -> None:
        self._ledger = ledger
        self._connections = connections
        self._new_id = new_id
        self._monotonic = monotonic
        self._beat_seconds = beat_seconds
        self._standing: dict[SessionId, _Standing] = {}
        self._last_tick: float | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.session = SessionId("")

    def open(self) -> bool:
        """Open a session; return True where the ledger looks restored or moved (W7)."""
        session = SessionId(f"s{self._new_id()}")
        suspicious = self._ledger.write(
            sessions.open_session, session=session, host=socket.gethostname(), pid=os.getpid()
        )
        self.session = session
        if suspicious:
            log.error("ledger.restored_or_moved", session=session)
        return suspicious

    def close(self) -> None:
        """Close the session and beat no more; calls still under way then become unknown."""
        with self._lock:
            self._closed = True
        self._ledger.write(sessions.close_session, session=self.session)

    def tick(self) -> None:
        """Beat, look at the others, settle what is left; raise LedgerUnavailable where that fails."""
        with self._lock:
            if not self._closed:
                self._tick()

    def _tick(self) -> None:
        if not self._ledger.write(sessions.beat, session=self.session):
            # Others took us for dead while this process stood still; what it still has it records (S8).
            log.error("session.declared_dead", session=self.session)
            self.open()
        now = self._monotonic()
        # After a pause of our own, or of the ledger, one beat's time is all that we can vouch for.
        passed = 0.0 if self._last_tick is None else min(now - self._last_tick, self._beat_seconds)
        self._last_tick = now
        self._observe(passed)
        self._settle()

    def _observe(self, passed: float) -> None:
        seen: dict[SessionId, _Standing] = {}
        for beat in self._ledger.read(sessions.beats):
            if beat.session == self.session:
                continue
            before = self._standing.get(beat.session)
            still = before is not None and before.count == beat.count
            seconds = before.seconds + passed if before is not None and still else 0.0
            if seconds >= DEAD_AFTER_BEATS * self._beat_seconds:
                if self._ledger.write(sessions.bury, session=beat.session, seen=beat.count):
                    log.error("session.dead", session=beat.session)
                continue
            seen[beat.session] = _Standing(count=beat.count, seconds=seconds)
        self._standing = seen

    def _settle(self) -> None:
        if count := self._ledger.write(sessions.take_back):
            log.warning("runs.taken_back", count=count)
        for left in self._ledger.read(sessions.bereaved):
            run = left.run
            connections = self._connections()
            if run.ticket.source not in connections.sources or run.plan is None:
                continue
            report = comments.answered(run.id, run.plan, left.calls)
            comment = owed(
                connections,
                run.ticket,
                run=run.id,
                delivery=run.delivery,
                occasion=Occasion.UNKNOWN,
                n=len(left.calls),
                visibility=run.plan.style.visibility,
                report=report,
                after=run.plan.after,
            )
            if self._ledger.write(
                sessions.declare_unknown, run=run, reason=Reason.WORKER_LOST, comment=comment
            ):
                log.error("run.unknown", run=run.id, reason=Reason.WORKER_LOST)
