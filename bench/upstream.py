"""Nexthink, its Engines and a Jira that answer constants at once, so that others are what is measured.

It must not check a request nor keep more than counts; the sandbox is what checks.
"""

import asyncio
import json
import re
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

# What each kind of request is answered; a request is of the first kind whose words stand in its first line.
_KINDS: Final[tuple[tuple[bytes, str, int, object], ...]] = (
    (b"/comment ", "comments", 201, {"id": "10001", "jsdPublic": False}),
    (
        b"/api/remoteaction/v2/run ",
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


_ANSWERS: Final = tuple((words, kind, _response(status, content)) for words, kind, status, content in _KINDS)
_NOT_FOUND: Final = _response(404, {})


class _Counts:
    """How many requests of each kind came, and when the last comment was answered."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.last_comment_at = 0.0

    def answer(self, first_line: bytes) -> bytes:
        """Count a request and return its answer; `GET /counts` tells, `POST /reset` begins anew."""
        for words, kind, response in _ANSWERS:
            if words in first_line:
                self.kinds[kind] += 1
                if kind == "comments":
                    self.last_comment_at = time.monotonic()
                return response
        if first_line.startswith(b"GET /counts "):
            return _response(200, {**self.kinds, "last_comment_at": self.last_comment_at})
        if first_line.startswith(b"POST /reset "):
            self.kinds.clear()
            return _response(200, {})
        self.kinds["other"] += 1
        return _NOT_FOUND


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
        assert self._transport is not None
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            self._transport.write(self._counts.answer(head[: head.find(b"\r\n")]))
            if _CLOSES.search(head):
                self._transport.close()
                return


async def _serve() -> None:
    counts = _Counts()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(counts), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
