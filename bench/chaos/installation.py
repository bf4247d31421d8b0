"""A bridge as it is deployed: gunicorn and workers as processes, beside the simulated systems.

It must not judge what comes of it; what is killed here can be started again.
"""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import text

from bench.chaos.databases import tables_locked
from bench.chaos.house import FLAVOURS, ROOT, environment, furnish
from bridge.ledger import Ledger, listing, queries
from bridge.ledger.connecting import open_database
from bridge.ledger.migrating import migrate
from bridge.models import CommentState, RunState
from bridge.sandbox import scenario
from bridge.sandbox.client import NexthinkControl, TicketControl
from bridge.sandbox.running import Sandbox


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a process runs, if not here: what its command begins with, and settings of its own."""

    prefix: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)


@dataclass
class Installation:
    """A folder, a ledger and the processes of one bridge; what is killed can be started again."""

    folder: Path
    database_url: str
    sandbox: Sandbox
    environ: dict[str, str]
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = open_database(self.database_url)
        migrate(self.engine)
        self.ledger = Ledger(self.engine, clock=lambda: datetime.now(UTC))
        self.nexthink = NexthinkControl(url=self.sandbox.nexthink_url)
        self.jira = TicketControl(url=self.sandbox.jira_url)
        self.servicenow = TicketControl(url=self.sandbox.servicenow_url)
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    # ── processes ──

    def spawn_web(self) -> None:
        self._spawn("web", ["gunicorn", "--config", str(ROOT / "gunicorn.conf.py"), "app:app"])

    def spawn_worker(self, name: str = "worker", **settings: str) -> None:
        self._spawn(name, ["bridge", "worker"], **settings)

    def start_web(self) -> None:
        """Start and wait until it takes webhooks."""
        self.spawn_web()
        self.soon(lambda: self.ask("/readyz")[0] == 200, seconds=60)

    def start_worker(self, name: str = "worker", **settings: str) -> None:
        """Start and wait until it has a session."""
        self.spawn_worker(name, **settings)
        pid = self.processes[name].pid
        self.soon(lambda: pid in self.session_pids(), seconds=60)

    def running(self, name: str) -> bool:
        return name in self.processes and self.processes[name].poll() is None

    def ensure(self) -> None:
        """Have one web process and one worker, whatever the test before left."""
        for name in [name for name in self.processes if name not in {"web", "worker"}]:
            self.kill(name)
        if not self.running("web"):
            self.start_web()
        if not self.running("worker"):
            self.start_worker()

    def send(self, name: str, number: int) -> None:
        os.killpg(self.processes[name].pid, number)

    def kill(self, name: str) -> None:
        """Kill with SIGKILL, the children of gunicorn too."""
        if name in self.processes:
            with contextlib.suppress(ProcessLookupError):
                self.send(name, signal.SIGKILL)
            self.processes.pop(name).wait(10)

    def terminate(self, name: str, seconds: float = 30) -> int:
        """End with SIGTERM and return the exit code."""
        self.processes[name].send_signal(signal.SIGTERM)
        return self.processes.pop(name).wait(seconds)

    def stop(self) -> None:
        for name in tuple(self.processes):
            self.kill(name)
        self.engine.dispose()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line as a person does."""
        return subprocess.run(
            [sys.executable, "-m", "bridge", *arguments],
            check=False,
            cwd=self.folder,
            env=self._variables(),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def _spawn(self, name: str, command: list[str], **settings: str) -> None:
        place = self.places.get(name, Place())
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*place.prefix, sys.executable, "-m", *command],
                cwd=self.folder,
                env=self._variables(**place.environ, **settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _variables(self, **settings: str) -> dict[str, str]:
        # Compiled code is kept, as where it is installed: else a start is mostly compiling.
        foreign = ("BRIDGE_", "PORT", "PYTHONDONTWRITEBYTECODE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {**kept, "PYTHONPATH": str(ROOT), **self.environ, **settings}

    def session_pids(self) -> set[int]:
        """Return the processes of all sessions that ever were."""
        with self.engine.connect() as connection:
            return set(connection.execute(text("SELECT pid FROM sessions")).scalars())

    def logs(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    # ── from outside ──

    def ask(self, path: str) -> tuple[int, bytes]:
        try:
            with self.opener.open(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            return 0, b""

    def webhook_url(self, source: str) -> str:
        return f"http://127.0.0.1:{self.port}/webhooks/{source}"

    def ticket(self, source: str = "jira", *, key: str, wait: bool = True, **given: Any) -> scenario.Ticket:
        """Create a ticket and have its webhook sent; `given` is the scenario's."""
        usual = {"labels": ("repair",), "flavour": FLAVOURS[source], "to_url": self.webhook_url(source)}
        return scenario.jira_ticket(self.sandbox.jira_url, key=key, wait=wait, **(usual | given))

    # ── what the ledger says ──

    def stories(self, key: str) -> tuple[queries.RunStory, ...]:
        """Return every run of a ticket with its story."""
        runs = self.ledger.read(listing.page_of_runs, limit=20, wanted=listing.WantedRuns(ticket=key)).runs
        return tuple(self.ledger.read(queries.run_story, run=run.id) for run in runs)

    def story(self, key: str) -> queries.RunStory:
        (story,) = self.stories(key)
        return story

    def reaches(self, key: str, *states: RunState, seconds: float = 20) -> queries.RunStory:
        """Wait until the one run of a ticket is in one of the states."""
        self.soon(lambda: any(story.run.state in states for story in self.stories(key)), seconds=seconds)
        return self.story(key)

    def told(self, key: str, *occasions: str, seconds: float = 20) -> tuple[str, ...]:
        """Wait until the ticket's comments about these occasions are posted; return the posted occasions."""

        def posted() -> tuple[str, ...]:
            return tuple(
                comment.owed.occasion.value
                for story in self.stories(key)
                for comment in story.comments
                if comment.state is CommentState.POSTED
            )

        self.soon(lambda: set(occasions) <= set(posted()), seconds=seconds)
        return posted()

    def deliveries(self, key: str) -> list[Any]:
        """Return every try of the webhooks about a Jira issue that were sent to this bridge."""
        here = self.webhook_url("")
        return [
            each
            for each in self.jira.deliveries()
            if each["url"].startswith(here) and f'"{key}"' in each["body"]
        ]

    def comments(self, key: str) -> list[Any]:
        """Return the comments of a Jira issue as Jira holds them."""
        return [comment for comment in self.jira.comments() if comment["issue"] == key]

    def soon(self, condition: Callable[[], Any], *, seconds: float = 60) -> None:
        ends = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > ends:
                raise AssertionError("it never came\n" + self.logs()[-4_000:])
            time.sleep(0.03)

    # ── what can be done to it ──

    def suspend(self, name: str) -> None:
        """Stop a process with SIGSTOP where it is in no transaction, so that others can go on writing."""
        for _ in range(200):
            self.send(name, signal.SIGSTOP)
            if self._writable():
                return
            self.send(name, signal.SIGCONT)
            time.sleep(0.01)
        raise AssertionError(f"{name} was never outside a transaction\n" + self.logs()[-4_000:])

    def _writable(self) -> bool:
        """Return whether nobody holds a transaction open; one that others are about to end may count."""
        if self.database_url.startswith("postgresql"):
            with self.engine.connect() as connection:
                return not connection.execute(
                    text(
                        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                        " AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
                    )
                ).scalar_one()
        try:
            with (
                self.engine.connect().execution_options(writing=True, lock_seconds=0.2) as probe,
                probe.begin(),
            ):
                return True
        except sqlite3.OperationalError:
            return False

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody write to the ledger until the context ends."""
        if self.database_url.startswith("postgresql"):
            with tables_locked(self.database_url):
                yield
            return
        with self.engine.connect().execution_options(writing=True) as held, held.begin():
            held.execute(text("SELECT 1"))
            yield

    @contextlib.contextmanager
    def immutable(self) -> Iterator[None]:
        """Let no byte of a SQLite ledger be written until the context ends, not by root either."""
        # The -shm file is memory that is shared: a write to it would end the process with SIGBUS.
        files = [str(path) for path in self.folder.glob("bridge.sqlite3*") if path.suffix != ".sqlite3-shm"]
        subprocess.run(["chattr", "+i", *files], check=True)
        try:
            yield
        finally:
            subprocess.run(["chattr", "-i", *files], check=True)

    def pass_time(self, table: str, *columns: str, seconds: int) -> None:
        """Move times of a table into the past, as waiting would."""
        sqlite = self.engine.dialect.name == "sqlite"
        moved = ", ".join(
            f"{column} = strftime('%Y-%m-%d %H:%M:%f', {column}, '-{seconds} seconds')"
            if sqlite
            else f"{column} = {column} - interval '{seconds} seconds'"
            for column in columns
        )
        with self.engine.connect().execution_options(writing=True) as connection, connection.begin():
            connection.execute(text(f"UPDATE {table} SET {moved}"))


@contextlib.contextmanager
def installed(folder: Path, sandbox: Sandbox, *, server: str = "", **settings: str) -> Iterator[Installation]:
    """Make an installation in a folder; nothing is started yet, and nothing runs on afterwards.

    `server` is the address of a PostgreSQL server's first database; without it the ledger is a SQLite file.
    """
    furnish(folder)
    port = free_port()
    address = f"sqlite:///{folder}/bridge.sqlite3"
    if server:
        name = f"j{abs(hash(str(folder)))}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        address = server.replace("/postgres?", f"/{name}?")
    given = {f"BRIDGE_{name}": value for name, value in settings.items()}
    installation = Installation(
        folder=folder,
        database_url=address,
        sandbox=sandbox,
        environ={**environment(sandbox, folder, address, port), **given},
        port=port,
    )
    try:
        yield installation
    finally:
        installation.stop()
