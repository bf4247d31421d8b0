"""Measures how fast webhooks are taken in, durably, beside gunicorn and Flask answering a constant.

Only the web process runs. Contenders take turns, each started anew in every round. It must not judge: it
prints medians and ratios, and refuses a load of which a webhook was not answered or not kept.
"""

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass
from enum import StrEnum

from bench import contenders, load, processor
from bench.contenders import Name, Postgresql
from bench.load import Devices

# Kept connections of a usual load, and of a burst.
USUAL, BURST = 24, 200
WARMING = 200


class Load(StrEnum):
    WANTED = "each starts a run"
    HALF = "each starts a run, at half that rate"
    UNWANTED = "no mapping wants it"
    BURST = f"each starts a run, {BURST} connections"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One load of one contender: webhooks a second, processor time for each, and how long 99 % waited."""

    name: Name
    load: Load
    per_second: float
    contender_ms: float
    p99_ms: float
    repeated: int


def main() -> None:
    """Measure as the command line asks, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m bench.accepting", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender is started")
    parser.add_argument("--webhooks", type=int, default=2_000, help="webhooks of a usual load")
    parser.add_argument("--burst", type=int, default=10_000, help="webhooks of the burst")
    given = parser.parse_args()
    counts = {kind: given.burst if kind is Load.BURST else given.webhooks for kind in Load}
    with contenders.postgresql() as server:
        measured = [one for _ in range(given.rounds) for one in _round(server, counts)]
    print(
        f"{'':<20} {'':<40} {'webhooks/s':>10} {'ratio':>6} {'ms each':>8} {'ratio':>6} "
        f"{'p99 ms':>7} {'repeated':>8}"
    )
    for kind in Load:
        for name in contenders.TAKING_IN:
            rate, spent = (_median(measured, name, kind, figure) for figure in ("per_second", "contender_ms"))
            rate_ratio = rate / _median(measured, Name.CONSTANT, kind, "per_second")
            spent_ratio = spent / _median(measured, Name.CONSTANT, kind, "contender_ms")
            p99, repeated = (_median(measured, name, kind, figure) for figure in ("p99_ms", "repeated"))
            print(
                f"{name:<20} {kind:<40} {rate:>10.0f} {rate_ratio:>6.2f} {spent:>8.2f} {spent_ratio:>6.2f} "
                f"{p99:>7.0f} {repeated:>8.0f}"
            )


def _round(server: Postgresql, counts: dict[Load, int]) -> list[Measurement]:
    measured: list[Measurement] = []
    for name in contenders.TAKING_IN:
        with contenders.receiving(name, server) as contender:
            _send(contender.port, Load.WANTED, WARMING)
            rate = 0.0
            for kind, count in counts.items():
                before = sum(map(processor.seconds, contender.processes))
                sent = _send(contender.port, kind, count, rate / 2 if kind is Load.HALF else None)
                if kind is Load.WANTED:
                    rate = count / (sent.accepted - sent.began)
                used = sum(map(processor.seconds, contender.processes)) - before
                measured.append(
                    Measurement(
                        name=name,
                        load=kind,
                        per_second=count / (sent.accepted - sent.began),
                        contender_ms=1_000 * used / count,
                        p99_ms=1_000 * statistics.quantiles(sent.waits, n=100, method="inclusive")[98],
                        repeated=sent.repeated,
                    )
                )
    return measured


def _send(port: int, kind: Load, count: int, per_second: float | None = None) -> load.Sent:
    # Numbers never repeat: what is an event for the bridge must be an issue of its own.
    first = time.time_ns() // 1_000_000
    project = "NOBODY" if kind is Load.UNWANTED else "SUP"
    requests = load.webhooks(Devices.UID, count, first=first, project=project)
    connections = BURST if kind is Load.BURST else USUAL
    return asyncio.run(load.send(port, requests, connections=connections, per_second=per_second))


def _median(measured: list[Measurement], name: Name, kind: Load, figure: str) -> float:
    mine = [each for each in measured if (each.name, each.load) == (name, kind)]
    return float(statistics.median(getattr(each, figure) for each in mine))


if __name__ == "__main__":
    main()
