"""One round of a campaign: a bridge of its own, one kind of trouble, and what was found afterwards.

It must not choose what is tried.
"""

import contextlib
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.chaos.databases import postgresql
from bench.chaos.faults import Fault
from bench.chaos.installation import installed
from bench.chaos.invariants import Finding, examine
from bench.chaos.stage import Stage, wide_world
from bridge.sandbox.running import Sandbox

SMALL_DISK = "48m"


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
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        if what.fault.small_disk:
            stack.enter_context(_small_disk(folder))
        # Few calls at a time, so that a kill cannot make most of the runs unknown in one stroke.
        bridge = stack.enter_context(
            installed(folder, sandbox, server=server.address if server else "", MAX_IN_FLIGHT="3")
        )
        names = tuple(f"worker-{number}" for number in range(1, what.workers + 1))
        bridge.start_web()
        for name in names:
            bridge.start_worker(name)
        stage = Stage(
            bridge=bridge,
            chance=random.Random(f"{what.seed} {what.fault.name} {what.database} {what.workers}"),
            ends=time.monotonic() + what.seconds,
            workers=names,
            server=server,
            most=what.kills,
            rate=what.rate,
        )
        with stage.load():
            what.fault.strike(stage)
        unsettled = stage.recover()
        finding = examine(bridge, least_answered=what.fault.least_answered)
    breaches = (*unsettled, *finding.breaches)
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
