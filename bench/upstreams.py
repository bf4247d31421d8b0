"""Starts what the contenders call: nginx that answers constants, or a small server of our own; also over TLS.

It must not measure. nginx is faster, but cannot answer late; our own server is what else there is.
"""

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from bench.upstream import KINDS

ROOT: Final = Path(__file__).parents[1]
START_SECONDS = 90.0
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How an upstream answers: over TLS or not, and how many seconds late, calls and everything else."""

    tls: bool = False
    call_seconds: float = 0.0
    other_seconds: float = 0.0


class Upstream:
    """A server that is running: `certificate` is what its clients have to trust, where it serves TLS."""

    def __init__(self, *, port: int, process: int, certificate: Path | None) -> None:
        self.port = port
        self.process = process
        self.certificate = certificate

    @property
    def address(self) -> str:
        """Return its address."""
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    def counts(self) -> dict[str, Any]:
        """Return how many requests of each kind came since `reset`; `last_comment_at` is monotonic."""
        raise NotImplementedError

    def reset(self) -> None:
        """Count anew."""
        raise NotImplementedError


class _Own(Upstream):
    """Our own server; it tells besides how many requests are `open`, and `last_call_at` (monotonic)."""

    def counts(self) -> dict[str, Any]:
        with self._ask("/counts", "GET") as answer:
            counts: dict[str, Any] = json.load(answer)
            return counts

    def reset(self) -> None:
        self._ask("/reset", "POST").close()

    def _ask(self, path: str, method: str) -> Any:
        trusted = ssl.create_default_context(cafile=self.certificate) if self.certificate else None
        request = urllib.request.Request(self.address + path, method=method)
        return urllib.request.urlopen(request, timeout=10, context=trusted)


class _Nginx(Upstream):
    """nginx, which counts by a line of its log for each request."""

    def __init__(self, *, log: TextIO, **others: Any) -> None:
        super().__init__(**others)
        self._log = log
        self._kinds: Counter[str] = Counter()
        self._last_comment_at = 0.0

    def counts(self) -> dict[str, Any]:
        # The log has the time of day.
        behind = time.time() - time.monotonic()
        for line in self._log:
            kind, at = line.split()
            self._kinds[kind] += 1
            if kind == "comments":
                self._last_comment_at = float(at) - behind
        return {**self._kinds, "last_comment_at": self._last_comment_at}

    def reset(self) -> None:
        self.counts()
        self._kinds.clear()


@contextlib.contextmanager
def upstream(manner: Manner = Manner()) -> Iterator[Upstream]:
    """Run what answers in such a manner: nginx where it is installed and can."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    with tempfile.TemporaryDirectory(prefix="bench-upstream-") as folder:
        certificate = _certificate(Path(folder)) if manner.tls else None
        late = manner.call_seconds or manner.other_seconds
        running = _own(manner, certificate) if late or not nginx else _nginx(nginx, Path(folder), certificate)
        with running as started:
            yield started


def _certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 that vouches for itself; its key lies beside it."""
    made = folder / "certificate.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    names = ["-subj", "/CN=bridge bench", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(_key(made)), "-out", str(made)]
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-days", "2", *kind, *names, *files],
        check=True,
        capture_output=True,
        timeout=START_SECONDS,
    )
    return made


def _key(certificate: Path) -> Path:
    return certificate.with_name("key.pem")


@contextlib.contextmanager
def _own(manner: Manner, certificate: Path | None) -> Iterator[Upstream]:
    command = [sys.executable, "-m", "bench.upstream"]
    command += [f"--call-seconds={manner.call_seconds}", f"--other-seconds={manner.other_seconds}"]
    if certificate:
        command += [f"--certificate={certificate}", f"--key={_key(certificate)}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield _Own(port=int(process.stdout.readline()), process=process.pid, certificate=certificate)
        finally:
            process.terminate()


@contextlib.contextmanager
def _nginx(program: str, folder: Path, certificate: Path | None) -> Iterator[Upstream]:
    port = free_port()
    configuration, log = folder / "nginx.conf", folder / "counts.log"
    configuration.write_text(_configuration(folder, log, port, certificate))
    log.touch()
    with (folder / "nginx.log").open("wb") as errors:
        process = subprocess.Popen([program, "-c", str(configuration)], stdout=errors, stderr=errors)
    try:
        _wait_for(port, process, folder / "nginx.log")
        with log.open() as lines:
            yield _Nginx(log=lines, port=port, process=process.pid, certificate=certificate)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _configuration(folder: Path, log: Path, port: int, certificate: Path | None) -> str:
    """Return a configuration of one process that stays in front and writes into the folder."""
    # The words of a kind end with the space behind the path, and hold nothing that a pattern knows.
    paths = [
        (words.decode().strip(), kind, status, json.dumps(content)) for words, kind, status, content in KINDS
    ]
    tls = f"ssl_certificate {certificate}; ssl_certificate_key {_key(certificate)};" if certificate else ""
    temporary = " ".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    kinds = " ".join(f"~{path}$ {kind};" for path, kind, _, _ in paths)
    locations = "\n".join(
        f"location ~ {path}$ {{ return {status} '{content}'; }}" for path, _, status, content in paths
    )
    return f"""
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
{temporary}
map $uri $kind {{ default other; {kinds} }}
log_format counts '$kind $msec';
access_log {log} counts;
keepalive_requests 1000000;
default_type application/json;
server {{
listen 127.0.0.1:{port}{" ssl" if certificate else ""} backlog=4096; {tls}
{locations}
location / {{ return 404 '{{}}'; }}
}}
}}
"""


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None or time.monotonic() > ends:
            raise RuntimeError(f"nginx did not start:\n{log.read_text()[-2_000:]}")
        time.sleep(0.05)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
