"""The faults that a campaign can be asked for: each is what is done to a bridge under load until time is up.

It must not judge what comes of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bench.chaos import ledger_faults
from bench.chaos.stage import STEPS, WEB, Stage, misbehave

BOTH = ("sqlite", "postgresql")
# Longer than a beat may stand still here: six times 0.2 s.
PAST_THE_LEASE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A kind of trouble, and the least share of the runs whose answer is known all the same.

    With `small_disk` the bridge lies on a disk of its own that can be filled, which only root can mount.
    """

    name: str
    strike: Callable[[Stage], None]
    databases: tuple[str, ...] = BOTH
    least_answered: float = 0.5
    small_disk: bool = False


def kill_at_random(stage: Stage) -> None:
    """Web and workers, with SIGKILL."""
    misbehave(stage)
    while stage.going_on():
        stage.pause(0.1, 0.6)
        name = stage.victim()
        if stage.up(name):
            stage.kill(name)


def kill_at_steps(stage: Stage) -> None:
    """Workers, while they look devices up, send, or tell."""
    misbehave(stage)
    while stage.going_on():
        stage.pause(0.05, 0.3)
        name = stage.chance.choice(stage.workers)
        if stage.up(name):
            stage.kill(name, step=stage.chance.choice(tuple(STEPS)))


def terminate(stage: Stage) -> None:
    """Web and workers, with SIGTERM and work in hand."""
    misbehave(stage)
    while stage.going_on():
        stage.pause(0.5, 1.5)
        name = stage.victim()
        if stage.up(name):
            stage.stop_and_start(name)


def freeze(stage: Stage) -> None:
    """Workers, stopped until the others take them for dead, then continued."""
    misbehave(stage)
    while stage.going_on():
        stage.pause(0.5, 1.5)
        name = stage.chance.choice(stage.workers)
        if stage.up(name):
            stage.freeze(name, PAST_THE_LEASE_SECONDS)


def roll(stage: Stage) -> None:
    """Restart one process after the other, each when the one before is up again."""
    while stage.going_on():
        for name in (WEB, *stage.workers):
            while stage.going_on() and not stage.up(name):
                stage.pause(0.1, 0.2)
            if stage.going_on():
                stage.stop_and_start(name)


def duplicates(stage: Stage) -> None:
    """The same delivery, fifty times at once."""
    while stage.going_on():
        stage.ticket(copies=50)
        stage.did["fifty at once"] += 1
        stage.pause(0.5, 1.5)


def lock(stage: Stage) -> None:
    """Nobody may write to the ledger for some seconds, again and again."""
    while stage.going_on():
        stage.pause(1.0, 2.0)
        with stage.bridge.locked():
            stage.pause(2.0, 8.0)
        stage.did["ledger locked"] += 1


FAULTS = {
    fault.name: fault
    for fault in (
        Fault(name="kill", strike=kill_at_random),
        Fault(name="kill-at-step", strike=kill_at_steps),
        Fault(name="sigterm", strike=terminate),
        Fault(name="freeze", strike=freeze),
        Fault(name="roll", strike=roll, least_answered=0.9),
        Fault(name="duplicates", strike=duplicates, least_answered=1.0),
        Fault(name="lock", strike=lock),
        Fault(name="restart", strike=ledger_faults.restart, databases=("postgresql",)),
        Fault(name="crash", strike=ledger_faults.kill_backend, databases=("postgresql",)),
        Fault(name="connections", strike=ledger_faults.take_connections, databases=("postgresql",)),
        Fault(name="read-only", strike=ledger_faults.read_only, databases=("postgresql",)),
        Fault(name="disk-full", strike=ledger_faults.fill_disk, databases=("sqlite",), small_disk=True),
    )
}
