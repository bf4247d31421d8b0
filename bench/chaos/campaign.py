"""One round of a campaign: a bridge of its own, one kind of trouble, and what was found afterwards.

It must not choose what is tried.
"""

import contextlib
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.chaos.aftercare import own_folder, watched
from bench.chaos.databases import postgresql
from bench.chaos.faults import Fault
from bench.chaos.installation import installed
from bench.chaos.invariants import Finding, examine
from bench.chaos.settling import settle
from bench.chaos.stage import Stage
from bench.chaos.tickets import wide_world
from bridge.sandbox.running import Sandbox

SMALL_DISK = "48m"
# By how much a call may end later than its deadline.
LATE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What is tried: `seconds` of trouble, or fewer where `kills` are reached; `rate` is tickets a second.

    `keep` is the folder below which logs and ledger are left; None leaves nothing.
    """

    fault: Fault
    database: str
    workers: int
    seed: int
    seconds: float
    kills: int = 0
    rate: float = 4.0
    keep: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was done, what was found, and every breach of a promise in words."""

    did: Counter[str]
    finding: Finding
    breaches: tuple[str, ...]
    seconds: float


def play(what: Round) -> Outcome:
    """Start a bridge, let it be harmed under load, let it settle, and examine it."""
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(world=wide_world()))
        server = stack.enter_context(postgresql()) if what.database == "postgresql" else None
        if what.keep:
            folder = what.keep / f"{what.fault.name}-{what.database}-{what.workers}-{what.seed}"
            folder.mkdir(parents=True)
            stack.enter_context(watched(folder.resolve(), keep=True))
        else:
            folder = stack.enter_context(own_folder("chaos-"))
        if what.fault.small_disk:
            stack.enter_context(_small_disk(folder))
        # Few calls at a time, so that a kill cannot make most of the runs unknown in one stroke.
        bridge = stack.enter_context(
            installed(folder, sandbox, server=server.address if server else "", MAX_IN_FLIGHT="3")
        )
        stage = Stage(
            bridge=bridge,
            chance=random.Random(f"{what.seed} {what.fault.name} {what.database} {what.workers}"),
            workers=tuple(f"worker-{number}" for number in range(1, what.workers + 1)),
            server=server,
            most=what.kills,
            rate=what.rate,
        )
        # What runs in a place of its own ends before that place does.
        stack.enter_context(what.fault.prepared(stage))
        stack.callback(bridge.stop)
        bridge.start_web()
        for name in stage.workers:
            bridge.start_worker(name)
        stage.ends = time.monotonic() + max(what.seconds, what.fault.least_seconds)
        with stage.load():
            what.fault.strike(stage)
        unsettled = settle(stage, what.fault.afterwards)
        finding = examine(bridge, stage.notes, least_answered=what.fault.least_answered)
    late = what.fault.punctual and finding.lateness > LATE_SECONDS
    breaches = (
        *stage.breaches,
        *unsettled,
        *finding.breaches,
        *([f"a call was recorded {finding.lateness:.1f} s after its deadline"] if late else []),
    )
    return Outcome(did=stage.did, finding=finding, breaches=breaches, seconds=time.monotonic() - began)


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    """Mount a disk of little room over a folder."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "chaos", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
