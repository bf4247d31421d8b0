"""A bridge as it is deployed: gunicorn and workers as processes, beside the simulated systems."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from bridge.ledger import Ledger, queries
from bridge.ledger.connecting import open_database
from bridge.ledger.migrating import migrate
from bridge.models import CommentState, RunState
from bridge.sandbox import credentials as known
from bridge.sandbox import scenario
from bridge.sandbox.client import NexthinkControl, TicketControl
from bridge.sandbox.jira.webhooks import Flavour
from bridge.sandbox.running import Sandbox

ROOT = Path(__file__).resolve().parents[2]
# The beat of every worker here: a session that stands still is dead after six of them.
BEAT_SECONDS = 0.2
JIRA_SOURCES = ("jira", "datacenter", "automation", "desk")
FLAVOURS = {
    "jira": Flavour.CLOUD,
    "desk": Flavour.CLOUD,
    "datacenter": Flavour.DATACENTER,
    "automation": Flavour.AUTOMATION,
}
# What a ticket's label asks for: the action of the catalogue and the mode.
LABELS = {
    "repair": ("repair-office", "live"),
    "inventory": ("collect-inventory", "live"),
    "announce": ("repair-office", "announce"),
    "shadow": ("repair-office", "shadow"),
}
ACTIONS = """
version: 1
actions:
  repair-office:
    title: Repair Microsoft Office
    uid: 07844969-1889-4de3-9026-020af94be855
    portal: main
    devices: {names: 'WS-[A-Z]{3}-\\d{5}', never: ['WS-VIP-.*']}
    timeout_seconds: 20
    params:
      Mode: {one_of: [silent, prompt, force], default: silent}
      Asked by: {shape: name}
  install-software:
    title: Install software
    uid: 1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed
    portal: main
    devices: {names: 'WS-[A-Z]{3}-\\d{5}'}
    timeout_seconds: 20
    params:
      Package: {one_of: [7zip, notepadplusplus, vlc], required: true}
      Version: {pattern: '\\d+(\\.\\d+){0,3}'}
  collect-inventory:
    title: Collect inventory
    uid: c0ffee00-0000-4000-8000-000000000001
    portal: main
    devices: {names: 'WS-[A-Z]{3}-\\d{5}'}
    timeout_seconds: 20
"""


def mapping(source: str, label: str) -> str:
    action, mode = LABELS[label]
    params = "{Asked by: {from: ticket.person.name}}" if action == "repair-office" else "{}"
    return f"""
  - id: {label}-{source}
    source: {source}
    events: [created, updated]
    when:
      - {{field: ticket.status, equals: Approved}}
      - {{field: ticket.labels, contains: {label}}}
    action: {action}
    devices: {{from: 'fields.customfield_10088[].label'}}
    params: {params}
    mode: {mode}
    comment: {{intro: 'Asked by $person.'}}
"""


def mapping_test(source: str) -> str:
    return f"""
  - name: a ticket of {source} without one of our labels runs nothing
    source: {source}
    payload: samples/jira-approved.json
    expect: []
"""


def environment(sandbox: Sandbox, folder: Path, database_url: str, port: int) -> dict[str, str]:
    """Settings of a bridge with every kind of source; all secrets are the sandbox's made-up ones."""
    signed = {"VERIFY": "hmac", "SECRETS": json.dumps([known.JIRA_WEBHOOK_SECRET])}
    cloud = {"USERNAME": known.JIRA_CLOUD_USERNAME, "TOKEN": known.JIRA_CLOUD_TOKEN}
    jira = {"KIND": "jira", "BASE_URL": sandbox.jira_url}
    sources = {
        "JIRA": {**jira, **signed, **cloud},
        "DESK": {**jira, **signed, **cloud, "INTERNAL_COMMENTS": "jsm"},
        "DATACENTER": {
            **jira,
            **signed,
            "DEPLOYMENT": "datacenter",
            "USERNAME": known.JIRA_DATACENTER_USERNAME,
            "PASSWORD": known.JIRA_DATACENTER_PASSWORD,
        },
        "AUTOMATION": {
            **jira,
            **cloud,
            "VERIFY": "token",
            "SECRETS": json.dumps([known.JIRA_AUTOMATION_TOKEN]),
        },
        "SERVICENOW": {
            "KIND": "servicenow",
            "BASE_URL": sandbox.servicenow_url,
            "VERIFY": "standard",
            "SECRETS": json.dumps([known.SERVICENOW_WEBHOOK_SECRET]),
            "USERNAME": known.SERVICENOW_USERNAME,
            "PASSWORD": known.SERVICENOW_PASSWORD,
        },
    }
    return {
        "BRIDGE_DATABASE_URL": database_url,
        "BRIDGE_MAPPINGS": str(folder / "mappings"),
        "BRIDGE_BIND": f"127.0.0.1:{port}",
        "BRIDGE_WEB_WORKERS": "1",
        "BRIDGE_BEAT_SECONDS": str(BEAT_SECONDS),
        "BRIDGE_PAGE": "on",
        "BRIDGE_PER_HOUR": "1000000",
        "BRIDGE_PAUSE_FILE": str(folder / "pause"),
        "BRIDGE_PORTALS__MAIN__BASE_URL": sandbox.nexthink_url,
        "BRIDGE_PORTALS__MAIN__USERNAME": known.NEXTHINK_USERNAME,
        "BRIDGE_PORTALS__MAIN__PASSWORD": known.NEXTHINK_PASSWORD,
        "BRIDGE_PORTALS__MAIN__NXQL_URL": sandbox.nxql_url,
        **{
            f"BRIDGE_SOURCES__{name}__{setting}": value
            for name, settings in sources.items()
            for setting, value in settings.items()
        },
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Installation:
    """A folder, a ledger and the processes of one bridge; what is killed can be started again."""

    folder: Path
    database_url: str
    sandbox: Sandbox
    environ: dict[str, str]
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

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
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self.folder,
                env=self._variables(**settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _variables(self, **settings: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BRIDGE_", "PORT"))}
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
        given.setdefault("labels", ("repair",))
        given.setdefault("flavour", FLAVOURS[source])
        url = self.sandbox.jira_url
        return scenario.jira_ticket(url, to_url=self.webhook_url(source), key=key, wait=wait, **given)

    # ── what the ledger says ──

    def stories(self, key: str) -> tuple[queries.RunStory, ...]:
        """Return every run of a ticket with its story."""
        runs = self.ledger.read(queries.list_runs, limit=20, ticket=key)
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

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody write to the ledger until the context ends."""
        if self.database_url.startswith("postgresql"):
            with psycopg.connect(self.database_url) as connection:
                connection.execute("LOCK TABLE runs, calls, sessions, deliveries, comments IN EXCLUSIVE MODE")
                yield
                connection.rollback()
            return
        with self.engine.connect().execution_options(writing=True) as held, held.begin():
            held.execute(text("SELECT 1"))
            yield

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


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def install(running_sandbox: Sandbox, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Make an installation in a folder, for SQLite or PostgreSQL; nothing is started yet."""

    @contextlib.contextmanager
    def make(folder: Path, kind: str, **settings: str) -> Iterator[Installation]:
        mappings = folder / "mappings"
        mappings.mkdir()
        (mappings / "actions.yaml").write_text(ACTIONS)
        every = "".join(mapping(source, label) for source in JIRA_SOURCES for label in LABELS)
        tests = "".join(map(mapping_test, JIRA_SOURCES))
        (mappings / "journeys.yaml").write_text(f"version: 1\nmappings:\n{every}\ntests:\n{tests}")
        shutil.copytree(ROOT / "mappings" / "samples", mappings / "samples")
        for name in ("servicenow-incident.yaml", "servicenow-request-item.yaml"):
            shutil.copy(ROOT / "mappings" / name, mappings)
        port = free_port()
        address = f"sqlite:///{folder}/bridge.sqlite3"
        if kind == "postgresql":
            server = request.getfixturevalue("postgresql")
            name = f"j{abs(hash(str(folder)))}"
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            address = server.replace("/postgres?", f"/{name}?")
        environ = environment(running_sandbox, folder, address, port)
        given = {f"BRIDGE_{name}": value for name, value in settings.items()}
        installation = Installation(
            folder=folder,
            database_url=address,
            sandbox=running_sandbox,
            environ={**environ, **given},
            port=port,
        )
        try:
            yield installation
        finally:
            installation.stop()

    return make


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(
    request: pytest.FixtureRequest, install: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """One installation for the tests of a module, each with tickets of its own."""
    with install(tmp_path_factory.mktemp("bridge"), request.param) as installation:
        yield installation


@pytest.fixture
def bridge(shared: Installation) -> Iterator[Installation]:
    """The module's installation, up, with nothing scripted in the simulated systems."""
    for system in (shared.nexthink, shared.jira, shared.servicenow):
        system.clear_faults()
    shared.nexthink.reset()
    shared.jira.behave()
    shared.ensure()
    yield shared
    for system in (shared.nexthink, shared.jira, shared.servicenow):
        system.clear_faults()


@pytest.fixture(scope="session")
def key_numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def key(key_numbers: Iterator[int]) -> str:
    """The key of an issue that no other test has."""
    return f"SUP-{next(key_numbers)}"


@pytest.fixture
def device(key: str) -> str:
    """A device that the test has for itself while it runs."""
    return f"WS-LAB-{int(key.removeprefix('SUP-')) % 100 + 1:05}"
