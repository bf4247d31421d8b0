"""A name server of our own on loopback: it knows one address, or says that it does not, or says nothing.

It must not ask anybody else.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from enum import StrEnum

# Clients look for name servers at this port alone; the address is of no other use.
HERE = ("127.77.7.53", 53)
MESSAGE_BYTES = 512
TYPE_A, CLASS_IN, SECONDS = 1, 1, 0
# An answer to a recursive question, from one who does recursion; the code is in the last four bits.
ANSWER = 0x8180
POINTER_TO_QUESTION = 0xC00C


class Unresolved(StrEnum):
    """Why a name has no address."""

    UNKNOWN = "name that does not exist"
    FAILED = "name server that fails"
    SILENT = "name server that says nothing"


CODES = {Unresolved.UNKNOWN: 3, Unresolved.FAILED: 2}


class Resolver:
    """Answers every name with 127.0.0.1, but for the time of a trouble; `met` counts the questions then."""

    def __init__(self) -> None:
        self._trouble: Unresolved | None = None
        self.met = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(HERE)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def trouble(self, kind: Unresolved) -> Iterator[None]:
        """Let no name have an address until the context ends."""
        self._trouble = kind
        try:
            yield
        finally:
            self._trouble = None

    def close(self) -> None:
        """Answer no more."""
        # Closing alone would not wake who waits for a question; one that is empty ends it.
        self._socket.sendto(b"", HERE)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            question, asker = self._socket.recvfrom(MESSAGE_BYTES)
            if not question:
                return
            trouble = self._trouble
            self.met += trouble is not None
            if trouble is not Unresolved.SILENT:
                self._socket.sendto(_answer(question, 0 if trouble is None else CODES[trouble]), asker)


def _answer(message: bytes, code: int) -> bytes:
    """Return the answer to a question, with the address where the code is 0 and IPv4's is asked for."""
    # Behind the head of twelve bytes stands the name, which ends with an empty label; then type and class.
    ends = message.index(b"\0", 12) + 5
    kind, _ = struct.unpack("!HH", message[ends - 4 : ends])
    found = code == 0 and kind == TYPE_A
    head = message[:2] + struct.pack("!HHHHH", ANSWER | code, 1, int(found), 0, 0)
    address = socket.inet_aton("127.0.0.1")
    record = struct.pack("!HHHIH", POINTER_TO_QUESTION, TYPE_A, CLASS_IN, SECONDS, len(address)) + address
    return head + message[12:ends] + (record if found else b"")
