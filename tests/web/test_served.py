"""The whole web process as it is deployed: gunicorn, several workers, real sockets."""

import contextlib
import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from bridge.web.turnstile import STANDSTILL


def test_a1_fifty_identical_deliveries_over_two_workers_make_one_run(served: Any, sender: Any) -> None:
    ticket, body = sender.created()
    headers = sender.headers(body)
    with ThreadPoolExecutor(50) as senders:
        answers = list(
            senders.map(lambda _: served.ask("POST", "/webhooks/jira", body, **headers), range(50))
        )
    assert [status for status, _ in answers] == [200] * 50
    assert sum(b'"accepted"' in content for _, content in answers) == 1
    assert len(served.runs(ticket)) == 1


def test_every_worker_gives_the_same_metrics(served: Any, sender: Any) -> None:
    for _ in range(20):
        assert served.ask("POST", "/webhooks/servicenow", b"{}", Host="example.com")[0] == 401
    counted = b'bridge_webhooks_refused_total{reason="bad_signature",source="servicenow"} 20.0'

    def given() -> set[bytes]:
        with ThreadPoolExecutor(8) as scrapers:
            return set(scrapers.map(lambda _: _settled(served.ask("GET", "/metrics")[1]), range(24)))

    # Each looks at the ledger every two seconds, so one may be behind the other until then.
    served.soon(lambda: len(answers := given()) == 1 and counted in answers.pop())


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


def test_a_chunked_body_without_a_length_is_cut_off_at_the_limit(served: Any) -> None:
    chunk = b"2000\r\n" + b" " * 0x2000 + b"\r\n"
    chunks = [chunk] * 40
    response = raw(served.port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *chunks, b"0\r\n\r\n")
    assert response.status == 413


def test_a_chunked_body_within_the_limit_is_taken(served: Any, sender: Any) -> None:
    ticket, body = sender.created()
    signed = f"X-Hub-Signature: {sender.headers(body)['X-Hub-Signature']}\r\n".encode()
    head = HEAD + signed + b"Transfer-Encoding: chunked\r\n\r\n"
    response = raw(served.port, head, b"%x\r\n" % len(body) + body + b"\r\n", b"0\r\n\r\n")
    assert response.status == 200
    assert len(served.runs(ticket)) == 1


def test_a_length_over_the_limit_is_refused_without_reading(served: Any) -> None:
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
def test_bytes_that_are_no_request_are_a_4xx(served: Any, headers: bytes) -> None:
    assert 400 <= raw(served.port, HEAD + headers).status < 500


def test_health_has_threads_left_while_more_webhooks_wait_for_a_locked_database_than_there_are_threads(
    served: Any, sender: Any
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


def test_nothing_of_a_request_is_logged(served: Any) -> None:
    served.ask("POST", "/webhooks/jira?token=canary-query", b"canary-body", Authorization="canary-header")
    served.ask("POST", "/webhooks/canary-source", b"{}")
    served.ask("GET", "/canary-path?token=canary-query")
    assert "webhook.refused" in served.log.read_text()
    assert "canary" not in served.log.read_text()


def test_who_is_refused_again_and_again_is_counted_in_the_log_and_does_not_fill_it(served: Any) -> None:
    before = served.log.read_text()
    for _ in range(100):
        assert served.ask("POST", "/webhooks/jira", b"{}")[0] == 401

    def told() -> str:
        return served.log.read_text()[len(before) :]

    served.soon(lambda: '"event": "webhook.refusals"' in told())
    assert told().count("webhook.refused") <= 5


def test_a_ctrl_c_ends_every_process_and_answers_what_has_begun(
    serving: Callable[..., AbstractContextManager[Any]], sender: Any, tmp_path: Path
) -> None:
    """A terminal sends it to all of them, and whoever started them may send another signal at once."""
    with serving(tmp_path, workers=2) as running:
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        assert len(children) == 2
        over = threading.Event()
        answers: list[int] = []

        def send() -> None:
            while not over.is_set():
                _, body = sender.created()
                try:
                    answers.append(running.ask("POST", "/webhooks/jira", body, **sender.headers(body))[0])
                except ConnectionRefusedError:
                    return

        with ThreadPoolExecutor(8) as senders:
            sending = [senders.submit(send) for _ in range(8)]
            running.soon(lambda: len(answers) > 20)
            for number in (signal.SIGINT, signal.SIGTERM):
                for pid in (*map(int, children), running.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
            began = time.monotonic()
            running.soon(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), seconds=15)
            over.set()
            for each in sending:
                each.exception(20)
        assert time.monotonic() - began < 15
    assert set(answers) == {200}
