"""Measures the console: its pages over a long past, and what receiving webhooks loses to somebody who looks.

It must not judge: it prints the server's times, and the rates with and without a reader. Nothing is sent.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

from bench import contenders, load, past
from bench.beds import bed
from bench.contenders import Name, Postgresql
from bench.load import Devices
from bridge import logs
from bridge.ledger import listing
from bridge.serving import create_app

TURNS = 11
OVER = timedelta(days=7)
# How long a web process may take to be ready, and a count of the past to be made once.
READY_SECONDS = 120.0
CONNECTIONS = 24
# What somebody who looks asks for, one after the other.
LOOKED_AT = ("/", "/runs", "/deliveries", "/runs?state=answered")
PAGES = (
    "/?last=hour",
    "/?last=day",
    "/?last=week",
    "/runs",
    "/runs?state=answered",
    "/runs?state=unknown",
    "/runs?state=sending",
    "/runs?source=elsewhere",
    "/runs?mapping=by-uid-7",
    "/runs?mapping=no-such-mapping",
    "/runs?action=no-such-action",
    "/runs?device=WS-NOWHERE",
    "/runs?from=2000-01-01&to=2100-01-01",
    "/deliveries",
    "/deliveries?source=elsewhere",
    "/deliveries?came=run",
    "/deliveries?came=no_mapping",
    "/deliveries?came=waiting",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    runs: int
    rounds: int
    webhooks: int
    every: float


def main() -> None:
    """Measure as the command line asks, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m bench.console", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000, help="how many runs the last week had")
    parser.add_argument("--rounds", type=int, default=6, help="how often it is received with and without")
    parser.add_argument("--webhooks", type=int, default=1_000, help="webhooks of each of them")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two pages of who looks")
    options = Options(**vars(parser.parse_args()))
    with contenders.postgresql() as server:
        for name in (Name.SQLITE, Name.POSTGRESQL):
            print("\n".join(_pages(name, server, options)), flush=True)
        for name in (Name.SQLITE, Name.POSTGRESQL):
            print(_receiving(name, server, options), flush=True)


# ── pages ────────────────────────────────────────────────────────────────────────────────────────────────


def _pages(name: Name, server: Postgresql, options: Options) -> list[str]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-console-"))
        sqlite = name is Name.SQLITE
        database = (
            f"sqlite:///{folder}/l.sqlite3" if sqlite else stack.enter_context(contenders.database(server))
        )
        began = time.monotonic()
        with bed(database) as one:
            one.receive()
            one.bridge.ledger.write(past.make_past, count=options.runs, over=OVER)
            past.tidy(one.bridge.ledger.engine)
        took = time.monotonic() - began
        lines = [f"{name}: {options.runs:,} runs within {OVER.days} days, made in {took:.0f} s; milliseconds"]
        with _web(Path(folder), database) as (client, ledger):
            (run,) = ledger.read(listing.page_of_runs, limit=1).runs
            own = (f"/tickets/{run.ticket.key}", f"/runs/{run.id}", f"/deliveries/{run.delivery}")
            for path in (*PAGES, *own):
                times, used = zip(*(_get(client, path) for _ in range(TURNS)), strict=True)
                lines.append(
                    f"  {path:<40} {statistics.median(times):>7.0f} median {max(times):>7.0f} worst, "
                    f"{statistics.median(used):>5.0f} of the processor"
                )
    return lines


@contextmanager
def _web(folder: Path, database: str) -> Iterator[tuple[Any, Any]]:
    """Open a web process without a server in front; yield its client and its ledger."""
    logs.configure("error")
    app = create_app(
        contenders.bridge_environment(9, database) | {"BRIDGE_CONSOLE": "open", "BRIDGE_LOG_LEVEL": "error"}
    )
    process = app.extensions["bridge"]
    process.start()
    try:
        client = app.test_client()
        ends = time.monotonic() + READY_SECONDS
        while client.get("/readyz").status_code != 200:
            if time.monotonic() > ends:
                raise RuntimeError(f"the web process over {folder} was not ready")
            time.sleep(0.1)
        yield client, process.bridge.ledger
    finally:
        process.stop()


def _get(client: Any, path: str) -> tuple[float, float]:
    """Return the milliseconds of a page, and those of this process's processor time among them."""
    began, used = time.perf_counter(), time.thread_time()
    status = client.get(path).status_code
    took, used = 1_000 * (time.perf_counter() - began), 1_000 * (time.thread_time() - used)
    if status != 200:
        raise RuntimeError(f"{path} was answered with {status}")
    return took, used


# ── receiving ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True, kw_only=True)
class Reader:
    """Somebody who looks at one page after the other until it is over."""

    port: int
    every: float
    waits: list[float] = field(default_factory=list)
    _over: Event = field(default_factory=Event)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look meanwhile."""
        self._over.clear()
        thread = Thread(target=self._look)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _look(self) -> None:
        number = 0
        while not self._over.is_set():
            began = time.monotonic()
            address = f"http://127.0.0.1:{self.port}{LOOKED_AT[number % len(LOOKED_AT)]}"
            with urllib.request.urlopen(address, timeout=30) as answer:
                answer.read()
            self.waits.append(1_000 * (time.monotonic() - began))
            number += 1
            self._over.wait(max(0.0, self.every - (time.monotonic() - began)))


def _receiving(name: Name, server: Postgresql, options: Options) -> str:
    """Take turns on one web process, so that what disturbs one disturbs the other; the ledger grows."""
    alone, looked_at = [], []
    with contenders.receiving(name, server, {"CONSOLE": "open"}) as contender:
        reader = Reader(port=contender.port, every=options.every)
        _send(contender.port, options.webhooks)
        for number in range(options.rounds):
            for looked in (False, True) if number % 2 else (True, False):
                if looked:
                    with reader.looking():
                        looked_at.append(_send(contender.port, options.webhooks))
                else:
                    alone.append(_send(contender.port, options.webhooks))
    without, meanwhile = statistics.median(alone), statistics.median(looked_at)
    return (
        f"{name}: {without:.0f} webhooks a second, {meanwhile:.0f} with a page every {options.every:g} s: "
        f"ratio {meanwhile / without:.3f}; a page took {statistics.median(reader.waits):.0f} ms, "
        f"{max(reader.waits):.0f} ms at worst"
    )


def _send(port: int, count: int) -> float:
    """Return how many webhooks a second were accepted."""
    requests = load.webhooks(Devices.UID, count, first=time.time_ns() // 1_000_000)
    sent = asyncio.run(load.send(port, requests, connections=CONNECTIONS))
    return count / (sent.accepted - sent.began)


if __name__ == "__main__":
    main()
