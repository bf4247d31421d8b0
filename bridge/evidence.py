"""Seals the audit every second, and logs the head, so that what happened cannot be rewritten unseen.

It must not write a row of the audit; those are written with what they tell of. Whoever is first seals.
"""

import threading
import time
from datetime import timedelta

import structlog

from bridge.errors import BridgeError, EvidenceBroken
from bridge.ledger import Ledger, Tx, auditing
from bridge.ledger.auditing import SEGMENT_ROWS, Horizon, Seal

log = structlog.get_logger(__name__)

SEAL_SECONDS = 1.0
# Another worker sealed so lately that this one leaves it to that.
_LATELY = timedelta(seconds=SEAL_SECONDS / 2)
# How often, and with which pause, a pass looks whether those have ended who may still add a lower row.
_LOOKS = 20
_LOOK_SECONDS = 0.05
# Seconds between two log lines about an audit that cannot be sealed.
_REPEAT_SECONDS = 60.0


class Sealing:
    """One thread of a worker; `run` returns when `stopping` is set."""

    def __init__(self, *, ledger: Ledger) -> None:
        self._ledger = ledger

    def run(self, stopping: threading.Event) -> None:
        """Seal what has come every second, whatever a single pass meets."""
        told: float | None = None
        while not stopping.wait(SEAL_SECONDS):
            try:
                self.catch_up()
                told = None
            except EvidenceBroken:
                if told is None or time.monotonic() - told > _REPEAT_SECONDS:
                    log.error("audit.broken")  # noqa: TRY400 - no traceback: expected, and no bug of ours
                    told = time.monotonic()
            except BridgeError as error:
                log.warning("audit.postponed", reason=type(error).__name__)
            except Exception:
                # One pass that fails must not end the sealing for good.
                log.exception("audit.failed")

    def catch_up(self) -> int:
        """Seal all that may be sealed now; return how many segments were made here."""
        if self._ledger.read(_rests):
            return 0
        made = 0
        while (seal := self.seal()) is not None:
            made += 1
            if seal.count < SEGMENT_ROWS:
                break
        return made

    def seal(self) -> Seal | None:
        """Seal one segment; return None where nothing waits, or another worker or writer came between.

        Raises EvidenceBroken where the newest seal was changed: nothing is built on that.
        """
        seen = self._ledger.read(auditing.horizon)
        if not self._all_have_ended(seen):
            return None
        seal = self._ledger.read(auditing.next_seal, up_to=seen.newest)
        if seal is None or not self._ledger.write(auditing.add_seal, seal=seal):
            return None
        log.info("audit.sealed", segment=seal.id, head=seal.chain, count=seal.count)
        return seal

    def _all_have_ended(self, seen: Horizon) -> bool:
        for look in range(_LOOKS):
            if look:
                time.sleep(_LOOK_SECONDS)
            if not seen.writers or not seen.writers & self._ledger.read(auditing.writers):
                return True
        return False


def _rests(tx: Tx) -> bool:
    """Say whether nothing is to be sealed now, which is how most passes end."""
    newest = auditing.newest_seal(tx)
    if newest is None:
        return False
    lately = abs(tx.now - newest.at) < _LATELY
    return lately or (auditing.newest_row(tx) <= newest.last and auditing.is_whole(tx))
