"""Lets a bridge come to its end when the trouble is over: what is due later is made due now.

It must not judge what comes of it.
"""

import contextlib
import time
from collections.abc import Callable

from bench.chaos import invariants
from bench.chaos.stage import Stage
from bridge.ledger import queries
from bridge.sandbox.client import SandboxError

SETTLING_SECONDS = 150.0
# When nothing has changed for so long, what is left waits for a time that is due later.
STILL_SECONDS = 5.0


def settle(stage: Stage, afterwards: Callable[[Stage], None]) -> list[str]:
    """End all trouble and let everything come to its end; return what did not.

    `afterwards` is what an operator does then. The waits for what is due later are skipped by moving times of
    the ledger into the past.
    """
    bridge = stage.bridge
    for system in (bridge.nexthink, bridge.jira):
        # The connection that a fault was to reset may be our own.
        with contextlib.suppress(SandboxError):
            system.clear_faults()
        system.clear_faults()
    bridge.engine.dispose()
    stage.tend()
    bridge.soon(lambda: bridge.ask("/readyz")[0] == 200, seconds=60)
    # The simulated Jira tries for five seconds; a bridge that was away for longer has lost webhooks.
    time.sleep(2.0)
    afterwards(stage)
    for _ in range(5):
        stage.ticket(wait=True)
    ends = time.monotonic() + SETTLING_SECONDS
    remaining, since = _remaining(stage), time.monotonic()
    while remaining and time.monotonic() < ends:
        time.sleep(0.3)
        now = _remaining(stage)
        if now != remaining:
            remaining, since = now, time.monotonic()
        elif time.monotonic() > since + STILL_SECONDS:
            let_pass(stage, seconds=3_600)
            since = time.monotonic()
    return invariants.unsettled(bridge, stage.notes)


def let_pass(stage: Stage, *, seconds: int) -> None:
    """Make what waits older by so long, with every worker stopped meanwhile and started again.

    No request may be under way while time is moved, as none would be after so long.
    """
    bridge = stage.bridge
    for name in stage.workers:
        if bridge.running(name):
            try:
                bridge.terminate(name, seconds=60)
            except OSError:
                bridge.kill(name)
    bridge.pass_time("comments", "owed_at", "posting_until", "due_at", "uncertain_until", seconds=seconds)
    bridge.pass_time("runs", "due_at", seconds=seconds)
    for name in stage.workers:
        bridge.processes.pop(name, None)
        bridge.start_worker(name)


def _remaining(stage: Stage) -> int:
    """Count what has not come to its end."""
    figures = stage.bridge.ledger.read(queries.figures)
    under_way = sum(number for state, number in figures.runs if state not in invariants.SETTLED)
    return figures.pending_deliveries + under_way + figures.comments_owed
