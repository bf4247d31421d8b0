"""Calls functions in a process apart, one at a time and within a time, so that they slow nothing else.

It must not be given anything secret to hand over, and keeps our environment to itself: that process is given
none of our secrets. Files, /proc of the same user and the network are not taken away from it.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog

from bridge.errors import BridgeError

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)

# One call runs and one waits; more would only keep threads from what is urgent.
PLACES = 2


class Refused(BridgeError):
    """A call came to nothing: the process is taken, took too long or failed; the message says which."""


class Apart:
    """One process that is started when it is needed and ends by itself when it is not."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(PLACES)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, seconds: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a function of a module returns for these values; raise Refused where it does not.

        The time begins when the process is free, and includes its start.
        """
        if not self._places.acquire(blocking=False):
            raise Refused("others are trying something right now (wait a moment, and try again)")
        try:
            with self._lock:
                answer: tuple[T] | str = self._asked(pickle.dumps((seconds, function, args, kwargs)), seconds)
        finally:
            self._places.release()
        if isinstance(answer, str):
            log.error("workshop.failed", reason=answer)
            raise Refused(f"it failed ({answer}): it may be too much to be tried here (try less at once)")
        return answer[0]

    def warm(self) -> None:
        """Start the process ahead of its first call, unless it runs already."""
        if self._lock.acquire(blocking=False):
            try:
                self._running()
            finally:
                self._lock.release()

    def stop(self) -> None:
        """End the process, also in the middle of a call."""
        if self._process is not None:
            self._process.kill()
        with self._lock:
            if self._process is not None:
                self._ended(self._process)

    def _asked(self, job: bytes, seconds: float) -> tuple[T] | str:
        # One that has just ended because it had nothing to do is started once more.
        for _ in range(2):
            process = self._running()
            late = threading.Event()

            def end(process: subprocess.Popen[bytes] = process, late: threading.Event = late) -> None:
                late.set()
                process.kill()

            timer = threading.Timer(seconds, end)
            timer.start()
            try:
                answer: tuple[T] | str = _exchange(process, job)
            except (OSError, EOFError, pickle.UnpicklingError) as error:
                code = self._ended(process)
                if late.is_set():
                    raise Refused(f"it took longer than {seconds:.0f} s (try less at once)") from error
                if code != 0:
                    log.warning("workshop.ended", reason=f"status {code}")
                    raise Refused("it needs more than it is given here (try less at once)") from error
            else:
                if late.is_set():
                    self._ended(process)
                return answer
            finally:
                timer.cancel()
        raise Refused("it could not be started (see the log of the bridge)")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._ended(self._process)
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-B", "-P", "-m", "bridge.workshop"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # What is secret stands in the environment of this process, and is no business of that one.
                env={"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
                # A Ctrl-C is for this process, which lets go of that one.
                start_new_session=True,
            )
        return self._process

    def _ended(self, process: subprocess.Popen[bytes]) -> int:
        process.kill()
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                # What was not taken any more cannot be handed over now.
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process = None
        return code


def _exchange(process: subprocess.Popen[bytes], job: bytes) -> tuple[T] | str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(job)
    process.stdin.flush()
    # The other side is this code on this host; what it was given to read cannot make it write.
    answer: tuple[T] | str = pickle.load(process.stdout)  # noqa: S301 - see above
    return answer
