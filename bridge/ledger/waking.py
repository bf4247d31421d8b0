"""Waits until another process may have changed the ledger, so that workers need not poll it for work.

It must not be relied on for anything but speed: a missed wake-up only costs a poll interval.
"""

import time
from collections.abc import Callable

import psycopg
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bridge.ledger import Tx

CHANNEL = "bridge_work"
# SQLite tells of commits by others only when asked; asking costs a few microseconds.
SQLITE_LOOK_SECONDS = 0.05


def ring(tx: Tx) -> None:
    """Wake the workers of all hosts when this transaction commits (PostgreSQL; SQLite's are looking)."""
    if tx.connection.dialect.name == "postgresql":
        tx.connection.execute(text(f"NOTIFY {CHANNEL}"))


class Waker:
    """Tells one thread of changes; `close` when done."""

    def __init__(self, engine: Engine, stopping: Callable[[], bool]) -> None:
        self._engine = engine
        self._stopping = stopping
        self._listener: psycopg.Connection | None = None
        self._version: int | None = None
        self._connection = engine.connect() if engine.dialect.name == "sqlite" else None

    def wait(self, seconds: float) -> None:
        """Return when the ledger may have changed, when `seconds` are over, or when we are stopping."""
        if self._connection is not None:
            self._wait_sqlite(seconds)
        else:
            self._wait_postgresql(seconds)

    def close(self) -> None:
        """Close the connection that was used for looking."""
        if self._connection is not None:
            self._connection.close()
        if self._listener is not None:
            self._listener.close()

    def _wait_sqlite(self, seconds: float) -> None:
        assert self._connection is not None
        ends = time.monotonic() + seconds
        while not self._stopping():
            version = self._data_version()
            changed, self._version = version != self._version, version
            if changed or time.monotonic() >= ends:
                return
            time.sleep(SQLITE_LOOK_SECONDS)

    def _data_version(self) -> int | None:
        assert self._connection is not None
        try:
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
                address = self._engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
                self._listener = psycopg.connect(address, autocommit=True, connect_timeout=5)
                self._listener.execute(f"LISTEN {CHANNEL}")
                return
            for _notice in self._listener.notifies(timeout=seconds, stop_after=1):
                return
        except psycopg.Error:
            # The server is away: wait as if nothing had changed, and listen again the next time.
            self._listener = None
            time.sleep(min(seconds, 1.0))
