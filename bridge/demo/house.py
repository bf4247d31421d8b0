"""The demo's folder and its two processes: the web process under gunicorn, and a worker.

It must not leave a process behind, nor let the environment of whoever starts it reach one.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import bridge
from bridge.bootstrap import open_ledger
from bridge.sandbox import credentials as known
from bridge.sandbox.running import Sandbox
from bridge.settings import read_settings

HOST = "127.0.0.1"
STOP_SECONDS = 10.0
LOG_LINES = 15


class HouseError(Exception):
    """The demo cannot go on; the message says why."""


class House:
    """A folder with settings, mappings and ledger, and the processes that work in it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bridge-demo-"))
        self._listening = socket.create_server((HOST, 0))
        self.url = f"http://{HOST}:{self._listening.getsockname()[1]}"
        self._variables = _variables(sandbox, bind=self.url.removeprefix("http://"))
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        # Waiting for readiness must not go through a proxy of the environment.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def webhook_url(self, source: str) -> str:
        """Return where a ticket system sends its webhooks."""
        return f"{self.url}/webhooks/{source}"

    def start(self) -> None:
        """Write the files, make the ledger, and start both processes."""
        lines = (f"{name}='{value}'\n" for name, value in self._variables.items())
        (self.folder / ".env").write_text("".join(lines), encoding="utf-8")
        shutil.copytree(shipped("mappings"), self.folder / "mappings")
        ledger = self.folder / "data" / "bridge.sqlite3"
        settings = read_settings({**self._variables, "BRIDGE_DATABASE_URL": f"sqlite:///{ledger}"})
        open_ledger(settings).engine.dispose()
        listening = self._listening.fileno()
        gunicorn = ["gunicorn", "--config", str(shipped("gunicorn.conf.py")), "--bind", f"fd://{listening}"]
        self._spawn("web", [*gunicorn, "bridge.serving:create_app()"], keep=(listening,))
        self._listening.close()
        self._spawn("worker", ["bridge", "worker"])

    def is_ready(self) -> bool:
        """Say whether the bridge takes webhooks."""
        try:
            with self._opener.open(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def check(self) -> None:
        """Raise HouseError where a process has ended by itself, with its last lines."""
        for name, child in self._children.items():
            if child.poll() is not None:
                lines = self._log(name).read_text(encoding="utf-8", errors="replace").splitlines()
                last = "\n".join(lines[-LOG_LINES:])
                raise HouseError(f"the {name} process has ended with {child.returncode}:\n{last}")

    def stop(self) -> None:
        """End both processes; one that does not end in time is killed."""
        self._listening.close()
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._children.clear()

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _spawn(self, name: str, command: list[str], *, keep: tuple[int, ...] = ()) -> None:
        with self._log(name).open("wb") as log:
            self._children[name] = subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, "-m", *command],
                cwd=self.folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=keep,
                # A Ctrl-C is for us alone; we end the processes in good order.
                start_new_session=True,
            )

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def shipped(name: str) -> Path:
    """Return what is shipped beside the code: in a checkout at its top, in an installed package here."""
    inside = Path(__file__).parent / name
    return inside if inside.exists() else Path(bridge.__file__).parents[1] / name


def _environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BRIDGE_", "GUNICORN_")) and name != "PORT"
    }
    # The code that runs here is the code that runs there, also where it is not installed.
    root = str(Path(bridge.__file__).parents[1])
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH"))))}


def _variables(sandbox: Sandbox, *, bind: str) -> dict[str, str]:
    return {
        "BRIDGE_SOURCES__JIRA__KIND": "jira",
        "BRIDGE_SOURCES__JIRA__BASE_URL": sandbox.jira_url,
        "BRIDGE_SOURCES__JIRA__VERIFY": "hmac",
        "BRIDGE_SOURCES__JIRA__SECRETS": f'["{known.JIRA_WEBHOOK_SECRET}"]',
        "BRIDGE_SOURCES__JIRA__USERNAME": known.JIRA_CLOUD_USERNAME,
        "BRIDGE_SOURCES__JIRA__TOKEN": known.JIRA_CLOUD_TOKEN,
        "BRIDGE_SOURCES__SERVICENOW__KIND": "servicenow",
        "BRIDGE_SOURCES__SERVICENOW__BASE_URL": sandbox.servicenow_url,
        "BRIDGE_SOURCES__SERVICENOW__VERIFY": "standard",
        "BRIDGE_SOURCES__SERVICENOW__SECRETS": f'["{known.SERVICENOW_WEBHOOK_SECRET}"]',
        "BRIDGE_SOURCES__SERVICENOW__USERNAME": known.SERVICENOW_USERNAME,
        "BRIDGE_SOURCES__SERVICENOW__PASSWORD": known.SERVICENOW_PASSWORD,
        "BRIDGE_PORTALS__MAIN__BASE_URL": sandbox.nexthink_url,
        "BRIDGE_PORTALS__MAIN__USERNAME": known.NEXTHINK_USERNAME,
        "BRIDGE_PORTALS__MAIN__PASSWORD": known.NEXTHINK_PASSWORD,
        "BRIDGE_PORTALS__MAIN__NXQL_URL": sandbox.nxql_url,
        "BRIDGE_BIND": bind,
        "BRIDGE_WEB_WORKERS": "1",
        "BRIDGE_CONSOLE": "open",
        "BRIDGE_GRACE_SECONDS": "2",
    }
