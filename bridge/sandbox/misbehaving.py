"""Turns a genuine answer into the spoilt one that a fault asks for.

It must not send anything, and must not decide which request is met.
"""

import gzip
from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge.sandbox.faults import Fault, FaultKind

HTML = (("Content-Type", "text/html; charset=utf-8"),)
JSON = (("Content-Type", "application/json"),)
# Of what an answer without an end consists, in bytes.
PIECE = 0x10000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer before it goes to the wire; Content-Length is added there."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


# How a simulated system words a status that it did not choose itself.
Refusal = Callable[[int], Reply]


def proxy_page(status: int) -> Reply:
    """Return what a proxy in front of a system answers: HTML, and nothing of the system's own."""
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1><p>proxy</p></body></html>"
    return Reply(status=status, headers=HTML, body=page.encode())


def spoil(fault: Fault, genuine: Reply, refusal: Refusal) -> Reply:
    """Return the answer that goes out; `genuine` where the fault strikes on the wire instead."""
    makers: dict[FaultKind, Callable[[], Reply]] = {
        FaultKind.STATUS: lambda: _status(fault, refusal),
        FaultKind.REDIRECT: lambda: Reply(status=302, headers=(("Location", fault.location),), body=b""),
        FaultKind.GARBAGE: lambda: replace(genuine, status=200, body=b'{"cut": [1, 2,\xff\xfe'),
        FaultKind.HTML: lambda: replace(proxy_page(200), status=200),
        FaultKind.EMPTY: lambda: Reply(status=200, headers=JSON, body=b""),
        FaultKind.HUGE: lambda: Reply(status=200, headers=JSON, body=b"[" + b" " * fault.size + b"]"),
        FaultKind.GZIP_BOMB: lambda: _bomb(fault.size),
        FaultKind.ENDLESS: lambda: Reply(status=200, headers=JSON, body=b" " * PIECE),
    }
    maker = makers.get(fault.kind)
    return genuine if maker is None else maker()


def _status(fault: Fault, refusal: Refusal) -> Reply:
    worded = refusal(fault.status)
    headers = dict(worded.headers) | fault.headers
    if fault.retry_after is not None:
        headers["Retry-After"] = fault.retry_after
    body = worded.body if fault.body is None else fault.body.encode()
    return Reply(status=fault.status, headers=tuple(headers.items()), body=body)


def _bomb(size: int) -> Reply:
    """Return a small body that decodes to `size` bytes, as gzip members of one mebibyte."""
    member = 1024 * 1024
    body = gzip.compress(b" " * member) * max(1, size // member)
    return Reply(status=200, headers=(*JSON, ("Content-Encoding", "gzip")), body=body)
