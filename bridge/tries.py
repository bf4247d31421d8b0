"""Counts tries to sign in, by name and by way and address, so that nobody guesses for long.

It must not know whether a try was good, nor share its counts: each process has its own.
"""

import functools
import hashlib
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from bridge.roles import Way

# Known names and others alike, or the difference would tell which there are.
OF_A_NAME: Final = RateLimitItemPerMinute(amount=10, multiples=5, namespace="name")
# Far more than one person needs: behind a proxy all have one address, and nobody may keep the others out.
OF_A_PEER: Final = RateLimitItemPerMinute(amount=300, multiples=1, namespace="peer")


class Tries:
    """The tries of the last minutes in this process; safe to ask from any thread."""

    @functools.cached_property
    def _limiter(self) -> FixedWindowRateLimiter:
        # Made by the first try: it starts a thread, which the processes that gunicorn makes would not have.
        # Of a moving window the names would stay in memory for ever, and anybody can make up names.
        return FixedWindowRateLimiter(MemoryStorage())

    def allowed(self, way: Way, *, peer: str, name: str | None = None) -> bool:
        """Count a try in a way from an address, and of a name if it gives one; say whether it may go on."""
        if not self._limiter.hit(OF_A_PEER, way, peer):
            return False
        return name is None or self._limiter.hit(OF_A_NAME, _short(name))

    def forget(self, *, name: str) -> None:
        """Count the tries of a name anew, after a good one."""
        self._limiter.clear(OF_A_NAME, _short(name))


def _short(name: str) -> str:
    """Return a digest, so that a long name takes no more room than a short one."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
