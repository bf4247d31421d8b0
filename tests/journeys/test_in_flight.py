"""Hundreds of calls in flight in one worker, while health answers at once.

IN_FLIGHT=2000 in the environment tries two thousand.
"""

import asyncio
import json
import os
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.ledger import accepting, listing, queries, starting
from bridge.models import (
    Delivery,
    DeliveryId,
    DeviceKey,
    EngineChoice,
    MappingId,
    Mode,
    RunId,
    RunState,
    SourceName,
    TicketRef,
)

pytestmark = pytest.mark.journey

FENCE = r"names: 'WS-[A-Z]{3}-\d{5}', never: ['WS-VIP-.*']"
IN_FLIGHT = int(os.environ.get("IN_FLIGHT", "300"))
ENGINE = "a" * 32


class Upstream:
    """A portal with one Engine that takes any number of calls and answers them when it is let go."""

    def __init__(self) -> None:
        self.waiting = 0
        self.peak = 0
        self.seen: list[str] = []
        self.ready = threading.Event()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self._serve(),))
        self.thread.start()
        assert self.ready.wait(10)

    def let_go(self) -> None:
        self.loop.call_soon_threadsafe(self.gate.set)

    def close(self) -> None:
        self.let_go()
        self.loop.call_soon_threadsafe(self.done.set)
        self.thread.join(30)
        self.loop.close()

    async def _serve(self) -> None:
        self.gate, self.done = asyncio.Event(), asyncio.Event()
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=4_096)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        await self.done.wait()
        server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                listed = {"name": "engine-1", "databaseUID": ENGINE, "status": "CONNECTED"}
                answer: Any = [{**listed, "address": "engine-1.nexthink.example"}]
            else:
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.seen.append(json.loads(await reader.readexactly(length))["requestUid"])
                self.waiting += 1
                self.peak = max(self.peak, self.waiting)
                await self.gate.wait()
                self.waiting -= 1
                answer = [{"databaseUid": ENGINE, "code": "ok", "message": ""}]
            body = json.dumps(answer).encode()
            kind = b"Content-Type: application/json\r\nConnection: close\r\n"
            writer.write(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (kind, len(body), body))
            await writer.drain()
        finally:
            writer.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    portal = Upstream()
    yield portal
    portal.close()


def ask_for(bridge: Any, number: int, plan: Any) -> None:
    """Accept one run straight into the ledger: webhooks are not what is tried here."""
    ticket = TicketRef(source=SourceName("jira"), uid=f"{number}", key=f"LOAD-{number}")
    # The mapping and the action are in force here too, or the plan would be withdrawn.
    wanted = plan(
        mapping=MappingId("repair-jira"),
        ticket=ticket,
        devices=(f"{number:032x}",),
        by=DeviceKey.UID,
        engine_choice=EngineChoice.WHERE_FOUND,
        occurred_at=datetime.now(UTC),
    )
    run = starting.NewRun(
        id=RunId(f"load{number}"),
        mapping=wanted.mapping,
        mode=Mode.LIVE,
        key="once",
        ticket=ticket,
        state=RunState.QUEUED,
        reason=None,
        detail=None,
        plan=wanted,
        comment=None,
    )
    verdict = accepting.Verdict(
        reason=None, detail=None, ticket=ticket, findings=[], mapping_set=None, runs=(run,)
    )
    delivery = Delivery(
        source=ticket.source,
        key=f"load-{number}",
        digest=f"{number:064}",
        timed=True,
        payload={},
        received_at=datetime.now(UTC),
    )
    bridge.ledger.write(
        accepting.accept, delivery_id=DeliveryId(f"load{number}"), delivery=delivery, verdict=verdict
    )


def health_seconds(bridge: Any, times: int) -> list[float]:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        assert bridge.ask("/health")[0] in {200, 503}
        taken.append(time.perf_counter() - began)
    return taken


def memory_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1_024


def test_many_calls_in_flight_leave_health_quick_and_each_is_sent_once(
    install, tmp_path, upstream, make_plan
):
    settings = {
        "MAX_IN_FLIGHT": str(IN_FLIGHT),
        "BEAT_SECONDS": "5",
        "PORTALS__MAIN__BASE_URL": f"http://127.0.0.1:{upstream.port}",
        "PORTALS__MAIN__NXQL_URL": "",
    }
    with install(tmp_path, "sqlite", **settings) as bridge:
        # Without a lookup nobody knows the devices' names, so only an action for every name reaches them.
        catalogue = tmp_path / "mappings" / "actions.yaml"
        fenced = catalogue.read_text()
        catalogue.write_text(fenced.replace(FENCE, "names: '.*'", 1))
        bridge.start_web()
        bridge.start_worker()
        idle = memory_megabytes(bridge.processes["worker"].pid)
        began = time.monotonic()
        with ThreadPoolExecutor(16) as askers:
            list(askers.map(lambda number: ask_for(bridge, number, make_plan), range(IN_FLIGHT)))
        bridge.soon(lambda: upstream.waiting == IN_FLIGHT, seconds=120)
        filled = time.monotonic() - began
        used = memory_megabytes(bridge.processes["worker"].pid) - idle
        free = health_seconds(bridge, 50)
        with bridge.locked():
            locked = health_seconds(bridge, 50)
        upstream.let_go()
        began = time.monotonic()
        bridge.soon(lambda: unanswered(bridge) == 0, seconds=120)
        print(
            f"{IN_FLIGHT} in flight after {filled:.1f} s with {used:.0f} MB more; recorded in "
            f"{time.monotonic() - began:.1f} s; health in ms: median {statistics.median(free) * 1e3:.0f}, "
            f"worst {max(free) * 1e3:.0f}; ledger locked: median {statistics.median(locked) * 1e3:.0f}, "
            f"worst {max(locked) * 1e3:.0f}"
        )
        assert upstream.peak == IN_FLIGHT
        assert len(set(upstream.seen)) == len(upstream.seen) == IN_FLIGHT
        assert statistics.median(free) < 0.1
        assert statistics.median(locked) < 0.1


def unanswered(bridge: Any) -> int:
    states = dict(bridge.ledger.read(queries.figures).runs)
    return IN_FLIGHT - len(answered(bridge)) if not any(states.values()) else sum(states.values())


def answered(bridge: Any) -> list[Any]:
    return list(
        bridge.ledger.read(
            listing.page_of_runs, limit=IN_FLIGHT + 1, wanted=listing.WantedRuns(state=RunState.ANSWERED)
        ).runs
    )
