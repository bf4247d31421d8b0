"""A scripted server on real sockets, plain or TLS, and certificates made at run time."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bridge.transport import Transport

Script = Callable[["Visit"], None]


@dataclass
class Visit:
    """One connection that the server accepted, as its script sees it."""

    sock: socket.socket
    number: int
    over: threading.Event
    requests: list[bytes]

    def read_request(self) -> bytes:
        """Read one request: its head, and as much body as Content-Length says."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.sock.recv(65536)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(body) < length:
            body += self.sock.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        self.say("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def reset(self) -> None:
        """Close with a reset in place of an orderly end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.sock.close()

    def drip(self, data: bytes, every: float) -> None:
        """Send one byte at a time until the client is gone or the test is over."""
        for byte in data:
            self.say(bytes([byte]))
            if self.over.wait(every):
                return


@dataclass
class FakeServer:
    listener: socket.socket
    script: Script
    context: ssl.SSLContext | None
    over: threading.Event = field(default_factory=threading.Event)
    requests: list[bytes] = field(default_factory=list)
    visits: int = 0
    threads: list[threading.Thread] = field(default_factory=list)

    @property
    def port(self) -> int:
        port: int = self.listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def accept(self) -> None:
        while not self.over.is_set():
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.visits += 1
            thread = threading.Thread(target=self.visit, args=(sock, self.visits), daemon=True)
            thread.start()
            self.threads.append(thread)

    def visit(self, sock: socket.socket, number: int) -> None:
        sock.settimeout(10)
        try:
            if self.context is not None:
                sock = self.context.wrap_socket(sock, server_side=True)
            self.script(Visit(sock=sock, number=number, over=self.over, requests=self.requests))
        except OSError:
            pass  # the client went away, as many of these tests want it to
        finally:
            sock.close()

    def stop(self) -> None:
        self.over.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(timeout=5)


@dataclass(frozen=True)
class Certificate:
    file: Path
    key: Path

    @property
    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A self-signed certificate for 127.0.0.1."""
    return _make_certificate(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1")


@pytest.fixture(scope="session")
def other_certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A self-signed certificate for another name."""
    return _make_certificate(tmp_path_factory.mktemp("tls"), "DNS:other.example.com")


@pytest.fixture
def serve() -> Iterator[Callable[..., FakeServer]]:
    """Start a server that runs a script for each connection; all are stopped after the test."""
    servers: list[FakeServer] = []

    def start(script: Script, context: ssl.SSLContext | None = None) -> FakeServer:
        listener = socket.create_server(("127.0.0.1", 0))
        server = FakeServer(listener=listener, script=script, context=context)
        threading.Thread(target=server.accept, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def transport() -> Iterator[Transport]:
    instance = Transport(ca_file=None)
    yield instance
    instance.close()


def _make_certificate(folder: Path, name: str) -> Certificate:
    made = Certificate(file=folder / "cert.pem", key=folder / "key.pem")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    names = ["-subj", "/CN=bridge test", "-addext", f"subjectAltName={name}"]
    files = ["-keyout", str(made.key), "-out", str(made.file)]
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-days", "2", *curve, *names, *files],
        check=True,
        capture_output=True,
        timeout=30,
    )
    return made
