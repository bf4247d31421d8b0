"""Threads that write stand in line, and none of them stops it: whoever is first writes for all (W5)."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.errors import LedgerUnavailable
from bridge.ledger.line import GROUP_SIZE, LINE_SIZE, Job, Line


def each(_, writes):
    return [write(None) for write in writes]


class Writing:
    """Writes groups, one at a time, and stands still while `go` is not set."""

    def __init__(self):
        self.groups, self.patience = [], []
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()
        self.line = Line(self.write)
        self._alone = threading.Lock()

    def write(self, group, seconds):
        self.patience.append(seconds)
        assert self._alone.acquire(blocking=False), "two write at once"
        try:
            self.begun.set()
            assert self.go.wait(20)
            self.groups.append(len(group))
            for job in group:
                job.end(tuple(job.operation(None, [job.given])))
        finally:
            self._alone.release()

    def do(self, value=None, seconds=20.0):
        return self.line.do(Job(each, lambda _: value), seconds=seconds)


@pytest.fixture
def writing():
    return Writing()


def until(condition):
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.001)


def test_who_is_alone_writes_at_once_in_its_own_thread(writing):
    here = threading.get_ident()
    assert writing.line.do(Job(each, lambda _: threading.get_ident()), seconds=1) == here
    assert writing.groups == [1]


def test_who_comes_meanwhile_is_written_together(writing):
    writing.go.clear()
    with ThreadPoolExecutor(101) as people:
        first = people.submit(writing.do, "first")
        assert writing.begun.wait(10)
        others = [people.submit(writing.do, number) for number in range(100)]
        until(lambda: len(writing.line) == 100)
        writing.go.set()
        assert first.result(10) == "first"
        assert [other.result(10) for other in others] == list(range(100))
    assert writing.groups == [1, GROUP_SIZE, 100 - GROUP_SIZE]
    assert writing.do("again") == "again"


def test_who_was_not_begun_in_time_is_never_written_and_the_line_goes_on(writing):
    writing.go.clear()
    with ThreadPoolExecutor(2) as people:
        first = people.submit(writing.do, "first")
        assert writing.begun.wait(10)
        with pytest.raises(LedgerUnavailable) as raised:
            writing.do("late", seconds=0.05)
        assert not raised.value.maybe_committed
        writing.go.set()
        assert first.result(10) == "first"
    assert writing.do("after") == "after"
    assert writing.groups == [1, 1]


def test_who_was_begun_and_has_no_answer_in_time_may_be_committed(writing):
    second_stands_still, go_on = threading.Event(), threading.Event()

    def stand_still(_):
        second_stands_still.set()
        assert go_on.wait(20)

    writing.go.clear()
    with ThreadPoolExecutor(3) as people:
        first = people.submit(writing.do)
        assert writing.begun.wait(10)
        second = people.submit(writing.line.do, Job(each, stand_still), seconds=20)
        until(lambda: len(writing.line) == 1)
        third = people.submit(writing.do, "third", 2.0)
        until(lambda: len(writing.line) == 2)
        # The first ends; the second then writes for both.
        writing.go.set()
        first.result(10)
        assert second_stands_still.wait(10)
        with pytest.raises(LedgerUnavailable) as raised:
            third.result(10)
        assert raised.value.maybe_committed
        go_on.set()
        second.result(10)
    assert writing.groups == [1, 2]
    assert writing.do("after") == "after"


def test_who_comes_to_its_turn_late_waits_for_others_only_as_long_as_it_has_left(writing):
    writing.go.clear()
    with ThreadPoolExecutor(2) as people:
        first = people.submit(writing.do)
        assert writing.begun.wait(10)
        second = people.submit(writing.do, "second", 5.0)
        until(lambda: len(writing.line) == 1)
        time.sleep(0.5)
        writing.go.set()
        assert (first.result(10), second.result(10)) == (None, "second")
    assert writing.patience[0] > 19
    assert 3 < writing.patience[1] <= 4.5


def test_a_line_that_is_closed_writes_who_stands_in_it_and_nobody_else(writing):
    writing.go.clear()
    with ThreadPoolExecutor(3) as people:
        first = people.submit(writing.do, "first")
        assert writing.begun.wait(10)
        second = people.submit(writing.do, "second")
        until(lambda: len(writing.line) == 1)
        closing = people.submit(writing.line.close, seconds=10)
        until(lambda: writing.line._is_closed)
        with pytest.raises(LedgerUnavailable, match="closed"):
            writing.do()
        assert not closing.done()
        writing.go.set()
        closing.result(10)
        assert (first.result(10), second.result(10)) == ("first", "second")
    assert writing.groups == [1, 1]


def test_a_line_that_is_full_is_told(writing):
    writing.go.clear()
    with ThreadPoolExecutor(1) as people:
        first = people.submit(writing.do)
        assert writing.begun.wait(10)
        writing.line._waiting.extend(Job(each, lambda _: None) for _ in range(LINE_SIZE))
        with pytest.raises(LedgerUnavailable, match="full"):
            writing.do()
        writing.line._waiting.clear()
        writing.go.set()
        first.result(10)


def test_who_is_interrupted_while_it_writes_leaves_the_line_to_the_next(writing):
    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        writing.line.do(Job(each, interrupted), seconds=1)
    assert writing.do("after") == "after"


def test_however_many_give_up_at_whatever_moment_the_others_are_written(writing):
    """Each either has its answer, or was told truly that it was not written."""
    done = set()

    def come(number):
        chance = random.Random(number)
        for turn in range(40):
            name = (number, turn)
            seconds = chance.choice((0.0001, 0.0005, 0.002, 20.0))

            def write(_, name=name):
                done.add(name)
                time.sleep(0.0003)
                return name

            try:
                told = writing.line.do(Job(each, write), seconds=seconds) == name
            except LedgerUnavailable as error:
                told = seconds < 20 and (error.maybe_committed or name not in done)
            else:
                told = told and name in done
            if not told:
                return False
        return True

    with ThreadPoolExecutor(24) as people:
        assert all(people.map(come, range(24)))
    assert writing.do("after") == "after"
