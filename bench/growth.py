"""Measures how costs grow: with the mappings, with what waits, with what has ended, with a payload.

The two of a pair take turns in one process, so that what disturbs one disturbs the other. It must not judge:
it prints medians and their ratios. Nothing is sent.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack

from bench import contenders
from bench.beds import Bed, bed
from bench.contenders import Name
from bridge import logs
from bridge.models import RunState

# As many as a worker's claim takes of a burst.
CLAIMED = 8
TURNS = 60


def main() -> None:
    """Measure as the command line asks, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--mappings", type=int, default=1_000, help="how many mappings, against ten")
    parser.add_argument("--waiting", type=int, default=100_000, help="how many runs wait, against none")
    parser.add_argument("--ended", type=int, default=1_000_000, help="how many runs have ended, against none")
    given = parser.parse_args()
    # What the bridge logs of each event would drown the figures.
    logs.configure("error")
    print(f"{'':<44} {'milliseconds':>22} {'ratio':>6}")
    with contenders.postgresql() as server:
        _mappings(given.mappings)
        _payloads()
        for name in (Name.SQLITE, Name.POSTGRESQL):
            with ExitStack() as stack:
                beds = [_bed(stack, name, server) for _ in range(2)]
                beds[0].fill(CLAIMED, RunState.QUEUED)
                beds[1].fill(CLAIMED, RunState.QUEUED)
                _filled(name, beds[0], beds[1], given.ended, RunState.ANSWERED)
                _filled(name, beds[0], beds[1], given.waiting, RunState.QUEUED)


def _bed(stack: ExitStack, name: Name, server: contenders.Postgresql) -> Bed:
    database = "" if name is Name.SQLITE else stack.enter_context(contenders.database(server))
    return stack.enter_context(bed(database))


def _mappings(many: int) -> None:
    with bed("", mappings=8) as few, bed("", mappings=many - 2) as more:
        _pair(f"accept with {many:,} mappings, with 10", more.receive, few.receive)


def _payloads() -> None:
    with bed("") as one:
        small, large = 10_000, 900_000
        ratio = large / small
        _pair(
            f"accept {large // 1_000} kB, {small // 1_000} kB ({ratio:.0f} times)",
            lambda: one.receive(description=large),
            lambda: one.receive(description=small),
        )


def _filled(name: Name, empty: Bed, filled: Bed, count: int, state: RunState) -> None:
    began = time.monotonic()
    filled.fill(count, state)
    print(f"({name}: {count:,} {state} runs made in {time.monotonic() - began:.0f} s)", flush=True)
    word = "waiting" if state is RunState.QUEUED else "ended"
    _pair(f"{name}: accept with {count:,} {word}, without", filled.receive, empty.receive)

    def claim(one: Bed) -> Callable[[], None]:
        def claimed() -> None:
            assert one.claim(CLAIMED) == CLAIMED

        return claimed

    _pair(
        f"{name}: claim with {count:,} {word}, without",
        claim(filled),
        claim(empty),
        after=lambda: (filled.queue_again(), empty.queue_again()),
    )


def _pair(
    what: str,
    first: Callable[[], None],
    second: Callable[[], None],
    after: Callable[[], object] = lambda: None,
) -> None:
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(TURNS):
        for act, times in zip((first, second), taken, strict=True):
            began = time.perf_counter()
            act()
            times.append(1_000 * (time.perf_counter() - began))
        after()
    # The first ones meet caches that are cold.
    one, other = (statistics.median(times[TURNS // 6 :]) for times in taken)
    print(f"{what:<44} {one:>10.2f} {other:>11.2f} {one / other:>6.2f}", flush=True)


if __name__ == "__main__":
    main()
