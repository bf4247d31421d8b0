"""What is done to processes: killed, told to end, stopped and continued, restarted one after the other.

It must not touch the ledger or an outside system.
"""

from bench.chaos.stage import STEPS, WEB, Stage

# Longer than a beat may stand still here: six times 0.2 s.
PAST_THE_LEASE_SECONDS = 2.0


def kill_any(stage: Stage) -> None:
    """Web or a worker, with SIGKILL."""
    name = stage.victim()
    if stage.up(name):
        stage.kill(name)


def kill_at_step(stage: Stage) -> None:
    """A worker, while it looks devices up, sends, or tells."""
    name = stage.chance.choice(stage.workers)
    if stage.up(name):
        stage.kill(name, step=stage.chance.choice(tuple(STEPS)))


def terminate(stage: Stage) -> None:
    """Web or a worker, with SIGTERM and work in hand."""
    name = stage.victim()
    if stage.up(name):
        stage.stop_and_start(name)


def freeze(stage: Stage) -> None:
    """A worker, stopped until the others take it for dead, then continued."""
    name = stage.chance.choice(stage.workers)
    if stage.up(name):
        stage.freeze(name, PAST_THE_LEASE_SECONDS)


def roll(stage: Stage) -> None:
    """Restart one process after the other, each when the one before is up again."""
    for name in (WEB, *stage.workers):
        while stage.going_on() and not stage.up(name):
            stage.pause(0.1, 0.2)
        if stage.going_on():
            stage.stop_and_start(name)
