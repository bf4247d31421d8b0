"""Measures how a running bridge takes thousands of new mappings, and what webhooks and health notice of it.

It must not judge: it prints how long the loading took, and waits before and meanwhile.
"""

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench import contenders, load, processor
from bench.beds import write_mappings
from bench.contenders import Contender, Name, Postgresql
from bench.load import Devices
from bench.upstreams import ROOT, Upstream, upstream

CONNECTIONS = 8
# Health is asked so often.
HEALTH_SECONDS = 0.2
HEALTH = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
# After so many events in a row, over new connections, every web process has found its new mapping.
IN_A_ROW = 10
LONGEST_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    mappings: int
    per_second: float
    seconds: float


@dataclass(slots=True, kw_only=True)
class _Waits:
    """Seconds that webhooks and health took."""

    webhooks: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)


def main() -> None:
    """Measure the bridge on either database, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m bench.loading", description=__doc__)
    parser.add_argument("--mappings", type=int, default=10_000, help="how many mappings are new")
    parser.add_argument("--per-second", type=float, default=20.0, help="webhooks that come meanwhile")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long is listened before")
    options = Options(**vars(parser.parse_args()))
    print(
        f"{'':<20} {'':<28} {'webhook accepted after':>26} {'health after':>26}\n"
        f"{'':<20} {'':<28} {'median, p99, worst':>26} {'median, p99, worst':>26}"
    )
    with contenders.postgresql() as server, upstream() as constants:
        for name in (Name.SQLITE, Name.POSTGRESQL):
            print("\n".join(_measure(name, constants, server, options)), flush=True)


def _measure(name: Name, constants: Upstream, server: Postgresql, options: Options) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="bench-mappings-") as folder:
        mappings = Path(folder, "mappings")
        shutil.copytree(ROOT / "bench" / "mappings", mappings)
        with contenders.running(name, constants, server, {"MAPPINGS": str(mappings)}) as bridge:
            before = _Waits()
            asyncio.run(_listen(bridge.port, options.seconds, options, before))
            used = sum(map(processor.seconds, bridge.processes))
            began = time.monotonic()
            write_mappings(mappings, options.mappings)
            meanwhile = _Waits()
            while not asyncio.run(_all_know(bridge, options.mappings - 1)):
                if time.monotonic() > began + LONGEST_SECONDS:
                    raise RuntimeError(f"{options.mappings} mappings were not loaded")
                asyncio.run(_listen(bridge.port, 1.0, options, meanwhile))
            took = time.monotonic() - began
            used = sum(map(processor.seconds, bridge.processes)) - used
    return [
        _line(name, "before", before),
        _line(name, f"loading, {took:.0f} s ({used:.0f} s used)", meanwhile),
    ]


async def _listen(port: int, seconds: float, options: Options, waits: _Waits) -> None:
    """Send webhooks that one mapping wants, at their rate, and ask for health meanwhile."""
    count = max(2, round(seconds * options.per_second))
    requests = load.webhooks(Devices.UID, count, first=time.time_ns() // 1_000_000)
    over = asyncio.Event()
    asking = asyncio.create_task(_ask_for_health(port, waits, over))
    sent = await load.send(port, requests, connections=CONNECTIONS, per_second=options.per_second)
    waits.webhooks += sent.waits
    over.set()
    # What is under way counts, the longer the more.
    await asking


async def _ask_for_health(port: int, waits: _Waits, over: asyncio.Event) -> None:
    while not over.is_set():
        began = time.monotonic()
        await load.ask(port, HEALTH)
        waits.health.append(time.monotonic() - began)
        await asyncio.sleep(HEALTH_SECONDS)


async def _all_know(bridge: Contender, number: int) -> bool:
    """Say whether the mapping of that number starts a run, whichever web process is asked."""
    first = time.time_ns() // 1_000_000
    for request in load.webhooks(Devices.UID, IN_A_ROW, first=first, project=f"P{number}"):
        status, body = await load.ask(bridge.port, request)
        if status != 200 or not json.loads(body)["runs"]:
            return False
    return True


def _line(name: Name, what: str, waits: _Waits) -> str:
    columns = "".join(
        f"{statistics.median(each):>9.0f} {_p99(each):>6.0f} {max(each):>6.0f} ms"
        for each in ([1_000 * wait for wait in of_one] for of_one in (waits.webhooks, waits.health))
    )
    return f"{name:<20} {what:<28} {columns}"


def _p99(waits: list[float]) -> float:
    return statistics.quantiles(waits, n=100, method="inclusive")[98]


if __name__ == "__main__":
    main()
