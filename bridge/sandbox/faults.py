"""The misbehaviour that a test or a person asks for: what a fault is, which request it meets, and the queue.

It must not touch a socket; the wire and `misbehaving` carry a fault out.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from threading import Lock
from typing import ClassVar

from pydantic import ConfigDict


class FaultKind(StrEnum):
    """What goes wrong. Each one is described in the documentation of the sandbox."""

    DELAY = "delay"
    RESET_ON_CONNECT = "reset_on_connect"
    RESET_BEFORE_READ = "reset_before_read"
    RESET_AFTER_READ = "reset_after_read"
    RESET_MID_BODY = "reset_mid_body"
    SHORT_BODY = "short_body"
    BAD_CHUNKS = "bad_chunks"
    DRIP_HEAD = "drip_head"
    DRIP_BODY = "drip_body"
    STATUS = "status"
    REDIRECT = "redirect"
    GARBAGE = "garbage"
    HTML = "html"
    EMPTY = "empty"
    HUGE = "huge"
    GZIP_BOMB = "gzip_bomb"
    ENDLESS = "endless"


# Kinds that strike before the body of the request was read, so nothing can be carried out or counted.
UNREAD = frozenset({FaultKind.RESET_ON_CONNECT, FaultKind.RESET_BEFORE_READ})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault and the requests that it meets.

    `path` is a shell pattern. The first `skip` requests that match go unharmed, the next `times` are met.
    `carried_out` says whether the request takes effect before the fault strikes; None leaves it to the kind:
    a status and a redirect stand in for the system, every other fault spoils a genuine answer. `seconds`
    is the delay, or the pause between two bytes of a drip; `size` is in bytes, decoded.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    kind: FaultKind
    method: str = "*"
    path: str = "*"
    body_contains: str = ""
    skip: int = 0
    times: int = 1
    carried_out: bool | None = None
    seconds: float = 1.0
    status: int = 503
    retry_after: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    size: int = 8 * 1024 * 1024
    location: str = "http://redirected.example/"

    @property
    def takes_effect(self) -> bool:
        """Say whether the request is carried out although its answer is spoilt."""
        if self.kind in UNREAD:
            return False
        if self.carried_out is not None:
            return self.carried_out
        return self.kind not in {FaultKind.STATUS, FaultKind.REDIRECT}

    def meets(self, method: str, path: str, body: bytes) -> bool:
        """Say whether this fault is meant for a request."""
        return (
            self.method in {"*", method}
            and fnmatchcase(path, self.path)
            and self.body_contains.encode() in body
        )


class FaultQueue:
    """Faults in the order in which they were asked for; each request meets at most one."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Append a fault."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Forget every fault."""
        with self._lock:
            self._faults.clear()

    def waiting(self) -> tuple[Fault, ...]:
        """Return the faults that are still to come."""
        with self._lock:
            return tuple(self._faults)

    def on_connect(self) -> Fault | None:
        """Take the fault that meets a connection before anything was read from it."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.kind is FaultKind.RESET_ON_CONNECT:
                    return self._use(index)
            return None

    def before_read(self, method: str, path: str) -> Fault | None:
        """Take the fault that meets a request of which only the head was read."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if not fault.body_contains and fault.meets(method, path, b""):
                    return self._use(index) if fault.kind is FaultKind.RESET_BEFORE_READ else None
            return None

    def after_read(self, method: str, path: str, body: bytes) -> Fault | None:
        """Take the fault that meets a request which was read to its end."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.kind not in UNREAD and fault.meets(method, path, body):
                    return self._use(index)
            return None

    def _use(self, index: int) -> Fault | None:
        """Count one meeting; return None while the fault still lets requests through."""
        fault = self._faults[index]
        if fault.skip > 0:
            self._faults[index] = replace(fault, skip=fault.skip - 1)
            return None
        if fault.times > 1:
            self._faults[index] = replace(fault, times=fault.times - 1)
        else:
            del self._faults[index]
        return fault
