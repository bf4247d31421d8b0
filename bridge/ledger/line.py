"""Lets threads that write stand in line: whoever comes first writes for all that came meanwhile (W5).

It must not know what is written. A thread of its own for that would cost two hand-overs between threads for
every write, two thirds of the time of a small one.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from bridge.errors import LedgerUnavailable

T = TypeVar("T")

# One group is bounded so that its first member does not wait for a long tail.
GROUP_SIZE: Final = 64
LINE_SIZE: Final = 2_000
# Seconds between two looks whether all have been written, at the end.
_LOOK_SECONDS: Final = 0.01


@dataclass(slots=True, eq=False)
class Job(Generic[T]):
    """One write, by one thread; `answer` holds its result or what it raised once it is done.

    `operation` takes what is `given` by all jobs of a group that come with it one after the other, and
    returns a result for each.
    """

    operation: Callable[[Any, Sequence[Any]], Sequence[T]]
    given: Any
    answer: tuple[T] | Exception | None = None
    # Held until the write is done, or it is the turn of its thread to write for all in line.
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._turn.acquire()

    def end(self, answer: tuple[T] | Exception) -> None:
        """Give the answer to the thread that waits."""
        self.answer = answer
        self._turn.release()

    def call(self) -> None:
        """Tell the thread that waits that it is its turn."""
        self._turn.release()

    def wait(self, seconds: float) -> bool:
        """Wait for a call; return False where none came in time."""
        return self._turn.acquire(timeout=seconds)


class Line:
    """Those who wait to write.

    `write` gives each member of a group its answer, and waits for others so many seconds at most.
    """

    def __init__(self, write: Callable[[list[Job[Any]], float], None]) -> None:
        self._write = write
        self._mutex = threading.Lock()
        self._waiting: deque[Job[Any]] = deque()
        self._is_written = self._is_closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def do(self, job: Job[T], *, seconds: float) -> T:
        """Have a write done, by this thread or by another one; return what came of it, or raise that.

        Raises LedgerUnavailable where another thread has not come to an end with it within `seconds`.
        """
        ends = time.monotonic() + seconds
        with self._mutex:
            if self._is_closed:
                raise LedgerUnavailable("the ledger is closed")
            if len(self._waiting) >= LINE_SIZE:
                raise LedgerUnavailable("the queue of writes is full")
            self._waiting.append(job)
            is_first, self._is_written = not self._is_written, True
        if is_first or self._comes_to_its_turn(job, seconds):
            self._write_for_all(max(0.0, ends - time.monotonic()))
        if isinstance(job.answer, Exception):
            raise job.answer
        assert job.answer is not None
        return job.answer[0]

    def close(self, *, seconds: float) -> None:
        """Let nobody else into the line, and wait until who stands in it has been written."""
        ends = time.monotonic() + seconds
        with self._mutex:
            self._is_closed = True
        while self._is_written and time.monotonic() < ends:
            time.sleep(_LOOK_SECONDS)

    def _comes_to_its_turn(self, job: Job[Any], seconds: float) -> bool:
        """Wait; return False where another thread has done the write meanwhile."""
        if not job.wait(seconds):
            with self._mutex:
                # It may have been called in this very moment; who does not take its turn stops the line.
                called = job.wait(0)
                waits = job in self._waiting
                if not called and waits:
                    self._waiting.remove(job)
            if not called:
                raise LedgerUnavailable("the ledger did not answer in time", maybe_committed=not waits)
        return job.answer is None

    def _write_for_all(self, seconds: float) -> None:
        """Write what stands in line, this thread's own among it; then the next in line does the same."""
        with self._mutex:
            group = [self._waiting.popleft() for _ in range(min(GROUP_SIZE, len(self._waiting)))]
        try:
            self._write(group, seconds)
        finally:
            with self._mutex:
                self._is_written = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].call()
