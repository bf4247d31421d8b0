"""Makes hashes of passwords, and holds a password against one, in the same time where there is none.

It must not keep, log or repeat a password, nor know whose it is.
"""

import re
import secrets
import threading
from typing import Final

from bridge.errors import NotPossible

# What OWASP names first for Argon2id. One hash is made at a time, so a process never needs more than this.
_KIB: Final = 47_104
_PASSES: Final = 1
_LANES: Final = 1
# All hashes cost the same, or the time would tell whose was made otherwise, and that there is one.
_FORM: Final = re.compile(
    rf"\$argon2id\$v=19\$m={_KIB},t={_PASSES},p={_LANES}\$[A-Za-z0-9+/]{{22}}\$[A-Za-z0-9+/]{{43}}"
)
# One password is looked at and few wait: a thread that waits for its turn is one that pages do not have.
PLACES: Final = 3
SHORTEST: Final = 12
LONGEST: Final = 256


def is_hash(text: str) -> bool:
    """Say whether a text is a hash that `Passwords` made."""
    return _FORM.fullmatch(text) is not None


class TooBusy(Exception):
    """So many passwords wait to be looked at that this one was not."""


class Passwords:
    """Passwords against their hashes; safe to ask from any thread."""

    def __init__(self, *, wait_seconds: float = 2.0) -> None:
        """Take `wait_seconds` at most before others are told that it is too busy."""
        import argon2  # noqa: PLC0415 - only who makes or judges a hash needs it, and no worker does

        self._wait_seconds = wait_seconds
        self._hasher = argon2.PasswordHasher(
            time_cost=_PASSES, memory_cost=_KIB, parallelism=_LANES, hash_len=32, salt_len=16
        )
        self._another = argon2.exceptions.VerificationError
        self._one_at_a_time = threading.Lock()
        self._places = threading.BoundedSemaphore(PLACES)
        self._nobodys = self._hasher.hash(secrets.token_urlsafe())

    def hashed(self, password: str) -> str:
        """Return the hash of a new password; raise NotPossible for one that is too short or too long."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise NotPossible(f"a password has {SHORTEST} to {LONGEST} characters")
        return self._hasher.hash(password)

    def fits(self, known: str | None, password: str) -> bool:
        """Say whether a password is the one of a hash; where there is none, take as long and say no.

        Raises TooBusy where others take all the time.
        """
        if not self._places.acquire(blocking=False):
            raise TooBusy
        try:
            verified = self._verified(known or self._nobodys, password[:LONGEST])
        finally:
            self._places.release()
        return verified and known is not None and len(password) <= LONGEST

    def _verified(self, known: str, password: str) -> bool:
        if not self._one_at_a_time.acquire(timeout=self._wait_seconds):
            raise TooBusy
        try:
            return self._hasher.verify(known, password)
        except self._another:
            return False
        finally:
            self._one_at_a_time.release()
