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

from bench.chaos import memory
from bench.chaos.aftercare import own_folder, watched
from bench.chaos.faults import Fault
from bench.chaos.installation import installed
from bench.chaos.invariants import Finding, examine
from bench.chaos.settling import settle
from bench.chaos.stage import Stage
from bench.chaos.tickets import wide_world
from bridge.sandbox.running import Sandbox

SMALL_DISK = "48m"
# By how much a worker may grow, in megabytes, whatever is sent to it.
MOST_GROWTH = 50.0


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
    """What was done, what was found, and every breach of a promise in words.

    `growth` is by how many megabytes the worker that grew most was larger at its peak than before,
    None where every worker was ended by what was done.
    """

    did: Counter[str]
    finding: Finding
    breaches: tuple[str, ...]
    seconds: float
    growth: float | None


def play(what: Round) -> Outcome:
    """Start a bridge, let it be harmed under load, let it settle, and examine it."""
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(world=wide_world()))
        server = stack.enter_context(what.fault.server()) if what.database == "postgresql" else None
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
        before = memory.held(bridge.processes[name].pid for name in stage.workers)
        with stage.load():
            what.fault.strike(stage)
        growth = memory.growth(before)
        unsettled = settle(stage, what.fault.afterwards)
        finding = examine(bridge, stage.notes, least_answered=what.fault.least_answered)
    late = finding.lateness > what.fault.late_seconds
    breaches = (
        *stage.breaches,
        *unsettled,
        *finding.breaches,
        *([f"a call was recorded {finding.lateness:.1f} s after its deadline"] if late else []),
        *([f"a worker grew by {growth:.0f} MB"] if growth is not None and growth > MOST_GROWTH else []),
    )
    return Outcome(
        did=stage.did, finding=finding, breaches=breaches, seconds=time.monotonic() - began, growth=growth
    )


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    """Mount a disk of little room over a folder."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "chaos", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
