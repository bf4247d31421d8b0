"""Looks after held runs: wakes whom time may have freed, ends who became too old, asks after approvals.

It must not send anything, nor release what waits for a person: a woken run is ruled on again like a new one.
"""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from bridge.approving import POLL, Approving
from bridge.errors import BridgeError, LostOwnership, NotPossible, Reason
from bridge.ledger import Ledger, Tx, approvals, working
from bridge.ledger.codec import ReadRuns
from bridge.models import Run, SourceName
from bridge.policy import too_old_at
from bridge.setting_aside import SettingAside

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0
# So many are looked at in one round: what a limit holds in hundreds must not come back in one stroke.
BATCH = 20

# How long a run stands aside that could not be looked at.
ASIDE = timedelta(minutes=1)

# Tickets of one source that a worker asks for approvals at the same time; a source that hangs keeps no other
# waiting, nor whom time frees or ends.
READERS = 4

# What the policy holds and time alone may free.
_FREED_BY_TIME: Final = frozenset({Reason.OVER_LIMIT, Reason.PAUSED, Reason.CLOCK_WENT_BACK})


class Keeping:
    """One thread of a worker, with readers for each source; `run` returns when `stopping` is set."""

    def __init__(self, *, ledger: Ledger, approving: Approving, aside: SettingAside) -> None:
        self._ledger = ledger
        self._approving = approving
        self._aside = aside
        self._readers: dict[SourceName, ThreadPoolExecutor] = {}
        self._lock = threading.Lock()
        self._under_way: Counter[SourceName] = Counter()

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
        for readers in self._readers.values():
            readers.shutdown(wait=False, cancel_futures=True)

    def look(self) -> tuple[Future[None], ...]:
        """Look once at the held runs that are due; return the readings of tickets, which go on meanwhile."""
        now, due = self._ledger.read(_due)
        for unreadable in due.unreadable:
            log.error("run.not_readable", run=unreadable)
            self._ledger.write(working.put_aside, run=unreadable, at=now + ASIDE)
        for run in due.runs:
            if not _looked(partial(self._look_at, run, now), run):
                self._ledger.write(working.look_later, run=run, at=now + ASIDE)
        sources = self._ledger.read(approvals.due_sources)
        return tuple(reading for name in sources for reading in self._ask(name))

    def _ask(self, name: SourceName) -> list[Future[None]]:
        """Hand to the readers of a source as many due runs as they have room for."""
        with self._lock:
            room = READERS - self._under_way[name]
        if room <= 0:
            return []
        taken = self._ledger.write(approvals.take_due, source=name, limit=room, lease=POLL)
        readers = self._readers.setdefault(name, ThreadPoolExecutor(READERS, thread_name_prefix="approval"))
        for unreadable in taken.unreadable:
            log.error("run.not_readable", run=unreadable)
        with self._lock:
            self._under_way[name] += len(taken.runs)
        return [readers.submit(self._read, name, run) for run in taken.runs]

    def _read(self, name: SourceName, run: Run) -> None:
        try:
            # Where this fails the run is due again when its lease is over.
            _looked(partial(self._approving.look, run), run)
        finally:
            with self._lock:
                self._under_way[name] -= 1

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


def _looked(look: Callable[[], object], run: Run) -> bool:
    """Look at a run; return False where that failed: it must not keep those behind it waiting."""
    try:
        look()
    except (LostOwnership, NotPossible):
        log.info("run.moved_meanwhile", run=run.id)
    except Exception:
        log.exception("run.not_looked_at", run=run.id)
        return False
    return True


def _due(tx: Tx) -> tuple[datetime, ReadRuns]:
    return tx.now, working.due_held(tx, limit=BATCH)
