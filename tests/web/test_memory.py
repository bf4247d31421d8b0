"""The largest bodies, those that are taken and those that are refused, need little memory."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

# The default of MAX_BODY_BYTES, which is what these numbers are about.
LARGEST = 1_048_576
MOST = 50 * 1024  # kilobytes


def repeated(piece: bytes, room: int) -> bytes:
    """Return so many of a piece with commas between that they fill the room."""
    return b",".join([piece] * (room // (len(piece) + 1)))


# The most objects, or the most work, of the fewest bytes, as the value of a ticket's field.
INSIDE: dict[str, Callable[[int], bytes]] = {
    "a text": lambda room: b'"' + b"x" * (room - 2) + b'"',
    "escapes": lambda room: b'"' + b"\\u00e4" * ((room - 2) // 6) + b'"',
    "lists": lambda room: b"[" + repeated(b"[1e9,1]", room - 2) + b"]",
    "objects": lambda room: b"[" + repeated(b'{"a":1}', room - 2) + b"]",
    "short texts": lambda room: b"[" + repeated(b'"\xc3\xa4b"', room - 2) + b"]",
    "keys": lambda room: b"{" + b",".join(b'"%06x":1' % n for n in range(room // 11)) + b"}",
}
REFUSED = {
    "spaces": b" " * LARGEST,
    "empty lists": b"[" + repeated(b"[]", LARGEST - 2) + b"]",
    "lists as deep as is taken": b"[" + repeated(b"[" * 60 + b"]" * 60, LARGEST - 2) + b"]",
    "deep lists": b"[" * LARGEST,
    "deep objects": b'{"a":' * (LARGEST // 5),
    "quotes": b'"' * LARGEST,
    "backslashes": b'"' + b"\\" * (LARGEST - 1),
    "a key again and again": b"{" + repeated(b'"a":1', LARGEST - 2) + b"}",
}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_every_largest_body_takes_less_than_50_mb_of_a_web_process(
    serving: Callable[..., AbstractContextManager[Any]], sender: Any, tmp_path: Path
) -> None:
    given = {"BRIDGE_SOURCES__JIRA__MAX_BODY_BYTES": str(LARGEST)}
    with serving(tmp_path, workers=1, **given) as served:
        (pid,) = Path(f"/proc/{served.pid}/task/{served.pid}/children").read_text().split()
        process = Path("/proc", pid)

        def send(body: bytes) -> int | None:
            """Return the status, None where the server hung up before it was sent whole."""
            # The most that was held begins anew.
            (process / "clear_refs").write_text("5")
            before = kilobytes(process, "VmRSS")
            try:
                status: int = served.ask("POST", "/webhooks/jira", body, **sender.headers(body))[0]
            except ConnectionError:
                return None
            finally:
                assert kilobytes(process, "VmHWM") - before < MOST
            return status

        for case, inside in INSIDE.items():
            _, around = sender.created(customfield_99999="@")
            body = around.replace(b'"@"', inside(LARGEST - len(around)))
            assert len(body) > 0.9 * LARGEST
            assert (case, send(body)) == (case, 200)
        for case, body in REFUSED.items():
            assert (case, send(body)) == (case, 400)
        assert send(b" " * (LARGEST + 1)) in {413, None}
        assert send(b" " * (20 * LARGEST)) in {413, None}


def kilobytes(process: Path, name: str) -> int:
    """Return what a process holds (VmRSS), or has held at most (VmHWM)."""
    return int((process / "status").read_text().partition(f"{name}:")[2].split()[0])
