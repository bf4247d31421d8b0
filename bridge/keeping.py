"""Looks after held runs: wakes whom time may have freed, ends who became too old, asks after approvals.

It must not send anything, nor release what waits for a person: a woken run is ruled on again like a new one.
"""

import threading
from datetime import datetime, timedelta
from typing import Final

import structlog

from bridge.approving import Approving
from bridge.errors import BridgeError, LostOwnership, NotPossible, Reason
from bridge.ledger import Ledger, Tx, working
from bridge.models import Run
from bridge.policy import too_old_at
from bridge.setting_aside import SettingAside

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
# So many are looked at in one round: what a limit holds in hundreds must not come back in one stroke.
BATCH = 20

# How long a run stands aside that could not be looked at.
ASIDE = timedelta(minutes=1)

# What the policy holds and time alone may free.
_FREED_BY_TIME: Final = frozenset({Reason.OVER_LIMIT, Reason.PAUSED, Reason.CLOCK_WENT_BACK})


class Keeping:
    """One thread of a worker; `run` returns when `stopping` is set."""

    def __init__(self, *, ledger: Ledger, approving: Approving, aside: SettingAside) -> None:
        self._ledger = ledger
        self._approving = approving
        self._aside = aside

    def run(self, stopping: threading.Event) -> None:
        """Go on until told to stop, whatever a single look meets."""
        while not stopping.is_set():
            try:
                self.look()
            except BridgeError as error:
                log.warning("keeping.postponed", reason=type(error).__name__)
            except Exception:
                log.exception("keeping.failed")
            stopping.wait(LOOK_SECONDS)

    def look(self) -> None:
        """Look once at the held runs that are due."""
        now, due = self._ledger.read(_due)
        for run in due:
            try:
                self._look_at(run, now)
            except (LostOwnership, NotPossible):
                log.info("run.moved_meanwhile", run=run.id)
            except Exception:
                # One that cannot be looked at must not keep those behind it waiting.
                log.exception("run.not_looked_at", run=run.id)
                self._ledger.write(working.look_later, run=run, at=now + ASIDE)

    def _look_at(self, run: Run, now: datetime) -> None:
        plan = run.plan
        assert plan is not None
        expiry = too_old_at(plan)
        if now > expiry:
            self._aside.expire(run, Reason.TOO_OLD, self._ledger.read(working.calls_of, run=run.id))
        elif run.reason in _FREED_BY_TIME:
            self._ledger.write(working.wake, run=run)
        elif run.reason is Reason.AWAITING_APPROVAL:
            self._approving.look(run)
        else:
            self._ledger.write(working.look_later, run=run, at=expiry)


def _due(tx: Tx) -> tuple[datetime, tuple[Run, ...]]:
    return tx.now, working.due_held(tx, limit=BATCH)
