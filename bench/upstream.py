"""Nexthink, its Engines and a Jira that answer constants, at once or late: others are what is measured.

It must not check a request nor keep more than counts; the sandbox is what checks.
"""

import argparse
import asyncio
import json
import re
import resource
import ssl
import time
from collections import Counter
from typing import Final

ENGINES: Final = (
    {"uid": "0a000000000000000000000000000001", "name": "engine-1"},
    {"uid": "0a000000000000000000000000000002", "name": "engine-2"},
)
DEVICE_NAME: Final = "WS-ABC-12345"
DEVICE_UID: Final = "0d000000000000000000000000000001"

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSES: Final = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)

# What the first line of a call holds.
CALL: Final = b"/api/remoteaction/v2/run "

# What each kind of request is answered; a request is of the first kind whose words stand in its first line.
KINDS: Final[tuple[tuple[bytes, str, int, object], ...]] = (
    (b"/comment ", "comments", 201, {"id": "10001", "jsdPublic": False}),
    (
        CALL,
        "calls",
        200,
        [{"databaseUid": engine["uid"], "code": "ok", "message": ""} for engine in ENGINES],
    ),
    (
        b"/2/query ",
        "queries",
        200,
        [{"device_uid": DEVICE_UID, "name": DEVICE_NAME, "last_seen": "2026-11-02T08:00:00"}],
    ),
    (
        b"/api/configuration/v1/engines ",
        "lists",
        200,
        [
            {
                "databaseUID": engine["uid"],
                "name": engine["name"],
                "status": "CONNECTED",
                "address": "127.0.0.1",
            }
            for engine in ENGINES
        ],
    ),
    (b"/myself ", "accounts", 200, {"accountId": "5b10ac8d82e05b22cc7d4ef5", "displayName": "Bridge"}),
)


def _response(status: int, content: object) -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_ANSWERS: Final = tuple((words, kind, _response(status, content)) for words, kind, status, content in KINDS)
_NOT_FOUND: Final = _response(404, {})


class _Counts:
    """How many requests of each kind came and when the last did, and how many wait for their answer."""

    def __init__(self, call_seconds: float, other_seconds: float) -> None:
        self.kinds: Counter[str] = Counter()
        self.open = 0
        self.last_call_at = 0.0
        self.last_comment_at = 0.0
        self._call_seconds = call_seconds
        self._other_seconds = other_seconds

    def answer(self, first_line: bytes) -> tuple[bytes, float]:
        """Count a request; return its answer, and after how many seconds to give it.

        `GET /counts` tells, `POST /reset` begins anew.
        """
        for words, kind, response in _ANSWERS:
            if words in first_line:
                self.kinds[kind] += 1
                if kind == "comments":
                    self.last_comment_at = time.monotonic()
                return response, self._call_seconds if kind == "calls" else self._other_seconds
        if first_line.startswith(b"GET /counts "):
            times = {"last_comment_at": self.last_comment_at, "last_call_at": self.last_call_at}
            return _response(200, {**self.kinds, "open": self.open, **times}), 0.0
        if first_line.startswith(b"POST /reset "):
            self.kinds.clear()
            return _response(200, {}), 0.0
        self.kinds["other"] += 1
        return _NOT_FOUND, 0.0


class _Connection(asyncio.Protocol):
    """One kept connection; requests are taken whole, one after the other."""

    def __init__(self, counts: _Counts) -> None:
        self._counts = counts
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._buffer and CALL in data:
            self._counts.last_call_at = time.monotonic()
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            response, seconds = self._counts.answer(head[: head.find(b"\r\n")])
            closes = _CLOSES.search(head) is not None
            if seconds:
                self._counts.open += 1
                asyncio.get_running_loop().call_later(seconds, self._answer_late, response, closes)
            else:
                self._answer(response, closes)

    def _answer_late(self, response: bytes, closes: bool) -> None:
        self._counts.open -= 1
        self._answer(response, closes)

    def _answer(self, response: bytes, closes: bool) -> None:
        assert self._transport is not None
        self._transport.write(response)
        if closes:
            self._transport.close()


async def _serve(counts: _Counts, tls: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(counts), "127.0.0.1", 0, ssl=tls, backlog=4_096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve as the command line asks, after the port was printed."""
    parser = argparse.ArgumentParser(prog="python -m bench.upstream", description=__doc__)
    parser.add_argument("--call-seconds", type=float, default=0.0, help="how late calls are answered")
    parser.add_argument("--other-seconds", type=float, default=0.0, help="how late everything else is")
    parser.add_argument("--certificate", help="the certificate to serve TLS with (PEM)")
    parser.add_argument("--key", help="its key (PEM)")
    given = parser.parse_args()
    tls = None
    if given.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(given.certificate, given.key)
    # Thousands of calls are as many open files.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_serve(_Counts(given.call_seconds, given.other_seconds), tls))


if __name__ == "__main__":
    main()
