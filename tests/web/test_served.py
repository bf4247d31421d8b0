"""The whole web process as it is deployed: gunicorn, several workers, real sockets."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from bridge.bootstrap import utc_now
from bridge.ledger import Ledger, queries
from bridge.ledger.connecting import open_database
from bridge.ledger.migrating import migrate
from bridge.web.turnstile import STANDSTILL

ROOT = Path(__file__).resolve().parents[2]


class Served:
    """A running server; every request has a connection of its own, so that any worker may take it."""

    def __init__(self, port: int, ledger: Ledger, log: Path) -> None:
        self.port = port
        self.ledger = ledger
        self.log = log

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            return response.status, response.read()

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


@pytest.fixture(scope="module")
def served(environment: Callable[..., dict[str, str]], tmp_path_factory: Any) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    address = f"sqlite:///{folder}/bridge.sqlite3"
    engine = open_database(address)
    migrate(engine)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BRIDGE_", "PORT"))}
    given = environment(address, BRIDGE_BIND=f"127.0.0.1:{port}", BRIDGE_WEB_WORKERS="2")
    command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "gunicorn.conf.py"), "app:app"]
    log = folder / "log"
    with log.open("wb") as errors:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env={**kept, **given, "PYTHONPATH": str(ROOT)},
            stdout=errors,
            stderr=errors,
        )
    running = Served(port, Ledger(engine, clock=utc_now), log)
    try:
        running.soon(lambda: running.ask("GET", "/readyz")[0] == 200)
        yield running
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
        assert "canary" not in log.read_text()
    finally:
        server.kill()
        server.wait(10)
        engine.dispose()


def test_a1_fifty_identical_deliveries_over_two_workers_make_one_run(served: Served, sender: Any) -> None:
    ticket, body = sender.created()
    headers = sender.headers(body)
    with ThreadPoolExecutor(50) as senders:
        answers = list(
            senders.map(lambda _: served.ask("POST", "/webhooks/jira", body, **headers), range(50))
        )
    assert [status for status, _ in answers] == [200] * 50
    assert sum(b'"accepted"' in content for _, content in answers) == 1
    assert len(served.ledger.read(queries.list_runs, limit=10, ticket=ticket)) == 1


def test_every_worker_gives_the_same_metrics(served: Served, sender: Any) -> None:
    for _ in range(20):
        assert served.ask("POST", "/webhooks/servicenow", b"{}", Host="example.com")[0] == 401
    counted = b'bridge_webhooks_refused_total{reason="bad_signature",source="servicenow"} 20.0'
    served.soon(lambda: all(counted in served.ask("GET", "/metrics")[1] for _ in range(10)))
    with ThreadPoolExecutor(8) as scrapers:
        answers = set(scrapers.map(lambda _: _settled(served.ask("GET", "/metrics")[1]), range(24)))
    assert len(answers) == 1


def _settled(metrics: bytes) -> bytes:
    """Leave out what goes on with time: ages and the time of the figures themselves."""
    lines = metrics.splitlines()
    return b"\n".join(line for line in lines if b"_oldest_seconds" not in line and b"figures" not in line)


def raw(port: int, *pieces: bytes) -> HTTPResponse:
    """Send bytes as they are, and read one answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        try:
            for piece in pieces:
                line.sendall(piece)
        except OSError:
            pass  # refused before the end, as it should be
        response = HTTPResponse(line)
        response.begin()
        response.read()
        return response


HEAD = b"POST /webhooks/jira HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\n"


def test_a_chunked_body_without_a_length_is_cut_off_at_the_limit(served: Served) -> None:
    chunk = b"2000\r\n" + b" " * 0x2000 + b"\r\n"
    chunks = [chunk] * 40
    response = raw(served.port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *chunks, b"0\r\n\r\n")
    assert response.status == 413


def test_a_chunked_body_within_the_limit_is_taken(served: Served, sender: Any) -> None:
    ticket, body = sender.created()
    signed = f"X-Hub-Signature: {sender.headers(body)['X-Hub-Signature']}\r\n".encode()
    head = HEAD + signed + b"Transfer-Encoding: chunked\r\n\r\n"
    response = raw(served.port, head, b"%x\r\n" % len(body) + body + b"\r\n", b"0\r\n\r\n")
    assert response.status == 200
    assert len(served.ledger.read(queries.list_runs, limit=10, ticket=ticket)) == 1


def test_a_length_over_the_limit_is_refused_without_reading(served: Served) -> None:
    response = raw(served.port, HEAD + b"Content-Length: 999999999\r\n\r\n")
    assert response.status == 413


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"Content-Length: x\r\n\r\n{}",
        b"Content-Length: -1\r\n\r\n{}",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"X-Hub-Signature: sha256=\xff\xfe\r\nContent-Length: 2\r\n\r\n{}",
        b"X-Hub-Signature: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
        b"X Hub: a\r\nContent-Length: 2\r\n\r\n{}",
        b"Expect: 200-nothing\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_bytes_that_are_no_request_are_a_4xx(served: Served, headers: bytes) -> None:
    assert 400 <= raw(served.port, HEAD + headers).status < 500


def test_health_has_threads_left_while_more_webhooks_wait_for_a_locked_database_than_there_are_threads(
    served: Served, sender: Any
) -> None:
    bodies = [sender.created()[1] for _ in range(80)]
    database = served.ledger.engine.url.database
    assert database is not None
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def send(body: bytes) -> int:
        return served.ask("POST", "/webhooks/jira", body, **sender.headers(body))[0]

    times = []
    with ThreadPoolExecutor(80) as senders:
        waiting = [senders.submit(send, body) for body in bodies]
        # The first moments are for the burst itself; what must not happen is that health waits for the lock.
        time.sleep(STANDSTILL + 0.7)
        for _ in range(20):
            asked = time.monotonic()
            served.ask("GET", "/livez")
            times.append(time.monotonic() - asked)
        statuses = {each.result(30) for each in waiting}
    other.execute("ROLLBACK")
    other.close()
    assert statuses == {503}
    assert sorted(times)[len(times) // 2] < 0.1
    assert max(times) < 1.5, "a probe waited for the lock"
    served.soon(lambda: served.ask("GET", "/readyz")[0] == 200)
    served.soon(lambda: send(bodies[0]) == 200)


def test_nothing_of_a_request_is_logged(served: Served) -> None:
    served.ask("POST", "/webhooks/jira?token=canary-query", b"canary-body", Authorization="canary-header")
    served.ask("POST", "/webhooks/canary-source", b"{}")
    served.ask("GET", "/canary-path?token=canary-query")
    assert "webhook.refused" in served.log.read_text()
    assert "canary" not in served.log.read_text()


def test_who_is_refused_again_and_again_is_counted_in_the_log_and_does_not_fill_it(served: Served) -> None:
    before = served.log.read_text()
    for _ in range(100):
        assert served.ask("POST", "/webhooks/jira", b"{}")[0] == 401

    def told() -> str:
        return served.log.read_text()[len(before) :]

    served.soon(lambda: '"event": "webhook.refusals"' in told())
    assert told().count("webhook.refused") <= 5
