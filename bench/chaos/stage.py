"""A bridge under load of which parts fail: tickets come, and what ended is started again.

It must not choose what fails, nor judge.
"""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bench.chaos.databases import Server
from bench.chaos.fronts import Front
from bench.chaos.installation import Installation
from bench.chaos.invariants import Notes
from bench.chaos.pairs import Pair
from bench.chaos.resolver import Resolver
from bench.chaos.tickets import device_of, device_uid_of, key_of
from bridge.sandbox.client import SandboxError

RUN = "/api/remoteaction/v2/run"
COMMENT = {"method": "POST", "path": "*/comment"}
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


@dataclass
class Stage:
    """One bridge with its workers, the chance that the seed gives, and when the trouble ends.

    `did` counts what was done to it; `most` ends it earlier, after so many kills. `keys` are the tickets so
    far; `breaches` are promises that were seen broken while it went on. `fronts` and `resolver` stand before
    Nexthink and Jira, in this order, where a fault has put them there.
    """

    bridge: Installation
    chance: random.Random
    workers: tuple[str, ...]
    ends: float = 0.0
    server: Server | Pair | None = None
    fronts: tuple[Front, ...] = ()
    resolver: Resolver | None = None
    most: int = 0
    rate: float = 4.0
    did: Counter[str] = field(default_factory=Counter)
    tickets: Iterator[int] = field(default_factory=count)
    keys: list[str] = field(default_factory=list)
    notes: Notes = field(default_factory=Notes)
    breaches: list[str] = field(default_factory=list)

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
        with ThreadPoolExecutor(max_workers=1) as feeder:
            feeding = feeder.submit(self._feed, over, random.Random(self.chance.random()))
            try:
                yield
            finally:
                over.set()
        feeding.result()

    def _feed(self, over: threading.Event, chance: random.Random) -> None:
        while not over.wait(chance.expovariate(self.rate)):
            try:
                self.ticket(copies=chance.randint(1, 2))
            except SandboxError:
                # A fault that resets connections may meet ours: then no webhook was sent.
                self.did["ticket not made"] += 1

    def ticket(self, *, copies: int = 1, wait: bool = False) -> str:
        """Make a ticket that asks for an action on a device of its own; every other one names its UID."""
        key = self.next_key()
        label, device = ("direct", device_uid_of(key)) if len(self.keys) % 2 else ("repair", device_of(key))
        self.bridge.ticket(key=key, labels=(label,), devices=(device,), wait=wait, copies=copies)
        self.keys.append(key)
        return key

    def next_key(self) -> str:
        """Return the key of a ticket that is still to be made."""
        return key_of(next(self.tickets))

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
