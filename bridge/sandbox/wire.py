"""Serves a simulated system over HTTP/1.1 on loopback and carries out the faults that strike on the wire.

It must not know what any system says; that is in the Flask application which it serves.
"""

import io
import os
import socket
import ssl
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from threading import Event, Lock, Thread
from typing import Any

from flask import Flask
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.test import run_wsgi_app

from bridge.sandbox.faults import Fault, FaultKind, FaultQueue
from bridge.sandbox.misbehaving import Refusal, Reply, spoil

CONTROL = "/_sandbox/"
# The environ key by which an application learns that a request must be noted and not carried out.
CARRY_OUT = "sandbox.carry_out"
MAX_BODY = 32 * 1024 * 1024
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """One request as the wire saw it; `status` is None where no answer was sent."""

    at: str
    method: str
    path: str
    status: int | None
    fault: str | None


class RequestLog:
    """The last requests, oldest first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: deque[SeenRequest] = deque(maxlen=20_000)

    def note(self, seen: SeenRequest) -> None:
        """Append a request."""
        with self._lock:
            self._seen.append(seen)

    def entries(self) -> list[dict[str, Any]]:
        """Return the requests as JSON objects."""
        with self._lock:
            return [asdict(seen) for seen in self._seen]

    def clear(self) -> None:
        """Forget every request."""
        with self._lock:
            self._seen.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A simulated system as the wire serves it."""

    app: Flask
    refusal: Refusal
    faults: FaultQueue
    log: RequestLog
    stopping: Event = field(default_factory=Event)


class _BodyError(Exception):
    """The body of a request cannot be read; the status says why."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class _Handler(WSGIRequestHandler):
    """One connection: reads whole requests, keeps it alive, and spoils what a fault asks for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def handle(self) -> None:
        """Serve a connection, unless a fault resets it before anything is read."""
        with self.server.open_connection(self.connection):
            if self.server.site.faults.on_connect() is not None:
                self._reset()
            else:
                super().handle()

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the name is werkzeug's
        """Say nothing: the request log is the witness."""

    def run_wsgi(self) -> None:
        """Answer one request."""
        environ = self.make_environ()
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        faulty = not path.startswith(CONTROL)
        site = self.server.site
        if faulty and (fault := site.faults.before_read(method, path)) is not None:
            self._note(method, path, None, fault)
            self._reset()
            return
        try:
            body = self._read_body(environ)
        except _BodyError as error:
            self.close_connection = True
            self._send(Reply(status=error.status, headers=(), body=b""))
            return
        fault = site.faults.after_read(method, path, body) if faulty else None
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ[CARRY_OUT] = fault is None or fault.takes_effect
        reply = _run(site.app, environ)
        status = None if fault is not None and fault.kind is FaultKind.RESET_AFTER_READ else reply.status
        if fault is not None:
            reply = spoil(fault, reply, site.refusal)
            status = None if status is None else reply.status
        if faulty:
            self._note(method, path, status, fault)
        if method == "HEAD":
            reply = Reply(status=reply.status, headers=reply.headers, body=b"")
        self._answer(reply, fault)

    def _read_body(self, environ: dict[str, Any]) -> bytes:
        if environ.get("wsgi.input_terminated"):
            body: bytes = environ["wsgi.input"].read(MAX_BODY + 1)
            environ.pop("HTTP_TRANSFER_ENCODING", None)
            if len(body) > MAX_BODY:
                raise _BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return body
        length = environ.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdigit()):
            raise _BodyError(HTTPStatus.BAD_REQUEST)
        if int(length) > MAX_BODY:
            raise _BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionAbortedError("the sender left in the middle of its request")
        return body

    def _answer(self, reply: Reply, fault: Fault | None) -> None:
        match fault.kind if fault is not None else None:
            case FaultKind.RESET_AFTER_READ:
                self._reset()
            case FaultKind.RESET_MID_BODY:
                self._write(_head(reply) + reply.body[: max(1, len(reply.body) // 2)])
                self._reset()
            case FaultKind.SHORT_BODY:
                self._write(_head(reply, length=len(reply.body) + 100) + reply.body)
                self.close_connection = True
            case FaultKind.BAD_CHUNKS:
                self._write(_head(reply, chunked=True) + b"zz\r\n" + reply.body + b"\r\n0\r\n\r\n")
                self.close_connection = True
            case FaultKind.ENDLESS:
                self._go_on(reply)
            case FaultKind.DRIP_HEAD:
                self._drip(_head(reply) + reply.body, fault)
            case FaultKind.DRIP_BODY:
                self._write(_head(reply))
                self._drip(reply.body, fault)
            case FaultKind.DELAY:
                self._pause(fault)
                self._send(reply)
            case _:
                self._send(reply)

    def _go_on(self, reply: Reply) -> None:
        """Send an answer in chunks until its reader leaves or the sandbox stops."""
        self._write(_head(reply, chunked=True))
        while not self.server.site.stopping.is_set():
            self._write(b"%x\r\n%b\r\n" % (len(reply.body), reply.body))

    def _send(self, reply: Reply) -> None:
        self._write(_head(reply) + reply.body)

    def _write(self, data: bytes) -> None:
        self.connection.sendall(data)

    def _drip(self, data: bytes, fault: Fault | None) -> None:
        for byte in data:
            self._write(bytes((byte,)))
            self._pause(fault)

    def _pause(self, fault: Fault | None) -> None:
        if fault is not None and self.server.site.stopping.wait(fault.seconds):
            raise ConnectionAbortedError("the sandbox stops")

    def _reset(self) -> None:
        """Send a TCP reset: a close that lingers for no time discards what was not sent."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def _note(self, method: str, path: str, status: int | None, fault: Fault | None) -> None:
        self.server.site.log.note(
            SeenRequest(
                at=datetime.now(UTC).isoformat(),
                method=method,
                path=path,
                status=status,
                fault=None if fault is None else fault.kind.value,
            )
        )


def _run(app: Flask, environ: dict[str, Any]) -> Reply:
    chunks, status, headers = run_wsgi_app(app, environ, buffered=True)
    kept = tuple((name, value) for name, value in headers.items() if name.lower() != "content-length")
    return Reply(status=int(status.split(" ", 1)[0]), headers=kept, body=b"".join(chunks))


def _head(reply: Reply, *, length: int | None = None, chunked: bool = False) -> bytes:
    phrase = HTTPStatus(reply.status).phrase if reply.status in set(HTTPStatus) else "Unknown"
    lines = [f"HTTP/1.1 {reply.status} {phrase}", f"Date: {format_datetime(datetime.now(UTC), usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    elif reply.status not in {204, 304}:
        lines.append(f"Content-Length: {len(reply.body) if length is None else length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class _Server(ThreadedWSGIServer):
    """The listening socket; TLS shakes hands on the connection's own thread, so none can hold up accept."""

    request_queue_size = 1024

    def __init__(self, port: int, site: Site, context: ssl.SSLContext | None) -> None:
        super().__init__(HOST, port, site.app, _Handler)
        self.site = site
        self.ssl_context = context
        self._lock = Lock()
        self._open: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection."""
        connection, address = super().get_request()
        if self.ssl_context is not None:
            connection = self.ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    @contextmanager
    def open_connection(self, connection: socket.socket) -> Iterator[None]:
        """Remember a connection while it is served, so that stopping can end it."""
        with self._lock:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)

    def end_connections(self) -> None:
        """Shut every open connection, idle ones too."""
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # its thread or the other side was faster


class Listener:
    """One simulated system on one loopback port."""

    def __init__(self, *, port: int, site: Site, context: ssl.SSLContext | None) -> None:
        self._site = site
        self._server = _Server(port, site, context)
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://{HOST}:{self._server.port}"
        self._thread = Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True, name=self.url
        )

    def start(self) -> None:
        """Serve on a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop accepting, wake what waits, and end open connections."""
        self._site.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.end_connections()
