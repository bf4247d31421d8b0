"""Opens the database with the settings that the promises need (W6), and says which place it is.

It must not read or write a row of the ledger.
"""

import contextlib
import select
import sqlite3
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, InvalidatePoolError, SQLAlchemyError

from bridge.errors import ConfigurationError, LedgerUnavailable
from bridge.ledger.prepared import Preparing

# A writer holds a lock for milliseconds; who waits longer for one tells its caller instead.
LOCK_SECONDS = 5.0
# Seconds between two looks whether the lock is free.
SQLITE_LOOK_SECONDS = 0.001
# What a process keeps open, for its writer and for reads, which are short. One more would be opened and
# closed around a single read, which costs the server many times as much as the read; so that waits instead.
CONNECTIONS = 8
POOL_WAIT_SECONDS = 5.0
# Where a connection keeps when its transaction began.
_BEGUN_AT: Final = "begun_at"
# A server that is gone without a word, behind a cut cable or with its host, is given up after ten seconds or
# so: the system's own rules would let a writer, and all that wait for it, hang for a quarter of an hour.
PATIENCE = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


def open_database(url: str) -> Engine:
    """Return an engine for `sqlite:///path` or `postgresql://…`; raise ConfigurationError for anything else.

    Raises LedgerUnavailable where a server is asked and it answers with `fsync=off`, which cannot keep
    what it has committed.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        several = "several hosts stand behind the name: ?host=a.example,b.example"
        raise ConfigurationError((f"BRIDGE_DATABASE_URL: not a database address ({several})",)) from error
    if parsed.get_backend_name() == "sqlite":
        engine = _open_sqlite(url, parsed.database)
    elif parsed.get_backend_name() == "postgresql":
        engine = _open_postgresql(parsed.set(drivername="postgresql+psycopg").render_as_string(False))
    else:
        raise ConfigurationError(
            ("BRIDGE_DATABASE_URL: neither sqlite:/// nor postgresql:// (use one of these two)",)
        )
    # Every connection of the engine shares what was prepared for its database.
    engine.update_execution_options(preparing=Preparing(engine.dialect))
    return engine


def _open_sqlite(url: str, database: str | None) -> Engine:
    if not database or database == ":memory:":
        raise ConfigurationError(("BRIDGE_DATABASE_URL: needs a file (sqlite:///data/bridge.sqlite3)",))
    path = Path(database)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # It holds ticket payloads: nobody else reads it. SQLite gives its -wal and -shm files the same mode.
    path.touch(mode=0o600)
    engine = create_engine(
        url,
        hide_parameters=True,
        connect_args={"timeout": LOCK_SECONDS, "check_same_thread": False},
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_use_lifo=True,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        # The driver's own transactions start too late and upgrade in the middle; `begin` below replaces them.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        # Straight to the driver, like all that runs for every event.
        cursor = connection.connection.cursor()
        if options.get("writing", False):
            _begin_writing(cursor, min(LOCK_SECONDS, options.get("lock_seconds", LOCK_SECONDS)))
        else:
            cursor.execute("BEGIN")
        cursor.close()

    return engine


def _begin_writing(cursor: Any, seconds: float) -> None:
    """Begin a transaction that holds the lock from its start, or raise the driver's error after some seconds.

    SQLite itself looks for the lock in sleeps of up to a tenth of a second, so that of two busy processes one
    is kept out for long.
    """
    cursor.execute("PRAGMA busy_timeout = 0")
    ends = time.monotonic() + seconds
    try:
        while True:
            try:
                cursor.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                    raise
                time.sleep(SQLITE_LOOK_SECONDS)
            else:
                return
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {1_000 * LOCK_SECONDS:.0f}")


def _open_postgresql(url: str) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        connect_args=patience(make_url(url)),
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_use_lifo=True,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW fsync")
            if cursor.fetchone()[0] != "on":
                raise LedgerUnavailable("the PostgreSQL server runs with fsync=off (turn it on)")
            cursor.execute("SET synchronous_commit = on")
            cursor.execute("SET timezone = 'UTC'")
            cursor.execute(f"SET lock_timeout = {1_000 * LOCK_SECONDS:.0f}")
            cursor.execute("SET idle_in_transaction_session_timeout = '60s'")
        connection.commit()
        # The driver would begin by itself, in a message of its own; `begin` below asks for the clock with it.
        connection.autocommit = True

    @event.listens_for(engine, "checkout")
    def look(connection: Any, _record: object, _proxy: object) -> None:
        if _is_gone(connection):
            raise InvalidatePoolError

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        reads_only = " READ ONLY" if options.get("writing") is False else ""
        seconds = options.get("lock_seconds", LOCK_SECONDS)
        # 0 would be for ever.
        milliseconds = max(1, round(1_000 * seconds))
        patience = f"SET LOCAL lock_timeout = {milliseconds}; " if seconds < LOCK_SECONDS else ""
        driver: Any = connection.connection.dbapi_connection
        with driver.cursor() as cursor:
            cursor.execute(f"BEGIN{reads_only}; {patience}SELECT clock_timestamp()")
            while cursor.nextset():
                pass
            (connection.info[_BEGUN_AT],) = cursor.fetchone()

    return engine


def begun_at(connection: Connection) -> datetime:
    """Return the server's time when the transaction of a connection began (PostgreSQL)."""
    begun: datetime = connection.info[_BEGUN_AT]
    return begun


@contextlib.contextmanager
def in_one_message(connection: Connection) -> Iterator[None]:
    """Send PostgreSQL in one message what the driver is told within, of which nothing is read.

    What goes wrong with any of it is raised at the end, or by a commit, which comes last; nothing behind it
    is carried out then. SQLite is no server.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    driver: Any = connection.connection.dbapi_connection
    with driver.pipeline():
        yield


def is_open(connection: Connection) -> bool:
    """Say whether a transaction, failed or not, stands open for certain: then it was not committed."""
    if connection.invalidated or connection.closed:
        return False
    driver: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite":
        return bool(driver.in_transaction)
    return driver.info.transaction_status.name in {"INTRANS", "INERROR"}


def _is_gone(connection: Any) -> bool:
    """Say whether the server has closed an idle connection: only then is there anything to be read on it.

    Asking the server instead would cost a message there and back for every transaction.
    """
    if connection.closed:
        return True
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


def patience(url: URL) -> dict[str, int]:
    """Return how long a PostgreSQL server that is silent is waited for, but for what its address sets."""
    return {name: value for name, value in PATIENCE.items() if name not in url.query}


def place_of(connection: Connection) -> str:
    """Return what names the place where this ledger lives: it changes when the ledger is moved or restored.

    SQLite: the file's path and inode. PostgreSQL: the cluster's system identifier and the database's name.
    """
    database = connection.engine.url.database or ""
    if connection.dialect.name == "sqlite":
        path = Path(database).resolve()
        return f"{path}:{path.stat().st_ino}"
    try:
        with connection.begin_nested():
            identifier = connection.execute(
                text("SELECT system_identifier FROM pg_control_system()")
            ).scalar_one()
    except SQLAlchemyError:
        # Not every server lets its users ask; the silence rule of W7 still holds then.
        identifier = "unknown"
    return f"{identifier}:{database}"
