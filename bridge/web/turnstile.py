"""Lets only so many webhooks wait for the ledger at once, so that threads stay free to answer for health.

It must not look at requests, nor refuse one while the ledger keeps up.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Threads that webhooks never take.
KEPT_FREE = 2
# When someone has been inside for so many seconds the ledger stands still, and waiting for a place is vain.
STANDSTILL = 1.0
# Seconds between two looks at that.
LOOK = 0.1


class Turnstile:
    """So many places; `monotonic` gives seconds."""

    def __init__(self, *, places: int, monotonic: Callable[[], float]) -> None:
        self._free = threading.Semaphore(places)
        self._monotonic = monotonic
        self._inside: dict[int, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Yield True with a place taken, or False where the ledger stands still and all are taken."""
        if not self._take():
            yield False
            return
        me = threading.get_ident()
        with self._lock:
            self._inside[me] = self._monotonic()
        try:
            yield True
        finally:
            with self._lock:
                del self._inside[me]
            self._free.release()

    def _take(self) -> bool:
        if self._free.acquire(blocking=False):
            return True
        while not self._stands_still():
            if self._free.acquire(timeout=LOOK):
                return True
        return False

    def _stands_still(self) -> bool:
        with self._lock:
            longest = min(self._inside.values(), default=None)
        return longest is not None and self._monotonic() - longest > STANDSTILL
