"""Hostile connections to the web process as it ships: slow, idle, half-sent, framed in two ways at once."""

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

NAME = "bridge.example.com"
MANY = 500
HEALTHY = 1.0
Connect = Callable[..., socket.socket]
# Whoever is slow has an address of their own, as outside: the proxy counts connections by address.
SLOW_ADDRESS = "127.0.0.2"


@pytest.fixture(scope="module")
def proxied(served: Any, proxying: Any, tmp_path_factory: Any) -> Iterator[tuple[int, int, Path]]:
    """The shipped site in front of the shipped server: its outer port, its inner port, its certificate."""
    with proxying(tmp_path_factory.mktemp("nginx"), served.port) as running:
        yield running


@pytest.fixture(params=["gunicorn", "nginx"])
def connect(request: pytest.FixtureRequest, served: Any) -> Connect:
    """Make connections to gunicorn itself, or to nginx in front of it by TLS."""
    if request.param == "gunicorn":
        return _plainly(served.port)
    outer, _, certificate = request.getfixturevalue("proxied")
    return _by_tls(outer, certificate)


def _plainly(port: int) -> Connect:
    def connect(address: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), timeout=15, source_address=(address, 0))

    return connect


def _by_tls(port: int, certificate: Path) -> Connect:
    context = ssl.create_default_context(cafile=certificate)

    def connect(address: str = "127.0.0.1") -> socket.socket:
        line = socket.create_connection(("127.0.0.1", port), timeout=15, source_address=(address, 0))
        return context.wrap_socket(line, server_hostname=NAME)

    return connect


def _exchange(line: socket.socket, sent: bytes) -> bytes:
    """Send bytes, and return all that comes until the other side closes or says nothing for a second."""
    line.settimeout(1)
    answers = b""
    with suppress(OSError):
        line.sendall(sent)
    with suppress(OSError):
        while piece := line.recv(65_536):
            answers += piece
    return answers


def _statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"^HTTP/1\.[01] (\d{3})", answers, re.MULTILINE)]


def _posted(body: bytes, headers: dict[str, str]) -> bytes:
    """Return a whole request, well formed."""
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = ["POST /webhooks/jira HTTP/1.1", f"Host: {NAME}", f"Content-Length: {len(body)}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


# ── one request that two parsers could take for two ──────────────────────────────────────────────────────

POST = b"POST /webhooks/jira HTTP/1.1\r\nHost: bridge.example.com\r\nContent-Type: application/json\r\n"
GET = b"GET /livez HTTP/1.1\r\nHost: bridge.example.com\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
EMPTY = b"Content-Length: 0\r\n"
END = b"0\r\n\r\n"


def _length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(body)


def _chunk(body: bytes, extension: bytes = b"") -> bytes:
    return b"%x%s\r\n%s\r\n" % (len(body), extension, body)


# Each hides a request that is signed and would start a run; only who misreads the outer one sees it.
HIDDEN: dict[str, Callable[[bytes], bytes]] = {
    "CL.TE": lambda it: POST + _length(END + it) + CHUNKED + b"\r\n" + END + it,
    "TE.CL": lambda it: POST + CHUNKED + b"Content-Length: 4\r\n\r\n" + _chunk(it) + END,
    "TE.TE": lambda it: POST + CHUNKED + b"Transfer-Encoding: identity\r\n" + _length(it) + b"\r\n" + it,
    "TE twice": lambda it: POST + CHUNKED + CHUNKED + b"\r\n" + END + it,
    "TE unknown": lambda it: POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + it,
    "TE with a space": lambda it: POST + b"Transfer-Encoding : chunked\r\n" + EMPTY + b"\r\n" + it,
    "TE with a tab": lambda it: POST + b"Transfer-Encoding:\x0bchunked\r\n" + EMPTY + b"\r\n" + it,
    "two lengths": lambda it: POST + EMPTY + _length(it) + b"\r\n" + it,
    "a list of lengths": lambda it: POST + b"Content-Length: 0, %d\r\n\r\n" % len(it) + it,
    "a length with a sign": lambda it: POST + b"Content-Length: +%d\r\n\r\n" % len(it) + it,
    "a length with a line": lambda it: POST + b"Content-Length: 0_0\r\n\r\n" + it,
    "obs-fold": lambda it: POST + b"X-A: b\r\n Content-Length: 0\r\n" + CHUNKED + b"\r\n" + _chunk(it) + END,
    "a chunk extension": lambda it: POST + CHUNKED + b"\r\n" + _chunk(it, b";a=\n") + END,
    "a chunk of another length": lambda it: POST + CHUNKED + b"\r\n0x%x\r\n" % len(it) + it + b"\r\n" + END,
    "a chunk length that overflows": lambda it: POST + CHUNKED + b"\r\n1%016x\r\n" % 0 + it,
    "trailers": lambda it: POST + CHUNKED + b"\r\n2\r\n{}\r\n0\r\nContent-Length: 9\r\n" + it,
    "bare LF": lambda it: (POST + _length(it)).replace(b"\r\n", b"\n") + b"\n" + it,
    "bare CR": lambda it: POST + b"X: a\rContent-Length: 0\r\n" + _length(it) + b"\r\n" + it,
    "a body to a GET": lambda it: GET + _length(it) + b"\r\n" + it,
    "HTTP/1.0 chunked": lambda it: POST.replace(b"1.1", b"1.0", 1) + CHUNKED + b"\r\n" + END + it,
    "a NUL in a name": lambda it: POST + b"Content-Length\x00: 0\r\n" + _length(it) + b"\r\n" + it,
}


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN.keys())
def test_no_hidden_request_reaches_a_run(
    connect: Connect, served: Any, sender: Any, hidden: Callable[[bytes], bytes]
) -> None:
    ticket, body = sender.created()
    inner = _posted(body, sender.headers(body))
    with connect() as line:
        statuses = _statuses(_exchange(line, hidden(inner)))
    assert served.runs(ticket) == ()
    assert all(status < 500 or status == 501 for status in statuses), statuses
    assert 200 not in statuses[1:], statuses
    assert served.ask("GET", "/livez")[0] == 200


UNUSUAL = {
    "absolute-form": b"POST http://bridge.example.com/webhooks/jira HTTP/1.1\r\nHost: other\r\n\r\n",
    "another absolute-form": b"GET http://169.254.1.1/livez HTTP/1.1\r\nHost: bridge.example.com\r\n\r\n",
    "a huge header": POST + b"X-A: " + b"a" * 100_000 + b"\r\n\r\n",
    "many headers": POST + b"".join(b"X-%d: a\r\n" % n for n in range(2_000)) + b"\r\n",
    "a huge line": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: bridge.example.com\r\n\r\n",
    "no host": b"GET /livez HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "an upgrade": b"GET /livez HTTP/1.1\r\nHost: bridge.example.com\r\n"
    b"Connection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    "HTTP/2 by itself": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n",
    "TLS in TLS": b"\x16\x03\x01\x00\x05hello\r\n\r\n",
    "NULs": b"\x00" * 5_000,
}


@pytest.mark.parametrize("sent", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_what_is_unusual_is_answered_or_closed_and_never_a_5xx(
    connect: Connect, served: Any, sent: bytes
) -> None:
    with connect() as line:
        answers = _exchange(line, sent)
    assert all(status < 500 or status in {501, 505} for status in _statuses(answers)), answers[:300]
    assert b"169.254" not in answers
    assert served.ask("GET", "/livez")[0] == 200


# ── who takes time ───────────────────────────────────────────────────────────────────────────────────────

SLOW = {
    "idle": b"",
    "half a head": POST + b"X-A: ",
    "half a body": POST + b"Content-Length: 1000\r\n\r\n{",
    "half a chunk": POST + CHUNKED + b"\r\n100\r\n{",
    "kept alive": b"POST /webhooks/nobody HTTP/1.1\r\nHost: bridge.example.com\r\nContent-Length: 0\r\n\r\n",
}


@contextmanager
def _many(connect: Connect, sent: bytes) -> Iterator[None]:
    with ExitStack() as lines:
        for _ in range(MANY):
            lines.enter_context(line := connect(SLOW_ADDRESS))
            line.sendall(sent)
        yield


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW.keys())
def test_behind_the_proxy_five_hundred_slow_connections_hurt_nobody(
    proxied: tuple[int, int, Path], served: Any, sender: Any, sent: bytes
) -> None:
    outer, _, certificate = proxied
    connect = _by_tls(outer, certificate)
    times = []
    with _many(connect, sent):
        for _ in range(20):
            began = time.monotonic()
            assert served.ask("GET", "/health")[0] == 200
            times.append(time.monotonic() - began)
            ticket, body = sender.created()
            with connect() as line:
                line.sendall(_posted(body, sender.headers(body)))
                assert _status(line) == 200
            assert len(served.runs(ticket)) == 1
    assert max(times) < HEALTHY


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW.keys())
def test_without_a_proxy_five_hundred_slow_connections_end_by_themselves(
    served: Any, sender: Any, sent: bytes
) -> None:
    with _many(_plainly(served.port), sent):
        began = time.monotonic()
        assert served.ask("GET", "/livez")[0] == 200
        ticket, body = sender.created()
        assert served.ask("POST", "/webhooks/jira", body, **sender.headers(body))[0] == 200
        waited = time.monotonic() - began
    # gunicorn.conf.py gives a request 10 seconds to arrive, and looks once a second.
    assert waited < 15
    print(f"\nwaited {waited:.1f} s")
    assert len(served.runs(ticket)) == 1


def _status(line: socket.socket) -> int:
    response = HTTPResponse(line)
    with suppress(HTTPException):
        response.begin()
    return response.status
