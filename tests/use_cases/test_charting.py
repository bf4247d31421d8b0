"""However many look, counting takes a twentieth of the time at most."""

import threading
from typing import Any

from bridge.charting import STANDS_TIMES, Charting, Last
from bridge.ledger.traffic import Traffic


class Slow:
    """A ledger that takes its time to count; `seconds` is the clock that everybody looks at."""

    def __init__(self, clock: Any) -> None:
        self.clock, self.seconds, self.before, self.asked = clock, 100.0, list[Traffic | None](), 0
        self.takes = 2.0

    def read(self, query: Any, **given: Any) -> Traffic:
        self.asked += 1
        self.before.append(given["before"])
        self.seconds += self.takes
        return Traffic(steps=(), at=self.clock(), whole_at=self.clock())


def charting(ledger: Any) -> Charting:
    return Charting(ledger=ledger, monotonic=lambda: ledger.seconds)


def test_a_count_stands_for_a_multiple_of_what_it_took(clock: Any) -> None:
    ledger = Slow(clock)
    counts = charting(ledger)
    first = counts.over(Last.WEEK)
    ledger.seconds += STANDS_TIMES * ledger.takes - 0.1
    assert counts.over(Last.WEEK) is first
    ledger.seconds += 0.2
    assert counts.over(Last.WEEK) is not first
    assert ledger.before == [None, first]


def test_each_time_is_counted_by_itself(clock: Any) -> None:
    ledger = Slow(clock)
    counts = charting(ledger)
    assert len({id(counts.over(last)) for last in Last}) == len(Last) == ledger.asked


def test_who_comes_meanwhile_waits_for_that_count(clock: Any) -> None:
    ledger = Slow(clock)
    counting, go_on = threading.Event(), threading.Event()
    read = ledger.read

    def slowly(query: Any, **given: Any) -> Traffic:
        counting.set()
        assert go_on.wait(10)
        return read(query, **given)

    ledger.read = slowly  # type: ignore[method-assign] - a stand-in's own method, to stop in its middle
    counts = charting(ledger)
    found: list[Traffic] = []
    looking = [threading.Thread(target=lambda: found.append(counts.over(Last.DAY))) for _ in range(3)]
    for each in looking:
        each.start()
    assert counting.wait(10)
    go_on.set()
    for each in looking:
        each.join(10)
    assert len(found) == 3
    assert ledger.asked == 1


def test_the_thread_counts_everything_before_anybody_looks_and_ends_when_told(clock: Any) -> None:
    ledger = Slow(clock)
    counts = charting(ledger)
    stopping = threading.Event()
    thread = threading.Thread(target=counts.run, args=(stopping,), name="charting")
    thread.start()
    ends = threading.Event()
    for _ in range(500):
        if ledger.asked == len(Last):
            break
        ends.wait(0.01)
    stopping.set()
    thread.join(5)
    assert ledger.before == [None] * len(Last)
    assert not any(thread.name == "charting" for thread in threading.enumerate())
