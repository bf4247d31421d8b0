"""Removes once a day what has been kept as long as the settings say, in small steps that hold nobody up.

It must not remove what has not ended, what is owed, or what a limit or a repeat is still recognised by.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bridge.errors import BridgeError
from bridge.ledger import Ledger, Tx, retention, sign_ins
from bridge.ledger.retention import Found

log = structlog.get_logger(__name__)

EVERY = timedelta(days=1)
LOOK_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How long payloads, ended runs with what mappings saw, and the audit are kept."""

    payloads: timedelta
    runs: timedelta
    audit: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """How much was removed, or would be: payloads, findings of deliveries, runs, segments of the audit."""

    payloads: int
    findings: int
    runs: int
    segments: int


class Retaining:
    """The retention use case, and a thread of a worker; `run` returns when `stopping` is set.

    `longest_window` is the longest that a limit in force looks back; None where that is not known, and then
    nothing that limits count is removed.
    """

    def __init__(self, *, ledger: Ledger, keep: Keep, longest_window: Callable[[], timedelta | None]) -> None:
        self._ledger = ledger
        self._keep = keep
        self._longest_window = longest_window

    def run(self, stopping: threading.Event) -> None:
        """Begin a pass when one is due, whatever a single one meets."""
        while not stopping.wait(LOOK_SECONDS):
            try:
                if self._ledger.write(retention.begin_pass, every=EVERY):
                    done = self.purge(stopping)
                    log.info("purge.done", runs=done.runs, count=done.payloads)
            except BridgeError as error:
                log.warning("purge.postponed", reason=type(error).__name__)
            except Exception:
                log.exception("purge.failed")

    def preview(self) -> Purged:
        """Count what `purge` would remove now."""
        return self._ledger.read(_preview, keep=self._keep)

    def purge(self, stopping: threading.Event | None = None) -> Purged:
        """Remove what is due. Whatever ends it in the middle, the next pass goes on from there."""
        now = self._ledger.read(_now)
        of_runs = now - self._keep.runs
        ending = threading.Event() if stopping is None else stopping
        payloads = self._in_steps(
            retention.old_payloads, retention.empty_payloads, now - self._keep.payloads, ending
        )
        findings = self._in_steps(retention.old_findings, retention.empty_findings, of_runs, ending)
        stripped = self._in_steps(retention.old_runs, retention.strip_runs, of_runs, ending)
        self._drop_counted(now, ending)
        self._ledger.write(sign_ins.drop_ended, before=now)
        segments = self._purge_audit(now - self._keep.audit, ending)
        return Purged(payloads=payloads, findings=findings, runs=stripped, segments=segments)

    def _in_steps(
        self,
        look: Callable[..., Found],
        remove: Callable[..., int],
        before: datetime,
        ending: threading.Event,
    ) -> int:
        removed, after = 0, None
        while not ending.is_set():
            found = self._ledger.read(look, before=before, after=after)
            if not found.ids:
                break
            done = self._ledger.write(remove, ids=found.ids, before=before)
            if not done and found.at == after:
                break
            removed, after = removed + done, found.at
        return removed

    def _drop_counted(self, now: datetime, ending: threading.Event) -> None:
        window = self._longest_window()
        if window is None:
            return
        reach = max(self._keep.runs, window, self._ledger.read(retention.longest_window_waiting))
        while not ending.is_set() and self._ledger.write(retention.drop_counted, before=now - reach):
            continue

    def _purge_audit(self, before: datetime, ending: threading.Event) -> int:
        purged = 0
        while not ending.is_set():
            due = self._ledger.read(retention.old_segments, before=before)
            if due is None:
                break
            purged += self._ledger.write(retention.purge_segments, segments=due)
        return purged


def _now(tx: Tx) -> datetime:
    return tx.now


def _preview(tx: Tx, *, keep: Keep) -> Purged:
    payloads, findings, runs, segments = retention.count_due(
        tx, payloads=tx.now - keep.payloads, runs_before=tx.now - keep.runs, segments=tx.now - keep.audit
    )
    return Purged(payloads=payloads, findings=findings, runs=runs, segments=segments)
