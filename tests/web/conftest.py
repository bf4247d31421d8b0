"""The web process as it is composed, over real ledgers, and senders that sign what they send."""

import contextlib
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection
from itertools import count
from logging import getLogger
from pathlib import Path
from typing import Any

import pytest
import structlog
from werkzeug.test import TestResponse

from bridge.bootstrap import utc_now
from bridge.errors import Reason
from bridge.ledger import Ledger, admitting, claiming, listing, sending, sessions, working
from bridge.ledger.claiming import Allowance
from bridge.ledger.connecting import open_database
from bridge.ledger.listing import WantedRuns
from bridge.ledger.migrating import migrate
from bridge.ledger.sending import Next
from bridge.models import (
    CallResult,
    CallState,
    Device,
    DeviceUid,
    EngineCode,
    EngineOutcome,
    EngineUid,
    Occasion,
    OwedComment,
    Part,
    PortalName,
    Run,
    RunState,
    SessionId,
    Visibility,
)
from bridge.serving import WebProcess, create_app

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "docs" / "deploy"
SECRET = "made-up-and-long-enough-for-hmac"
SERVICENOW_SECRET = "whsec_bWFkZS11cC1hbmQtbG9uZy1lbm91Z2gtZm9yLXRoaXM="
# Nobody listens there, and nothing in these tests sends anything.
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def servicenow_secret() -> str:
    return SERVICENOW_SECRET


@pytest.fixture(scope="session")
def environment() -> Callable[..., dict[str, str]]:
    """Make the environment of a web process with one Jira, one ServiceNow and one portal."""

    def make(database_url: str, **more: str) -> dict[str, str]:
        return {
            "BRIDGE_SOURCES__JIRA__KIND": "jira",
            "BRIDGE_SOURCES__JIRA__BASE_URL": NOWHERE,
            "BRIDGE_SOURCES__JIRA__VERIFY": "hmac",
            "BRIDGE_SOURCES__JIRA__SECRETS": json.dumps([SECRET]),
            "BRIDGE_SOURCES__JIRA__USERNAME": "bridge@example.com",
            "BRIDGE_SOURCES__JIRA__TOKEN": "canary-token-5f3a",
            "BRIDGE_SOURCES__JIRA__MAX_BODY_BYTES": "65536",
            "BRIDGE_SOURCES__SERVICENOW__KIND": "servicenow",
            "BRIDGE_SOURCES__SERVICENOW__BASE_URL": NOWHERE,
            "BRIDGE_SOURCES__SERVICENOW__VERIFY": "standard",
            "BRIDGE_SOURCES__SERVICENOW__SECRETS": json.dumps([SERVICENOW_SECRET]),
            "BRIDGE_SOURCES__SERVICENOW__USERNAME": "bridge",
            "BRIDGE_SOURCES__SERVICENOW__PASSWORD": "canary-password-5f3a",
            "BRIDGE_PORTALS__MAIN__BASE_URL": NOWHERE,
            "BRIDGE_PORTALS__MAIN__USERNAME": "bridge",
            "BRIDGE_PORTALS__MAIN__PASSWORD": "canary-password-5f3a",
            "BRIDGE_PORTALS__MAIN__NXQL_URL": f"{NOWHERE}/nxql",
            "BRIDGE_MAPPINGS": str(ROOT / "mappings"),
            "BRIDGE_DATABASE_URL": database_url,
            **more,
        }

    return make


def signature(body: bytes) -> str:
    return "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


class Sender:
    """Jira, as far as the door can tell: what it makes is signed, and asks for one action."""

    def __init__(self) -> None:
        text = (ROOT / "mappings" / "samples" / "jira-teams-cache.json").read_text()
        self._sample = json.loads(text)
        self._numbers = count(7_000)

    def created(self, **fields: Any) -> tuple[str, bytes]:
        """Return the key and the body of a new ticket that a shipped mapping fires for."""
        number = next(self._numbers)
        issue = {**self._sample["issue"], "id": str(number), "key": f"SUP-{number}"}
        issue["fields"] = {**issue["fields"], **fields}
        event = {**self._sample, "timestamp": time.time_ns() // 1_000_000, "issue": issue}
        return f"SUP-{number}", json.dumps(event).encode()

    def headers(self, body: bytes, **more: str) -> dict[str, str]:
        """Return the headers that go with a body."""
        return {"Content-Type": "application/json", "X-Hub-Signature": signature(body), **more}


@pytest.fixture(scope="session")
def sender() -> Sender:
    return Sender()


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """A running web process without a server in front; requests may come from any thread."""

    app: Any
    sender: Sender

    @property
    def process(self) -> WebProcess:
        process: WebProcess = self.app.extensions["bridge"]
        return process

    @property
    def ledger(self) -> Ledger:
        return self.process.bridge.ledger

    def get(self, path: str, **headers: str) -> TestResponse:
        response: TestResponse = self.app.test_client().get(path, headers=headers)
        return response

    def post(self, body: bytes, path: str = "/webhooks/jira", **headers: str) -> TestResponse:
        """Send a signed body."""
        signed = self.sender.headers(body, **headers)
        response: TestResponse = self.app.test_client().post(path, data=body, headers=signed)
        return response

    def runs(self, ticket: str | None = None) -> tuple[Run, ...]:
        return self.ledger.read(listing.page_of_runs, limit=1_000, wanted=WantedRuns(ticket=ticket)).runs

    def soon(self, condition: Callable[[], Any], seconds: float = 10) -> None:
        """Wait until something holds; fail after a while."""
        ends = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < ends, "it never came"
            time.sleep(0.02)


@contextlib.contextmanager
def _logging_kept() -> Iterator[None]:
    """Put back what `logs.configure` changes for the whole process."""
    root = getLogger()
    hooks, handlers, level = (sys.excepthook, threading.excepthook), root.handlers[:], root.level
    try:
        yield
    finally:
        sys.excepthook, threading.excepthook = hooks
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


@pytest.fixture(scope="session")
def opened(environment: Callable[..., dict[str, str]], sender: Sender) -> Callable[..., Any]:
    """Open a web process over a new ledger, ready to take webhooks."""

    @contextlib.contextmanager
    def open_web(
        folder: Path,
        database_url: str | None = None,
        prepare: Callable[[Any], object] = bool,
        **more: str,
    ) -> Iterator[Web]:
        address = database_url or f"sqlite:///{folder}/bridge.sqlite3"
        engine = open_database(address)
        migrate(engine)
        engine.dispose()
        given = environment(address, **more)
        # A developer's own .env must not be part of a test.
        with _logging_kept(), contextlib.chdir(folder):
            app = create_app(given)
        prepare(app)
        web = Web(app=app, sender=sender)
        web.process.start()
        try:
            web.soon(lambda: web.get("/readyz").status_code == 200)
            yield web
        finally:
            web.process.stop()

    return open_web


@pytest.fixture(scope="module")
def web(opened: Callable[..., AbstractContextManager[Web]], tmp_path_factory: Any) -> Iterator[Web]:
    """A web process on SQLite with its page, shared by the tests of a module, each with its own tickets."""
    with opened(tmp_path_factory.mktemp("web"), BRIDGE_CONSOLE="open") as running:
        yield running


@pytest.fixture(scope="session")
def work() -> Callable[..., Run]:
    """Take the oldest due run to an answer, as a worker would."""

    def do(ledger: Ledger, result: CallResult | None = None, state: RunState = RunState.ANSWERED) -> Run:
        run = claimed(ledger)
        device = Device(uid=DeviceUid("0" * 32), name="WS-ABC-12345")
        part = Part(number=1, devices=(device,), engines=None)
        admission = ledger.write(admitting.admit, run=run, parts=(part,), lasting=timedelta(seconds=70))
        assert admission.call is not None
        comment = OwedComment(
            occasion=Occasion.ANSWERED,
            n=1,
            marker=f"bridge-{run.id}-answered-1",
            text="canary-comment-text",
            visibility=Visibility.INTERNAL,
        )
        following = Next(state=state, reason=result.reason if result else None, comment=comment)
        ledger.write(
            sending.answer, run=run, call=admission.call, result=result or answered(), following=following
        )
        return run

    return do


@pytest.fixture(scope="session")
def hold() -> Callable[..., Run]:
    """Hold the oldest due run, as a worker would."""

    def do(ledger: Ledger, reason: Reason, detail: str) -> Run:
        run = claimed(ledger)
        ledger.write(
            working.hold,
            run=run,
            reason=reason,
            detail=detail,
            due_at=run.due_at + timedelta(hours=1),
            comment=None,
        )
        return run

    return do


@pytest.fixture(scope="session")
def claim() -> Callable[[Ledger], Run]:
    """Claim the oldest due run, as a worker would."""
    return claimed


def claimed(ledger: Ledger) -> Run:
    """Claim the oldest due run for a session of its own."""
    session = SessionId(f"s{time.time_ns()}")
    ledger.write(sessions.open_session, session=session, host="host.example.com", pid=1)
    main = PortalName("main")
    allowances = (Allowance(portal=main, runs=1),)
    (run,) = ledger.write(claiming.claim, session=session, allowances=allowances, configured=(main,))
    return run


def answered() -> CallResult:
    return CallResult(
        state=CallState.ANSWERED,
        status=200,
        outcomes=(
            EngineOutcome(
                engine=EngineUid("1" * 32),
                name="engine-paris",
                code=EngineCode.OK,
                code_text="ok",
                message="",
            ),
            EngineOutcome(
                engine=EngineUid("2" * 32),
                name="engine-<b>boston</b>",
                code=EngineCode.NOT_CONNECTED,
                code_text="not_connected",
                message="no connection to 192.0.2.7:999",
            ),
        ),
    )


class Served:
    """A running server; every request has a connection of its own, so that any worker may take it."""

    def __init__(self, port: int, pid: int, ledger: Ledger, log: Path) -> None:
        self.port = port
        self.pid = pid
        self.ledger = ledger
        self.log = log

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            return response.status, response.read()

    def runs(self, ticket: str) -> tuple[Run, ...]:
        return self.ledger.read(listing.page_of_runs, limit=10, wanted=WantedRuns(ticket=ticket)).runs

    def soon(self, condition: Callable[[], Any], seconds: float = 30) -> None:
        ends = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except OSError:
                pass
            assert time.monotonic() < ends, self.log.read_text()[-3_000:]
            time.sleep(0.05)


@pytest.fixture(scope="session")
def serving(environment: Callable[..., dict[str, str]]) -> Callable[..., AbstractContextManager[Served]]:
    """Serve a new SQLite ledger in a folder with gunicorn and its shipped settings."""

    @contextlib.contextmanager
    def serve(folder: Path, *, workers: int, **more: str) -> Iterator[Served]:
        address = f"sqlite:///{folder}/bridge.sqlite3"
        engine = open_database(address)
        migrate(engine)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BRIDGE_", "PORT"))}
        bind = {"BRIDGE_BIND": f"127.0.0.1:{port}", "BRIDGE_WEB_WORKERS": str(workers)}
        command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "gunicorn.conf.py"), "app:app"]
        log = folder / "log"
        with log.open("wb") as errors:
            server = subprocess.Popen(
                command,
                cwd=folder,
                env={**kept, **environment(address, **bind, **more), "PYTHONPATH": str(ROOT)},
                stdout=errors,
                stderr=errors,
            )
        running = Served(port, server.pid, Ledger(engine, clock=utc_now), log)
        try:
            # What a process takes in before it has the mappings is left to a worker, and here is none.
            running.soon(lambda: log.read_text().count('"mappings.accepted"') == workers)
            running.soon(lambda: all(running.ask("GET", "/readyz")[0] == 200 for _ in range(6 * workers)))
            yield running
            server.send_signal(signal.SIGTERM)
            assert server.wait(20) == 0
            assert "canary" not in log.read_text()
        finally:
            server.kill()
            server.wait(10)
            engine.dispose()

    return serve


@pytest.fixture(scope="module")
def served(serving: Callable[..., AbstractContextManager[Served]], tmp_path_factory: Any) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served"), workers=2) as running:
        yield running


@pytest.fixture(scope="session")
def proxying() -> Callable[..., AbstractContextManager[tuple[int, int, Path]]]:
    """Run nginx with the shipped site, with some texts of it changed, in front of a port here.

    Gives its outer port, its inner port, and its certificate.
    """
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")

    @contextlib.contextmanager
    def run(folder: Path, port: int, **changes: str) -> Iterator[tuple[int, int, Path]]:
        if nginx is None:
            pytest.skip("nginx is not installed (make packages)")
        outer, inner = _free_port(), _free_port()
        certificate, key = folder / "cert.pem", folder / "key.pem"
        names = ["-subj", "/CN=bridge.example.com", "-addext", "subjectAltName=DNS:bridge.example.com"]
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        files = ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run(
            ["openssl", "req", "-x509", "-nodes", "-days", "2", *curve, *names, *files],
            check=True,
            capture_output=True,
        )
        site = (DEPLOY / "nginx.conf").read_text()
        for shipped, here in {
            **changes,
            "127.0.0.1:8080": f"127.0.0.1:{port}",
            "listen 443 ssl": f"listen 127.0.0.1:{outer} ssl",
            "listen 127.0.0.1:8081": f"listen 127.0.0.1:{inner}",
            "/etc/ssl/certs/bridge.example.com.pem": str(certificate),
            "/etc/ssl/private/bridge.example.com.key": str(key),
            "/var/log/nginx/bridge.log": str(folder / "access.log"),
        }.items():
            assert shipped in site
            site = site.replace(shipped, here)
        (folder / "site.conf").write_text(site)
        # Around the site stands what Debian's nginx.conf says, with files where anybody may write.
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        spools = "".join(f"{kind}_temp_path {folder / kind};" for kind in kinds)
        (folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;"
            f"events {{ worker_connections 768; }} http {{ {spools} include {folder}/site.conf; }}"
        )
        with (folder / "out").open("wb") as out:
            proxy = subprocess.Popen(
                [nginx, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")],
                stdout=out,
                stderr=out,
            )
        try:
            ends = time.monotonic() + 10
            while True:
                with (
                    contextlib.suppress(OSError),
                    socket.create_connection(("127.0.0.1", inner), timeout=1),
                ):
                    break
                assert proxy.poll() is None, (folder / "out").read_text()
                assert time.monotonic() < ends, (folder / "error.log").read_text()
                time.sleep(0.05)
            yield outer, inner, certificate
        finally:
            proxy.terminate()
            proxy.wait(10)

    return run


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
