"""One connection to one host: connect, look at the clock, note `sent`, write, read until the deadline.

It must not repeat or follow anything, and it says what went wrong only by raising.
"""

import http.client
import io
import socket
import ssl
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError
from urllib3.util.connection import create_connection

from bridge.models import HttpRequest, HttpResponse
from bridge.transport.failures import TooLargeError, TooLateError

_READ_SIZE: Final = 16 * 1024
# On Linux the clock that goes on while the machine sleeps; elsewhere the monotonic clock does.
_CLOCK: Final = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC


def boot_clock() -> float:
    """Return seconds on the clock that counts suspension, the one that `started` is measured on."""
    return time.clock_gettime(_CLOCK)


@dataclass(slots=True)
class Flight:
    """One request on its way: its times on the boot clock, and whether its first byte may have left."""

    ends: float
    first_byte_until: float | None
    sent: bool = False

    def remaining(self) -> float:
        """Return the seconds that are left; raise TimeoutError when none are."""
        left = self.ends - boot_clock()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    def remaining_to_connect(self) -> float:
        """Return the seconds within which the connection must stand, for the first byte to be in time."""
        left = self.remaining()
        if self.first_byte_until is None:
            return left
        left = min(left, self.first_byte_until - boot_clock())
        if left <= 0:
            raise TooLateError
        return left

    def mark_sent(self) -> None:
        """Note, just before the write, that the first byte may be out (S2), unless it is too late (S4)."""
        if not self.sent:
            self.remaining_to_connect()
            self.sent = True


@dataclass(slots=True)
class _Seat:
    """Where a connection finds the flight that it serves; a line serves one at a time."""

    flight: Flight


class _DeadlineReader(io.RawIOBase):
    """Read from a socket so that every single read ends at the flight's deadline, headers included."""

    def __init__(self, sock: socket.socket, flight: Flight) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open until both are closed
        self._flight = flight

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._flight.remaining())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineFile:
    """What http.client takes for a socket: all that it asks of one is a file to read the answer from."""

    def __init__(self, sock: socket.socket, flight: Flight) -> None:
        self._sock = sock
        self._flight = flight

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_DeadlineReader(self._sock, self._flight))


class _Connection(HTTPConnection):
    """A connection that knows its flight: connect first, look at the clock, note `sent`, write."""

    def __init__(self, *args: Any, seat: _Seat, **options: Any) -> None:
        super().__init__(*args, **options)
        self._seat = seat

    def _new_conn(self) -> socket.socket:
        flight = self._seat.flight
        # Resolved here so that each address of a name gets only the time that is left, not the whole.
        found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        failure: OSError = OSError("the name has no address")
        for *_, address in found:
            try:
                sock = create_connection(
                    (str(address[0]), int(address[1])),
                    flight.remaining_to_connect(),
                    socket_options=self.socket_options,
                )
            except OSError as error:
                failure = error
            else:
                sock.settimeout(flight.remaining_to_connect())  # for the TLS handshake
                return sock
        raise NewConnectionError(self, type(failure).__name__) from failure

    def send(self, data: Any) -> None:
        flight = self._seat.flight
        if self.sock is None:
            if flight.sent:  # never a second connection for one request
                raise ConnectionError("the connection closed while the request was written")
            self.connect()
        left = flight.remaining()
        flight.mark_sent()
        self.sock.settimeout(left)
        super().send(data)

    # http.client calls this with its socket; the answer is read through the deadline.
    def response_class(self, sock: socket.socket, **options: Any) -> http.client.HTTPResponse:  # type: ignore[override]  # a factory in place of a class
        return http.client.HTTPResponse(_DeadlineFile(sock, self._seat.flight), **options)  # type: ignore[arg-type]  # it only asks for makefile


class _TlsConnection(_Connection, HTTPSConnection):
    """The same over TLS; `connect` shakes hands, so that is done before `sent` is noted."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Line:
    """One kept connection to one host. A pool alone knows no netrc, environment, cookies or redirects."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self._seat = _Seat(flight=Flight(ends=0.0, first_byte_until=None))
        self._pool: HTTPConnectionPool
        if context is None:
            self._pool = _Pool(host, port, maxsize=1, block=True, seat=self._seat)
        else:
            self._pool = _TlsPool(host, port, maxsize=1, block=True, seat=self._seat, ssl_context=context)

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()

    def fly(self, request: HttpRequest, flight: Flight, max_body: int) -> HttpResponse:
        """Send one request, whose URL is the target alone, and read its answer, or raise what went wrong."""
        self._seat.flight = flight
        answer = self._pool.urlopen(
            request.method,
            request.url,
            request.body,
            dict(request.headers),
            retries=False,
            redirect=False,
            timeout=flight.remaining(),
            preload_content=False,
        )
        body = bytearray()
        for piece in answer.stream(_READ_SIZE, decode_content=True):
            body += piece
            if len(body) > max_body:
                raise TooLargeError
        found = tuple((name.lower(), value) for name, value in answer.headers.items())
        return HttpResponse(status=answer.status, headers=found, body=bytes(body))
