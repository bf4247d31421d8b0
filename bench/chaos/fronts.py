"""What stands before an outside system and speaks TLS: it can refuse, stall, or show a wrong certificate.

It must not look into what it passes on.
"""

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from enum import StrEnum

from bench.chaos.certificates import GOOD, Distrusted

PIECE_BYTES = 1 << 16
BACKLOG = 128


class Unreachable(StrEnum):
    """Why no TLS connection can be made."""

    REFUSED = "connection refused"
    STALLED = "handshake stalled"


class Front:
    """Listens on a loopback port and passes on what comes to a system, but for the time of a trouble.

    `met` counts the connections that a trouble met, `trusted` names the certificates that a client took
    although it may not, `longest` is how many seconds a client has borne a handshake that stalls.
    """

    def __init__(self, there: tuple[str, int], contexts: Mapping[str, ssl.SSLContext]) -> None:
        self._there = there
        self._contexts = contexts
        self._lock = threading.Lock()
        self._passing: set[socket.socket] = set()
        self._trouble: str = GOOD
        self.port = 0
        self.met = 0
        self.trusted: list[str] = []
        self.longest = 0.0
        self._listen()

    @contextlib.contextmanager
    def trouble(self, kind: Unreachable | Distrusted) -> Iterator[None]:
        """Let new connections meet a trouble until the context ends."""
        self._trouble = kind
        if kind is Unreachable.REFUSED:
            self._listen_no_more()
        try:
            yield
        finally:
            self._trouble = GOOD
            if kind is Unreachable.REFUSED:
                self._listen()

    def cut(self) -> None:
        """End the connections that were made before, so that their clients need new ones."""
        with self._lock:
            for far in self._passing:
                _end(far)

    def close(self) -> None:
        """Listen no more, and end what is under way."""
        self._listen_no_more()
        self.cut()

    def _listen(self) -> None:
        """Listen, from the second time on where it was the first time."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=BACKLOG)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _listen_no_more(self) -> None:
        # Closing alone would not wake who waits for a visitor.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                visitor, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._meet, args=(visitor, self._trouble), daemon=True).start()

    def _meet(self, visitor: socket.socket, trouble: str) -> None:
        if trouble != GOOD:
            with self._lock:
                self.met += 1
        with contextlib.suppress(OSError), visitor:
            if trouble == Unreachable.STALLED:
                self._stall(visitor)
                return
            with self._contexts[trouble].wrap_socket(visitor, server_side=True) as secured:
                if trouble != GOOD:
                    self.trusted.append(trouble)
                    return
                self._pass_on(secured)

    def _stall(self, visitor: socket.socket) -> None:
        began = time.monotonic()
        try:
            while visitor.recv(PIECE_BYTES):
                pass
        finally:
            with self._lock:
                self.longest = max(self.longest, time.monotonic() - began)

    def _pass_on(self, visitor: ssl.SSLSocket) -> None:
        with socket.create_connection(self._there, timeout=10) as far:
            far.settimeout(None)
            with self._lock:
                self._passing.add(far)
            try:
                _exchange(visitor, far)
            finally:
                with self._lock:
                    self._passing.discard(far)


def _exchange(visitor: ssl.SSLSocket, far: socket.socket) -> None:
    """Copy both ways until one side ends, on one thread: a TLS connection does not bear two."""
    while True:
        ready = [visitor] if visitor.pending() else select.select([visitor, far], [], [])[0]
        for source in ready:
            piece = source.recv(PIECE_BYTES)
            if not piece:
                return
            (far if source is visitor else visitor).sendall(piece)


def _end(far: socket.socket) -> None:
    with contextlib.suppress(OSError):
        far.shutdown(socket.SHUT_RDWR)
