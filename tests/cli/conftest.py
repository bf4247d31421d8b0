"""The command line in a folder of its own: settings in .env, shipped mappings, a real ledger, the sandbox."""

import contextlib
import hashlib
import hmac
import json
import logging
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest
import structlog
from click.testing import CliRunner, Result
from pydantic import TypeAdapter

from bridge import mapping_files
from bridge.bootstrap import check_files, new_id, open_ledger
from bridge.bootstrap.outside import connect
from bridge.cli import main
from bridge.errors import Reason
from bridge.judging import Judging
from bridge.ledger import (
    Ledger,
    admitting,
    approvals,
    claiming,
    in_force,
    pausing,
    sending,
    sessions,
    working,
)
from bridge.ledger.claiming import Allowance
from bridge.ledger.sending import Next
from bridge.mapping.language import MappingTexts
from bridge.models import (
    Call,
    CallResult,
    CallState,
    Device,
    DeviceUid,
    EngineCode,
    EngineOutcome,
    EngineUid,
    Part,
    PauseScope,
    Person,
    PortalName,
    Run,
    RunState,
    SessionId,
    SourceName,
    WebhookRequest,
)
from bridge.receiving import Receiving
from bridge.sandbox import credentials as known
from bridge.sandbox.client import NexthinkControl
from bridge.sandbox.running import Sandbox
from bridge.settings import Settings, read_settings

ROOT = Path(__file__).resolve().parents[2]
MAIN = PortalName("main")
SESSION = SessionId("s-test")
DEVICE = Device(uid=DeviceUid("d" * 32), name="WS-ABC-12345", engines=(EngineUid("e" * 32),))
PART = Part(number=1, devices=(DEVICE,), engines=DEVICE.engines)


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    """The one running sandbox, as good as new."""
    for url in (running.nexthink_url, running.jira_url, running.servicenow_url):
        NexthinkControl(url=url).reset()
    return running


class Home:
    """A folder from which the command line is used."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.variables = variables
        self.write_settings()
        shutil.copytree(ROOT / "mappings", folder / "mappings")

    def write_settings(self, **changes: str | None) -> None:
        """Write .env, with some variables changed, or left out where None."""
        self.variables = {
            name: value for name, value in {**self.variables, **changes}.items() if value is not None
        }
        lines = (f"{name}='{value}'\n" for name, value in self.variables.items())
        file = self.folder / ".env"
        file.write_text("".join(lines))
        file.chmod(0o600)

    @property
    def settings(self) -> Settings:
        settings = read_settings(self.variables)
        folder = self.folder / "mappings"
        return settings.model_copy(update={"mappings": folder, "catalogue": None})

    def run(self, *arguments: str, code: int = 0, given: str | bytes | None = None) -> Result:
        """Run a command in this process; its exit code must be `code`."""
        result = CliRunner().invoke(main, list(arguments), input=given, prog_name="bridge")
        assert result.exit_code == code, result.output
        return result

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command with --json and return what it printed."""
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def start(self, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
        """Start a command as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "bridge", *arguments],
            cwd=self.folder,
            env={**environment(), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def migrate(self) -> None:
        open_ledger(self.settings, migrating=True).engine.dispose()

    def ledger(self) -> "OpenLedger":
        return OpenLedger(self.settings)

    def put_in_force(self) -> None:
        """Put the mapping files in force, as a process that runs does."""
        texts = mapping_files.read(self.settings.mappings, self.settings.catalogue_file).texts
        with self.ledger() as opened:
            opened.ledger.write(
                in_force.accept_mapping_set,
                set_hash=texts.hash,
                texts=TypeAdapter(MappingTexts).dump_json(texts).decode(),
                by="test",
            )


class OpenLedger:
    """The ledger of a home, open for writing while a test prepares what people then look at."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ledger: Ledger

    def __enter__(self) -> Self:
        self.ledger = open_ledger(self.settings, migrating=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.ledger.stop()

    def arrive(self, sample: str | dict[str, Any], source: str = "jira") -> dict[str, Any]:
        """Receive a delivery as the web process does, with the sender's real proof; return the receipt."""
        payload = sample
        if isinstance(sample, str):
            payload = just_now(json.loads((ROOT / "mappings" / "samples" / sample).read_text()))
        connections = connect(self.settings)
        mapping_set = check_files(self.settings).mapping_set
        judging = Judging(
            connections=lambda: connections,
            mapping_set=lambda: mapping_set,
            accounts=lambda: {SourceName(name): Person(id="bridge") for name in ("jira", "servicenow")},
            new_id=new_id,
        )
        receiving = Receiving(
            ledger=self.ledger, connections=lambda: connections, judging=judging, new_id=new_id
        )
        body = json.dumps(payload).encode()
        headers = (("content-type", "application/json"), *proof(source, body))
        receipt = receiving.receive(
            WebhookRequest(
                source=SourceName(source), headers=headers, body=body, received_at=datetime.now(UTC)
            )
        )
        assert receipt.status == 200
        found: dict[str, Any] = receipt.body
        return found

    def claimed(self) -> Run:
        """Claim the one run that waits."""
        if not self.ledger.read(sessions.beats):
            self.ledger.write(sessions.open_session, session=SESSION, host="test", pid=1)
        (run,) = self.ledger.write(
            claiming.claim,
            session=SESSION,
            allowances=(Allowance(portal=MAIN, runs=10),),
            configured=(MAIN,),
        )
        return run

    def intend(self, run: Run) -> Call:
        """Commit the intent of a run's first call."""
        admission = self.ledger.write(admitting.admit, run=run, parts=(PART,), lasting=timedelta(seconds=90))
        assert admission.call is not None
        return admission.call

    def lose_answer(self) -> str:
        """Make the waiting run unknown: its call left and no answer came."""
        run = self.claimed()
        result = CallResult(state=CallState.UNKNOWN, reason=Reason.CONNECTION_LOST)
        following = Next(state=RunState.UNKNOWN, reason=Reason.CONNECTION_LOST)
        self.ledger.write(sending.answer, run=run, call=self.intend(run), result=result, following=following)
        return run.id

    def answer(self, message: str = "", code: EngineCode = EngineCode.OK) -> str:
        """Let one Engine accept the waiting run, or answer it with another code."""
        run = self.claimed()
        outcome = EngineOutcome(
            engine=EngineUid("e" * 32), name="engine-1", code=code, code_text=code, message=message
        )
        result = CallResult(state=CallState.ANSWERED, outcomes=(outcome,), status=200)
        self.ledger.write(
            sending.answer,
            run=run,
            call=self.intend(run),
            result=result,
            following=Next(state=RunState.ANSWERED),
        )
        return run.id

    def hold(self, reason: Reason = Reason.PORTAL_PAUSED, detail: str | None = None) -> str:
        """Hold the waiting run; where it is for a pause, the portal is paused."""
        run = self.claimed()
        due_at = datetime.now(UTC) + timedelta(hours=1)
        self.ledger.write(working.hold, run=run, reason=reason, detail=detail, due_at=due_at, comment=None)
        if reason is Reason.PORTAL_PAUSED:
            self.ledger.write(
                pausing.pause, scope=PauseScope.PORTAL, value=MAIN, reason=Reason.UNAUTHORIZED, run=run.id
            )
        return run.id

    def ask_for_approval(self) -> tuple[str, str]:
        """Hold the waiting run for approval; return it and the hash of its plan."""
        run, now = self.claimed(), datetime.now(UTC)
        self.ledger.write(
            approvals.ask,
            run=run.id,
            plan_hash="3fb1a07c92de" + "0" * 52,
            parts=(PART,),
            expires_at=now + timedelta(hours=4),
        )
        self.ledger.write(
            working.hold, run=run, reason=Reason.AWAITING_APPROVAL, detail=None, due_at=now, comment=None
        )
        return run.id, "3fb1a07c92de" + "0" * 52

    def mapping_set_in_force(self) -> str | None:
        return self.ledger.read(in_force.mapping_set_in_force)


def proof(source: str, body: bytes) -> tuple[tuple[str, str], ...]:
    if source == "jira":
        digest = hmac.new(known.JIRA_WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
        return (("x-hub-signature", f"sha256={digest}"),)
    return (("authorization", f"Bearer {known.SERVICENOW_TOKEN}"),)


def just_now(payload: dict[str, Any]) -> dict[str, Any]:
    """Return a sample as if it had just happened."""
    now = datetime.now(UTC)
    if "timestamp" in payload:
        return {**payload, "timestamp": int(now.timestamp() * 1000)}
    return {**payload, "updated_on": f"{now:%Y-%m-%d %H:%M:%S}"}


def environment() -> dict[str, str]:
    """Return this process's environment without settings of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Undo what a command of this process did to its logs, for the tests that come after."""
    config, root = structlog.get_config(), logging.getLogger()
    handlers, level, hooks = root.handlers[:], root.level, (sys.excepthook, threading.excepthook)
    yield
    structlog.configure(**config)
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)


@pytest.fixture
def home(tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose settings are those of the sandbox; it is the working directory."""
    for name in list(os.environ):
        if name.startswith("BRIDGE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return Home(
        tmp_path,
        {
            "BRIDGE_DATABASE_URL": f"sqlite:///{tmp_path}/data/bridge.sqlite3",
            "BRIDGE_SOURCES__JIRA__KIND": "jira",
            "BRIDGE_SOURCES__JIRA__BASE_URL": sandbox.jira_url,
            "BRIDGE_SOURCES__JIRA__VERIFY": "hmac",
            "BRIDGE_SOURCES__JIRA__SECRETS": json.dumps([known.JIRA_WEBHOOK_SECRET]),
            "BRIDGE_SOURCES__JIRA__USERNAME": known.JIRA_CLOUD_USERNAME,
            "BRIDGE_SOURCES__JIRA__TOKEN": known.JIRA_CLOUD_TOKEN,
            "BRIDGE_SOURCES__SERVICENOW__KIND": "servicenow",
            "BRIDGE_SOURCES__SERVICENOW__BASE_URL": sandbox.servicenow_url,
            "BRIDGE_SOURCES__SERVICENOW__VERIFY": "token",
            "BRIDGE_SOURCES__SERVICENOW__TRUST": "payload",
            "BRIDGE_SOURCES__SERVICENOW__SECRETS": json.dumps([known.SERVICENOW_TOKEN]),
            "BRIDGE_SOURCES__SERVICENOW__USERNAME": known.SERVICENOW_USERNAME,
            "BRIDGE_SOURCES__SERVICENOW__PASSWORD": known.SERVICENOW_PASSWORD,
            "BRIDGE_PORTALS__MAIN__BASE_URL": sandbox.nexthink_url,
            "BRIDGE_PORTALS__MAIN__USERNAME": known.NEXTHINK_USERNAME,
            "BRIDGE_PORTALS__MAIN__PASSWORD": known.NEXTHINK_PASSWORD,
            "BRIDGE_PORTALS__MAIN__NXQL_URL": sandbox.nxql_url,
        },
    )


@pytest.fixture
def ended() -> Iterator[Callable[["subprocess.Popen[str]"], "subprocess.Popen[str]"]]:
    """Make sure that a process that a test started is gone when the test is over."""
    started: list[subprocess.Popen[str]] = []

    def keep(process: "subprocess.Popen[str]") -> "subprocess.Popen[str]":
        started.append(process)
        return process

    yield keep
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def wait_until(ready: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := ready():
            return found
        time.sleep(0.05)
    raise AssertionError(f"nothing came within {seconds} s")


@pytest.fixture
def until() -> Callable[..., Any]:
    return wait_until


@pytest.fixture
def interrupt() -> Callable[["subprocess.Popen[str]", int], int]:
    """Send a signal and return the exit code, which must come soon."""

    def send(process: "subprocess.Popen[str]", number: int = signal.SIGTERM) -> int:
        process.send_signal(number)
        return process.wait(timeout=20)

    return send


@pytest.fixture
def on_terminal() -> Callable[..., list[str]]:
    """Run a command on a terminal of so many columns, and return the lines that are seen there."""

    def do(*command: str, columns: int, cwd: Path | None = None) -> list[str]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm"},
            stdout=theirs,
            stdin=subprocess.DEVNULL,
        )
        os.close(theirs)
        said = b""
        # Linux tells the end of a terminal as an error.
        with contextlib.suppress(OSError):
            while more := os.read(ours, 65_536):
                said += more
        os.close(ours)
        assert process.wait(20) == 0
        return said.decode().splitlines()

    return do
