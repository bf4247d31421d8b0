"""Waits until there may be work: for another process's commit, or for a nudge from a thread of this one.

It must not be relied on for anything but speed: a missed wake-up only costs a poll interval.
"""

import select
import socket
import time
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bridge.ledger import Tx
from bridge.ledger.connecting import patience

CHANNEL = "bridge_work"
_NOTIFY: Final = text(f"NOTIFY {CHANNEL}")
# SQLite tells of commits by others only when asked; asking costs a few microseconds.
SQLITE_LOOK_SECONDS = 0.1
# More nudges than this at once are one nudge.
_NUDGES = 4096


def ring(tx: Tx) -> None:
    """Wake the workers of all hosts when this transaction commits (PostgreSQL; SQLite's are looking)."""
    if tx.connection.dialect.name == "postgresql":
        tx.at_the_end(_NOTIFY)


class Waker:
    """Tells one thread of changes; any thread may `nudge` it. `close` when done."""

    def __init__(self, engine: Engine, stopping: Callable[[], bool]) -> None:
        self._engine = engine
        self._stopping = stopping
        self._sqlite = engine.dialect.name == "sqlite"
        self._connection: Connection | None = None
        # The module that speaks to the database; on SQLite nothing of PostgreSQL's is even loaded.
        self._driver = engine.dialect.loaded_dbapi
        self._listener: Any = None
        self._version: int | None = None
        self._nudged, self._nudging = socket.socketpair()
        self._nudged.setblocking(False)
        self._nudging.setblocking(False)

    def nudge(self) -> None:
        """End the wait that is under way, or the next one."""
        try:
            self._nudging.send(b"!")
        except OSError:
            # So many nudges are waiting already that none is needed, or the waker is closed.
            return

    def wait(self, seconds: float) -> None:
        """Return when there may be work, when `seconds` are over, or when we are stopping."""
        if self._sqlite:
            self._wait_sqlite(seconds)
        else:
            self._wait_postgresql(seconds)

    def close(self) -> None:
        """Close the connections that were used for looking."""
        if self._connection is not None:
            self._connection.close()
        if self._listener is not None:
            self._listener.close()
        self._nudged.close()
        self._nudging.close()

    def _wait_sqlite(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while not self._stopping():
            version = self._data_version()
            changed, self._version = version != self._version, version
            if changed or time.monotonic() >= ends or self._pause(SQLITE_LOOK_SECONDS):
                return

    def _data_version(self) -> int | None:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            cursor = self._connection.connection.cursor()
            try:
                return int(cursor.execute("PRAGMA data_version").fetchone()[0])
            finally:
                cursor.close()
        except SQLAlchemyError:
            return None

    def _wait_postgresql(self, seconds: float) -> None:
        try:
            if self._listener is None:
                url = self._engine.url
                # As the pool connects: an address may name several hosts in ways that are not the driver's.
                given, named = self._engine.dialect.create_connect_args(url)
                self._listener = self._driver.connect(*given, **named, **patience(url), autocommit=True)
                self._listener.execute(f"LISTEN {CHANNEL}")
                return
            self._pause(seconds, self._listener)
            # One look at the ledger answers all that came together.
            for _notice in self._listener.notifies(timeout=0):
                pass
        except self._driver.Error:
            # The server is away: wait as if nothing had changed, and listen again the next time.
            self._listener = None
            self._pause(min(seconds, 1.0))

    def _pause(self, seconds: float, listener: Any = None) -> bool:
        """Wait for a nudge, or for the listener to have something to read; return True for a nudge."""
        waiting = select.poll()
        waiting.register(self._nudged, select.POLLIN)
        if listener is not None:
            waiting.register(listener, select.POLLIN)
        ready = {handle for handle, _ in waiting.poll(1_000 * seconds)}
        nudged = self._nudged.fileno() in ready
        if nudged:
            self._nudged.recv(_NUDGES)
        return nudged
