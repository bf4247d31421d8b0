"""A bridge under load of which parts fail: tickets come, what ended is started again, and all settles.

It must not choose what fails, nor judge.
"""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bench.chaos import invariants
from bench.chaos.databases import Server
from bench.chaos.installation import Installation
from bridge.ledger import queries
from bridge.sandbox.nexthink.world import SimulatedDevice, World, default_world, uid_of

RUN = "/api/remoteaction/v2/run"
COMMENT = {"method": "POST", "path": "*/comment"}
FIRST_TICKET = 100_000
# Every ticket has a device of its own, so that an action that runs twice shows.
DEVICES = 4_000
SETTLING_SECONDS = 150.0
# When nothing has changed for so long, what is left waits for a time that is due later.
STILL_SECONDS = 8.0
WEB = "web"
# Where a worker holds something: what its kill interrupts.
STEPS = {
    "looking up": "SELECT count(*) FROM runs r JOIN sessions s ON r.owner = s.id "
    "WHERE s.pid = :pid AND r.state = 'claimed'",
    "sending": "SELECT count(*) FROM runs r JOIN sessions s ON r.owner = s.id "
    "WHERE s.pid = :pid AND r.state = 'sending'",
    "telling": "SELECT count(*) FROM comments c JOIN sessions s ON c.owner = s.id "
    "WHERE s.pid = :pid AND c.state = 'posting'",
}


def wide_world() -> World:
    """Return the sandbox's world with a device for each ticket of a long campaign."""
    world = default_world()
    more = tuple(
        SimulatedDevice(
            uid=uid_of(f"device {device_of(number)}"),
            name=device_of(number),
            seen_by=((f"engine-emea-{number % 2 + 1}", "2026-11-02T08:00:00"),),
        )
        for number in range(DEVICES)
    )
    return replace(world, devices=world.devices + more)


def device_of(number: int) -> str:
    return f"WS-CHA-{number:05}"


@dataclass
class Stage:
    """One bridge with its workers, the chance that the seed gives, and when the trouble ends.

    `did` counts what was done to it; `most` ends it earlier, after so many kills.
    """

    bridge: Installation
    chance: random.Random
    ends: float
    workers: tuple[str, ...]
    server: Server | None = None
    most: int = 0
    rate: float = 4.0
    did: Counter[str] = field(default_factory=Counter)
    tickets: Iterator[int] = field(default_factory=count)

    # ── how long ──

    def going_on(self) -> bool:
        """Say whether there is time for more."""
        return time.monotonic() < self.ends and not (self.most and self.kills >= self.most)

    @property
    def kills(self) -> int:
        return sum(times for name, times in self.did.items() if name.startswith("kill -9"))

    def pause(self, least: float, most: float) -> None:
        """Let chance say how long, though never beyond the end, and start what ended meanwhile."""
        until = min(time.monotonic() + self.chance.uniform(least, most), self.ends)
        while time.monotonic() < until:
            self.tend()
            time.sleep(0.02)

    # ── load ──

    @contextmanager
    def load(self) -> Iterator[None]:
        """Let tickets come until the context ends."""
        over = threading.Event()
        thread = threading.Thread(target=self._feed, args=(over, random.Random(self.chance.random())))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _feed(self, over: threading.Event, chance: random.Random) -> None:
        while not over.wait(chance.expovariate(self.rate)):
            self.ticket(copies=chance.randint(1, 2))

    def ticket(self, *, copies: int = 1, wait: bool = False) -> str:
        """Make a ticket that asks for an action on a device of its own."""
        number = next(self.tickets)
        if number >= DEVICES:
            raise RuntimeError(f"there are only {DEVICES} devices: give fewer seconds")
        key = f"SUP-{FIRST_TICKET + number}"
        self.bridge.ticket(key=key, devices=(device_of(number),), wait=wait, copies=copies)
        return key

    # ── processes ──

    def up(self, name: str) -> bool:
        """Say whether a process does its work already: one that only starts would die for nothing."""
        if not self.bridge.running(name):
            return False
        if name == WEB:
            return self.bridge.ask("/readyz")[0] == 200
        try:
            return self.bridge.processes[name].pid in self.bridge.session_pids()
        except DBAPIError:
            return False

    def spawn(self, name: str) -> None:
        self.bridge.spawn_web() if name == WEB else self.bridge.spawn_worker(name)

    def tend(self) -> None:
        """Start again what ended by itself, as a supervisor does."""
        for name in (WEB, *self.workers):
            if not self.bridge.running(name):
                self.bridge.processes.pop(name, None)
                self.did[f"{_kind(name)} ended by itself"] += 1
                self.spawn(name)

    def victim(self) -> str:
        """Choose a process; workers are met more often, since they hold more."""
        return self.chance.choice((WEB, *self.workers, *self.workers))

    def kill(self, name: str, *, step: str = "") -> None:
        """Kill with SIGKILL, at a step where one is named and it comes soon, and start it again."""
        if step:
            self._await(name, step)
        pid = self.bridge.processes[name].pid
        self.bridge.kill(name)
        self.did[f"kill -9 {_kind(name)}"] += 1
        if name != WEB:
            for interrupted in STEPS:
                if self._holds(pid, interrupted):
                    self.did[f"caught {interrupted}"] += 1
        self.spawn(name)

    def stop_and_start(self, name: str) -> None:
        """End with SIGTERM, wait for it, and start it again."""
        self.bridge.terminate(name, seconds=60)
        self.did[f"SIGTERM {_kind(name)}"] += 1
        self.spawn(name)

    def freeze(self, name: str, seconds: float) -> None:
        """Stop with SIGSTOP for so long, then continue."""
        self.bridge.send(name, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            self.bridge.send(name, signal.SIGCONT)
        self.did[f"SIGSTOP {_kind(name)}"] += 1

    def _await(self, name: str, step: str) -> None:
        pid, until = self.bridge.processes[name].pid, time.monotonic() + 1.0
        while not self._holds(pid, step) and time.monotonic() < until:
            time.sleep(0.005)

    def _holds(self, pid: int, step: str) -> bool:
        try:
            with self.bridge.engine.connect() as connection:
                return bool(connection.execute(text(STEPS[step]), {"pid": pid}).scalar())
        except DBAPIError:
            return False

    # ── afterwards ──

    def recover(self) -> list[str]:
        """End all trouble and let everything come to its end; return what did not.

        The waits for what is due later are skipped by moving times of the ledger into the past.
        """
        for system in (self.bridge.nexthink, self.bridge.jira):
            system.clear_faults()
        self.bridge.engine.dispose()
        self.tend()
        self.bridge.soon(lambda: self.bridge.ask("/readyz")[0] == 200, seconds=60)
        # The simulated Jira tries for five seconds; a bridge that was away for longer has lost webhooks.
        time.sleep(2.0)
        for _ in range(5):
            self.ticket(wait=True)
        ends = time.monotonic() + SETTLING_SECONDS
        remaining, since = self._remaining(), time.monotonic()
        while remaining and time.monotonic() < ends:
            time.sleep(0.3)
            now = self._remaining()
            if now != remaining:
                remaining, since = now, time.monotonic()
            elif time.monotonic() > since + STILL_SECONDS:
                self._skip_waits()
                since = time.monotonic()
        return invariants.unsettled(self.bridge)

    def _remaining(self) -> int:
        """Count what has not come to its end."""
        figures = self.bridge.ledger.read(queries.figures)
        under_way = sum(number for state, number in figures.runs if state not in invariants.SETTLED)
        return figures.pending_deliveries + under_way + figures.comments_owed

    def _skip_waits(self) -> None:
        # No request may be under way while time is moved, as none would be after so long.
        for name in self.workers:
            if self.bridge.running(name):
                try:
                    self.bridge.terminate(name, seconds=60)
                except OSError:
                    self.bridge.kill(name)
        self.bridge.pass_time("comments", "posting_until", "due_at", seconds=3_600)
        self.bridge.pass_time("runs", "due_at", seconds=3_600)
        for name in self.workers:
            self.bridge.processes.pop(name, None)
            self.bridge.start_worker(name)


def _kind(name: str) -> str:
    return "web" if name == WEB else "worker"


def misbehave(stage: Stage) -> None:
    """Let outside systems lose answers, refuse for a while and be late, some of the time."""
    portal, jira = stage.bridge.nexthink, stage.bridge.jira
    many: dict[str, Any] = {"times": 100_000}
    portal.fault("reset_after_read", path=RUN, skip=stage.chance.randint(4, 9), times=3)
    portal.fault("status", status=429, retry_after="1", path=RUN, skip=stage.chance.randint(2, 6), times=2)
    portal.fault("delay", path=RUN, seconds=0.3, **many)
    portal.fault("status", status=503, path="/nxql/*", skip=stage.chance.randint(6, 12), times=2)
    jira.fault("reset_after_read", skip=stage.chance.randint(1, 3), times=4, **COMMENT)
    jira.fault("status", status=503, skip=stage.chance.randint(1, 3), times=4, **COMMENT)
    jira.fault("delay", seconds=0.3, **COMMENT, **many)
