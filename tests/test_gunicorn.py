"""gunicorn.conf.py, tried with the real server and a small application in place of the bridge."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

CONF = Path(__file__).resolve().parent.parent / "gunicorn.conf.py"
APPLICATION = """
from pathlib import Path

class Work:
    def start(self): Path("started").touch()
    def stop(self): Path("stopped").touch()

class App:
    extensions = {"bridge": Work()}
    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/fail":
            raise ValueError("canary-5f3a")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

app = App()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "gunicorn", "--config", str(CONF), "--chdir", str(folder), "app:app"]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    return {**kept, "PYTHONPATH": str(CONF.parent), **settings}


@contextmanager
def serving(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    (folder / "app.py").write_text(APPLICATION)
    settings = {"BRIDGE_BIND": f"127.0.0.1:{port}", "BRIDGE_WEB_WORKERS": "1", "BRIDGE_WEB_THREADS": "2"}
    server = subprocess.Popen(
        command(folder), cwd=folder, env=environment(settings), stderr=subprocess.PIPE, text=True
    )
    try:
        yield server
    finally:
        server.kill()
        server.wait(10)


def ask(port: int, path: str = "/") -> bytes:
    end = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                body: bytes = answer.read()
                return body
        except urllib.error.HTTPError as error:
            return str(error.code).encode()
        except OSError:
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.05)


def test_background_work_starts_in_the_worker_and_stops_with_it_and_every_line_is_json(
    tmp_path: Path,
) -> None:
    port = free_port()
    with serving(tmp_path, port) as server:
        assert ask(port) == b"hello"
        assert ask(port, "/fail") == b"500"
        assert (tmp_path / "started").exists()
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=20)
    assert server.returncode == 0
    assert (tmp_path / "stopped").exists()
    assert "canary" not in errors
    lines = [json.loads(line) for line in errors.splitlines()]
    assert any(line.get("message", "").startswith("Listening at: http://127.0.0.1") for line in lines)
    assert any(line.get("error") == "ValueError" for line in lines)


def test_settings_that_cannot_be_used_end_the_server_with_every_problem(tmp_path: Path) -> None:
    settings = {"BRIDGE_BIND": "nowhere", "BRIDGE_WEB_THREADS": "0"}
    done = subprocess.run(
        command(tmp_path),
        check=False,
        cwd=tmp_path,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "BRIDGE_BIND: must be host:port (such as 127.0.0.1:8080 or [::1]:8080)",
        "BRIDGE_WEB_THREADS: must be greater than or equal to 1",
    ]
