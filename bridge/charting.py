"""Counts the traffic of the last hour, day or week, without costing more the more people look.

It must not write. A count says when it was made, and stands for STANDS_TIMES as long as it took.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

import structlog

from bridge.errors import LedgerUnavailable
from bridge.ledger import Ledger, traffic
from bridge.ledger.traffic import Traffic

log = structlog.get_logger(__name__)

# A count stands for so many times as long as it took: looking takes a twentieth of a processor at most,
# however many pages are open, and a small ledger is counted anew for every look.
STANDS_TIMES: Final = 20
# A thread counts everything before a page would have to: a million rows take longer than a page may.
WHOLE_SECONDS: Final = 0.9 * traffic.STANDS.total_seconds()


class Last(StrEnum):
    """How far back a chart looks."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


# How many steps there are, and how long each is: as many bars as a narrow screen can tell apart.
_STEPS: Final = {
    Last.HOUR: (12, timedelta(minutes=5)),
    Last.DAY: (24, timedelta(hours=1)),
    Last.WEEK: (28, timedelta(hours=6)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    traffic: Traffic
    stands_until: float


class Charting:
    """The newest counts of one process; `monotonic` gives seconds, `run` is for a thread of its own."""

    def __init__(self, *, ledger: Ledger, monotonic: Callable[[], float]) -> None:
        self._ledger = ledger
        self._monotonic = monotonic
        self._kept: dict[Last, _Kept] = {}
        # Whoever comes while it is counted waits for that count instead of counting too.
        self._locks = {last: threading.Lock() for last in Last}

    def over(self, last: Last) -> Traffic:
        """Return the traffic of a time; raise LedgerUnavailable where the ledger does not answer."""
        with self._locks[last]:
            kept = self._kept.get(last)
            if kept is not None and self._monotonic() < kept.stands_until:
                return kept.traffic
            return self._count(last, kept.traffic if kept is not None else None)

    def _count(self, last: Last, before: Traffic | None) -> Traffic:
        began = self._monotonic()
        count, each = _STEPS[last]
        counted = self._ledger.read(traffic.count_steps, count=count, each=each, before=before)
        ended = self._monotonic()
        self._kept[last] = _Kept(traffic=counted, stands_until=ended + STANDS_TIMES * (ended - began))
        return counted

    def run(self, stopping: threading.Event) -> None:
        """Count everything once in a while until told to stop."""
        while True:
            for last in Last:
                try:
                    # Nobody waits for it but who comes before there is any count.
                    self._count(last, None)
                except LedgerUnavailable as error:
                    # A page that needs it counts by itself, or says that the ledger does not answer.
                    log.warning("charting.ledger_unavailable", reason=str(error))
            if stopping.wait(WHOLE_SECONDS):
                return
