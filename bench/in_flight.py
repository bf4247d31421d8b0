"""Measures a worker with thousands of calls under way: its memory, and how soon new work starts meanwhile.

Every call goes over TLS to an upstream that answers it late. It must not judge: it prints what it found, and
refuses a load of which not all calls were under way at once, or of which one was lost or made twice.
"""

import argparse
import asyncio
import statistics
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench import contenders, load, processor
from bench.contenders import Contender, Name, Postgresql
from bench.load import Devices
from bench.upstreams import Manner, Upstream, upstream

CONNECTIONS = 24
# Seconds between two looks.
LOOK = 0.25
# Seconds beyond those of a call, after which an event that has not become a comment is called lost.
LOST_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    calls: int
    seconds: float
    probes: int


@dataclass(slots=True)
class _Peak:
    """The most memory of a process so far, in megabytes of its proportional set size."""

    process: int
    before: float
    megabytes: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self.over.wait(LOOK):
            self.megabytes = max(self.megabytes, processor.megabytes(self.process))


def main() -> None:
    """Measure the bridge on either database, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m bench.in_flight", description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000, help="calls that are under way at once")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each takes, 300 at most")
    parser.add_argument("--probes", type=int, default=20, help="new events meanwhile, one after the other")
    options = Options(**vars(parser.parse_args()))
    print(
        f"{'':<20} {'open':>6} {'worker before, at most':>23} {'new run sent after':>20} {'health':>20} "
        f"{'a page':>20}\n"
        f"{'':<20} {'':>6} {'':>23} {'median, worst':>20} {'median, worst':>20} {'median, worst':>20}"
    )
    manner = Manner(tls=True, call_seconds=options.seconds)
    with contenders.postgresql() as server:
        for name in (Name.SQLITE, Name.POSTGRESQL):
            with upstream(manner) as late:
                print(_measure(name, late, server, options), flush=True)


def _measure(name: Name, late: Upstream, server: Postgresql, options: Options) -> str:
    room = str(options.calls + options.probes)
    settings = dict.fromkeys(("MAX_IN_FLIGHT", "PORTALS__PLAIN__MAX_IN_FLIGHT"), room) | {"CONSOLE": "open"}
    with contenders.running(name, late, server, settings) as bridge:
        _, worker = bridge.processes
        with _watched(worker) as peak:
            _send(bridge, options.calls)
            _wait_until(late, "calls", options.calls, options)
            probed = [
                _probe(bridge, late, options.calls + number, options)
                for number in range(1, options.probes + 1)
            ]
            together = late.counts()["open"]
            everything = options.calls + options.probes
            if together != everything:
                raise RuntimeError(
                    f"only {together} of {everything} calls were under way at once: ask for fewer"
                )
            _wait_until(late, "comments", everything, options)
        counts = late.counts()
        if (counts["calls"], counts["comments"], counts.get("other", 0)) != (everything, everything, 0):
            raise RuntimeError(f"{everything} events made {counts}")
    begun, healthy, paged = zip(*probed, strict=True)
    return (
        f"{name:<20} {options.calls:>6} {peak.before:>10.0f} {peak.megabytes:>9.0f} MB "
        f"{1_000 * statistics.median(begun):>8.0f} {1_000 * max(begun):>8.0f} ms "
        f"{1_000 * statistics.median(healthy):>8.0f} {1_000 * max(healthy):>8.0f} ms "
        f"{1_000 * statistics.median(paged):>8.0f} {1_000 * max(paged):>8.0f} ms"
    )


@contextmanager
def _watched(process: int) -> Iterator[_Peak]:
    peak = _Peak(process, processor.megabytes(process))
    watching = threading.Thread(target=peak.watch)
    watching.start()
    try:
        yield peak
    finally:
        peak.over.set()
        watching.join()


def _probe(bridge: Contender, late: Upstream, calls: int, options: Options) -> tuple[float, float, float]:
    """Return how long after its webhook's answer a new run's call came, and what health and a page took."""
    healthy = _get(bridge, "/health")
    # The overview and the list of runs in turn.
    paged = _get(bridge, "/runs" if calls % 2 else "/")
    accepted = _send(bridge, 1)
    _wait_until(late, "calls", calls, options)
    return max(0.0, late.counts()["last_call_at"] - accepted), healthy, paged


def _get(bridge: Contender, path: str) -> float:
    """Return how many seconds an answer took."""
    began = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{bridge.port}{path}", timeout=30) as answer:
        answer.read()
    return time.monotonic() - began


def _send(bridge: Contender, count: int) -> float:
    """Send so many events, each of a ticket of its own; return when the last was accepted."""
    requests = load.webhooks(Devices.UID, count, first=time.time_ns() // 1_000_000)
    return asyncio.run(load.send(bridge.port, requests, connections=min(count, CONNECTIONS))).accepted


def _wait_until(late: Upstream, kind: str, count: int, options: Options) -> None:
    ends = time.monotonic() + options.seconds + LOST_SECONDS
    while (found := late.counts().get(kind, 0)) < count:
        if time.monotonic() > ends:
            raise RuntimeError(f"of {count} {kind} only {found} came")
        time.sleep(LOOK)


if __name__ == "__main__":
    main()
