"""Keeps the figures of the ledger at hand, proves that it commits, and counts refused webhooks.

It must not make anyone wait who asks it: its own threads read and write, so a locked or dead database only
makes what is at hand older.
"""

import threading
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from bridge.errors import LedgerUnavailable, Reason
from bridge.ledger import Ledger, Tx, queries, refusals, sign_ins
from bridge.ledger.queries import Figures, SessionLine
from bridge.models import SourceName
from bridge.roles import Way

log = structlog.get_logger(__name__)

FIGURES_SECONDS = 2.0
PROBE_SECONDS = 2.0
# A probe that was committed this many seconds ago still shows that the ledger commits.
COMMITTED_WITHIN = 5.0
# What a web process counts in the ledger with every probe.
PROBE: Final = ("probe", "web", "committed")
# The name under which refusals are counted whose sender named no source of ours, whatever it named.
UNKNOWN_SOURCE: Final = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The ledger's figures and how old they are, in seconds of this process's own clock.

    `workers` is how many sessions have beaten lately by the ledger's clock, at the time of the figures.
    """

    figures: Figures
    workers: int
    age: float


class Vitals:
    """The background threads of a web process; `start` after the ledger's start, `stop` before its stop.

    `sources` gives the configured ones, `monotonic` seconds; a worker whose beat is older than
    `worker_seconds` is not counted.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        sources: Callable[[], Collection[SourceName]],
        monotonic: Callable[[], float],
        worker_seconds: float,
    ) -> None:
        self._ledger = ledger
        self._sources = sources
        self._monotonic = monotonic
        self._worker_seconds = worker_seconds
        self._taken: tuple[Figures, float] | None = None
        self._committed_at: float | None = None
        self._refused: Counter[tuple[SourceName, Reason]] = Counter()
        self._refused_sign_ins: Counter[tuple[Way, Reason]] = Counter()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        # Two threads: a database that refuses writes often still answers reads, and the figures stay fresh.
        self._threads = (
            threading.Thread(target=self._repeat, args=(self._take, FIGURES_SECONDS), name="figures"),
            threading.Thread(target=self._repeat, args=(self._probe, PROBE_SECONDS), name="probe"),
        )

    def start(self) -> None:
        """Start looking and probing."""
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        """End both threads, and write the refusals that were counted since the last probe."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=5)
        try:
            self._write_refusals()
        except LedgerUnavailable as error:
            log.warning("vitals.refusals_lost", reason=str(error))

    def snapshot(self) -> Snapshot | None:
        """Return the newest figures; None where the ledger has not answered yet."""
        if self._taken is None:
            return None
        figures, taken_at = self._taken
        beating = sum(self.beats(session, figures.now) for session in figures.sessions)
        return Snapshot(figures=figures, workers=beating, age=self._monotonic() - taken_at)

    def beats(self, session: SessionLine, now: datetime) -> bool:
        """Say whether a worker session has beaten lately, at a time of the ledger's clock."""
        return (now - session.beat_at).total_seconds() <= self._worker_seconds

    def commit_age(self) -> float | None:
        """Return how many seconds ago the newest probe was committed; None where none was yet."""
        return None if self._committed_at is None else self._monotonic() - self._committed_at

    def commits(self) -> bool:
        """Say whether the ledger has committed lately."""
        age = self.commit_age()
        return age is not None and age <= COMMITTED_WITHIN

    def note_refusal(self, source: SourceName, reason: Reason) -> bool:
        """Count a refused webhook, and say whether it is the first of its kind since the last probe.

        Names that are not configured share one count, so that it stays small.
        """
        known = source if source in self._sources() else SourceName(UNKNOWN_SOURCE)
        with self._lock:
            self._refused[(known, reason)] += 1
            return self._refused[(known, reason)] == 1

    def note_refused_sign_in(self, way: Way, reason: Reason) -> None:
        """Count somebody who could not sign in, and log the first of a kind since the last probe."""
        with self._lock:
            self._refused_sign_ins[(way, reason)] += 1
            first = self._refused_sign_ins[(way, reason)] == 1
        if first:
            log.warning("sign_in.refused", way=way, reason=reason)

    def _repeat(self, step: Callable[[], None], seconds: float) -> None:
        failing = False
        while True:
            try:
                step()
                failing = False
            except LedgerUnavailable as error:
                if not failing:
                    log.warning("vitals.ledger_unavailable", reason=str(error))
                failing = True
            except Exception:
                # A thread that ended would leave health with what it saw last.
                if not failing:
                    log.exception("vitals.failed")
                failing = True
            if self._stopping.wait(seconds):
                return

    def _take(self) -> None:
        taken_at = self._monotonic()
        self._taken = (self._ledger.read(queries.figures), taken_at)

    def _probe(self) -> None:
        self._ledger.write(_count_probe)
        self._committed_at = self._monotonic()
        self._write_refusals()

    def _write_refusals(self) -> None:
        with self._lock:
            waiting, self._refused = self._refused, Counter()
            waiting_in, self._refused_sign_ins = self._refused_sign_ins, Counter()
        if not waiting and not waiting_in:
            return
        try:
            self._ledger.write(_count_refused, webhooks=dict(waiting), sign_ins_refused=dict(waiting_in))
        except BaseException:
            # Kept also where the COMMIT is in doubt: a refusal counted twice hides no attack, a lost one may.
            with self._lock:
                self._refused.update(waiting)
                self._refused_sign_ins.update(waiting_in)
            raise
        for (way, reason), count in waiting_in.items():
            if count > 1:
                log.warning("sign_in.refusals", way=way, reason=reason, count=count)
        for (source, reason), count in waiting.items():
            if count > 1:
                # The first was told when it came; anybody can send, and must not fill the log.
                log.warning("webhook.refusals", source=source, reason=reason, count=count)


def _count_refused(
    tx: Tx,
    *,
    webhooks: dict[tuple[SourceName, Reason], int],
    sign_ins_refused: dict[tuple[Way, Reason], int],
) -> None:
    refusals.count_refusals(tx, webhooks)
    sign_ins.count_refused(tx, counted=sign_ins_refused)


def _count_probe(tx: Tx) -> None:
    """Write a row whose lock no two processes can take in different orders: totals are written last."""
    tx.count(*PROBE)
