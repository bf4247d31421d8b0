"""The one place that sends: an HttpRequest out, an HttpResponse or the plain truth that none came back.

It must not repeat, follow, decide or remember anything. Position decides what was sent, never the type of
an error (S2): the connection is made and the TLS handshake done first, and `sent` turns true just before the
first byte of the request.

One limit is the system's: resolving a name takes as long as its resolver does. That is before anything is
sent, and a call that is late by then is not sent (S4).
"""

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import certifi

from bridge.errors import ConfigurationError
from bridge.models import HttpRequest, HttpResponse, NoResponse
from bridge.transport.failures import no_response
from bridge.transport.line import Flight, Line, boot_clock

__all__ = ["MAX_BODY", "ContextOf", "Transport", "boot_clock", "tls_context", "trusting_nobody"]

ContextOf: TypeAlias = Callable[[Path | None], ssl.SSLContext]

MAX_BODY: Final = 1024 * 1024
MAX_IDLE_LINES: Final = 32
# Shorter than what servers and proxies commonly grant, so that a reused line is seldom a dead one.
MAX_IDLE_SECONDS: Final = 15.0

_USER_AGENT: Final = "nexthink-ticket-bridge"


@dataclass(frozen=True, slots=True)
class _Destination:
    scheme: str
    host: str
    port: int


@dataclass(slots=True)
class _Idle:
    """Lines that wait for a next request, the last used on top."""

    lines: list[tuple[_Destination, Line, float]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return what TLS connections are made with: the certificates of a file (PEM), else the public ones.

    Raises ConfigurationError where the file cannot be read as such.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if ca_file is None:
            # A slim system has no certificates of its own; the bundle of certifi is added.
            context.load_verify_locations(certifi.where())
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(
            (f"CA_FILE cannot be read as certificates in PEM form ({type(error).__name__})",)
        ) from error
    return context


def trusting_nobody(_ca_file: Path | None) -> ssl.SSLContext:
    """Return a TLS context without certificates, for transports that are never to reach anything."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Transport:
    """Sends to one portal or one ticket system; safe to share between threads.

    `ca_file` replaces the public certificates (PEM). Its TLS context is built once (S3). `max_body` is in
    decoded bytes; `context_of` may give transports with the same certificates the same context. Raises
    ConfigurationError where the certificates cannot be read.
    """

    def __init__(
        self, *, ca_file: Path | None, max_body: int = MAX_BODY, context_of: ContextOf = tls_context
    ) -> None:
        self._context = context_of(ca_file)
        self._max_body = max_body
        self._idle = _Idle()

    def send(
        self,
        request: HttpRequest,
        *,
        deadline: float,
        first_byte_within: float | None = None,
        started: float | None = None,
        fresh: bool = False,
    ) -> HttpResponse | NoResponse:
        """Send once and return the whole answer; never raises for what happens on the way.

        `deadline` and `first_byte_within` are seconds from `started`, a value of `boot_clock` (default: now).
        Everything ends at `deadline`. After `first_byte_within` nothing is sent any more (S4). `fresh` makes
        a connection of its own, as an Act call needs (S3). A redirect is an answer like any other.
        """
        begun = boot_clock() if started is None else started
        flight = Flight(
            ends=begun + deadline,
            first_byte_until=None if first_byte_within is None else begun + first_byte_within,
        )
        line: Line | None = None
        try:
            destination = _destination(request.url)
            line = self._line(destination, fresh=fresh)
            answer = line.fly(_as_sent(request, fresh=fresh), flight, self._max_body)
        except Exception as error:  # noqa: BLE001 - position decides what was sent, never the type (S2)
            if line is not None:
                line.close()
            return no_response(error, sent=flight.sent, late=boot_clock() >= flight.ends)
        if fresh:
            line.close()
        else:
            self._keep(destination, line)
        return answer

    def close(self) -> None:
        """Close the idle lines; requests under way end by themselves."""
        with self._idle.lock:
            lines, self._idle.lines = self._idle.lines, []
        for _, line, _ in lines:
            line.close()

    def _line(self, destination: _Destination, *, fresh: bool) -> Line:
        if not fresh:
            with self._idle.lock:
                for index in range(len(self._idle.lines) - 1, -1, -1):
                    where, line, since = self._idle.lines[index]
                    if where == destination and boot_clock() - since <= MAX_IDLE_SECONDS:
                        del self._idle.lines[index]
                        return line
        return Line(
            destination.host, destination.port, self._context if destination.scheme == "https" else None
        )

    def _keep(self, destination: _Destination, line: Line) -> None:
        now = boot_clock()
        with self._idle.lock:
            lines = self._idle.lines
            lines.append((destination, line, now))
            # They lie in the order of their last use, so those to drop lie in front.
            stale = sum(now - since > MAX_IDLE_SECONDS for *_, since in lines)
            dropped = lines[: max(stale, len(lines) - MAX_IDLE_LINES)]
            del lines[: len(dropped)]
        for _, old, _ in dropped:
            old.close()


def _destination(url: str) -> _Destination:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not an address that can be sent to")
    return _Destination(
        scheme=parts.scheme,
        host=parts.hostname,
        port=parts.port or (443 if parts.scheme == "https" else 80),
    )


def _as_sent(request: HttpRequest, *, fresh: bool) -> HttpRequest:
    """Return a request as it stands on the line: the target without the host, and all headers."""
    parts = urlsplit(request.url)
    headers = {"User-Agent": _USER_AGENT, "Accept-Encoding": "gzip", **dict(request.headers)}
    if fresh:
        headers["Connection"] = "close"
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return replace(request, url=target, headers=tuple(headers.items()))
