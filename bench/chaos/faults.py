"""The faults that a campaign can be asked for: what is done to a bridge under load, again and again.

It must not judge what comes of it.
"""

import math
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from bench.chaos import (
    hosts,
    ledger_faults,
    outside_faults,
    process_faults,
    restoring,
    ticket_faults,
    way_faults,
)
from bench.chaos.databases import Server, postgresql
from bench.chaos.pairs import Pair, pair
from bench.chaos.stage import Stage, misbehave

BOTH = ("sqlite", "postgresql")
# By how much a call may end later than its deadline, where its end can be recorded.
LATE_SECONDS = 2.0


def _nothing(_stage: Stage) -> None:
    """Nobody has to do anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A kind of trouble: its blow is struck after waits between the two of `every`, in seconds.

    `misbehaving` lets outside systems fail as well. `least_answered` is the least share of the runs whose
    answer is known all the same, `least_seconds` how long a round has to be. `prepared` is around the bridge
    from its start, `afterwards` is what an operator does when the trouble is over. `late_seconds` is by how
    much a call may be recorded later than its deadline. `server` is where a ledger on PostgreSQL lives. With
    `small_disk` the bridge has a disk of its own that can be filled. `needs` are programs for root alone,
    `missing` says in words what else is not there.
    """

    name: str
    blow: Callable[[Stage], None]
    every: tuple[float, float]
    databases: tuple[str, ...] = BOTH
    misbehaving: bool = False
    least_answered: float = 0.5
    least_seconds: float = 0.0
    prepared: Callable[[Stage], AbstractContextManager[Any]] = nullcontext
    afterwards: Callable[[Stage], None] = _nothing
    missing: Callable[[], str] = str
    late_seconds: float = LATE_SECONDS
    server: Callable[[], AbstractContextManager[Server | Pair]] = postgresql
    small_disk: bool = False
    needs: tuple[str, ...] = ()

    def strike(self, stage: Stage) -> None:
        """Do it until time is up."""
        if self.misbehaving:
            misbehave(stage)
        while stage.going_on():
            stage.pause(*self.every)
            self.blow(stage)

    def lacking(self) -> str:
        """Say why it cannot be tried here, in words; empty where it can."""
        if not self.needs:
            return self.missing()
        if not sys.platform.startswith("linux") or os.geteuid() != 0:
            return "only root on Linux can do that"
        missing = [name for name in self.needs if shutil.which(name) is None]
        return f"{' and '.join(missing)} cannot be found" if missing else ""


FAULTS = {
    fault.name: fault
    for fault in (
        Fault(name="kill", blow=process_faults.kill_any, every=(0.1, 0.6), misbehaving=True),
        Fault(name="kill-at-step", blow=process_faults.kill_at_step, every=(0.05, 0.3), misbehaving=True),
        Fault(name="sigterm", blow=process_faults.terminate, every=(0.5, 1.5), misbehaving=True),
        Fault(name="freeze", blow=process_faults.freeze, every=(0.5, 1.5), misbehaving=True),
        Fault(name="roll", blow=process_faults.roll, every=(0.0, 0.0), least_answered=0.9),
        Fault(name="duplicates", blow=ticket_faults.fifty_at_once, every=(0.5, 1.5), least_answered=1.0),
        Fault(name="out-of-order", blow=ticket_faults.reverse, every=(0.1, 0.8), least_answered=1.0),
        Fault(name="gone", blow=ticket_faults.remove, every=(0.2, 1.0), misbehaving=True),
        Fault(name="poison", blow=ticket_faults.poison, every=(0.5, 2.0), least_answered=0.7),
        Fault(name="away", blow=ticket_faults.stay_away, every=(0.5, 1.0), least_answered=1.0),
        Fault(name="act", blow=outside_faults.spoil_a_call, every=(0.2, 1.0), least_answered=0.2),
        Fault(name="tickets", blow=outside_faults.spoil_a_comment, every=(0.1, 0.5), least_answered=1.0),
        Fault(
            name="connect",
            blow=way_faults.block,
            every=(0.5, 2.0),
            least_answered=1.0,
            prepared=way_faults.fronted,
            missing=way_faults.no_openssl,
        ),
        Fault(
            name="names",
            blow=way_faults.lose_the_name,
            every=(0.5, 2.0),
            least_answered=1.0,
            prepared=way_faults.named,
            needs=("openssl", "unshare", "mount"),
        ),
        Fault(name="storm", blow=outside_faults.storm, every=(0.1, 0.2), least_answered=1.0),
        Fault(
            name="token",
            blow=outside_faults.refuse_credentials,
            every=(2.0, 5.0),
            least_answered=0.9,
            afterwards=outside_faults.release_portals,
        ),
        Fault(name="lock", blow=ledger_faults.lock, every=(1.0, 2.0)),
        Fault(
            name="locked-minute",
            blow=ledger_faults.lock_for_a_minute,
            every=(3.0, 5.0),
            least_seconds=75.0,
            # A call that ends in that minute is recorded behind it.
            late_seconds=60.0 + LATE_SECONDS,
        ),
        Fault(name="restart", blow=ledger_faults.restart, every=(1.0, 4.0), databases=("postgresql",)),
        Fault(
            name="failover",
            blow=ledger_faults.fail_over,
            every=(2.0, 4.0),
            databases=("postgresql",),
            least_seconds=30.0,
            server=pair,
        ),
        Fault(name="crash", blow=ledger_faults.kill_backend, every=(0.5, 3.0), databases=("postgresql",)),
        Fault(
            name="connections",
            blow=ledger_faults.take_connections,
            every=(1.0, 4.0),
            databases=("postgresql",),
        ),
        Fault(name="read-only", blow=ledger_faults.read_only, every=(1.0, 4.0), needs=("chattr",)),
        Fault(
            name="namespace",
            blow=hosts.cut_off,
            every=(1.0, 4.0),
            databases=("postgresql",),
            prepared=hosts.two_hosts,
            needs=("ip",),
        ),
        Fault(
            name="clock",
            blow=hosts.set_back,
            every=(2.0, 4.0),
            prepared=hosts.clocks_of_their_own,
            missing=hosts.no_faketime,
            # The clock that says when a call was recorded is the one that jumps.
            late_seconds=math.inf,
        ),
        Fault(name="restore", blow=restoring.restore, every=(8.0, 12.0), least_seconds=30.0),
        Fault(
            name="disk-full",
            blow=ledger_faults.fill_disk,
            every=(1.0, 3.0),
            databases=("sqlite",),
            small_disk=True,
            needs=("mount",),
        ),
    )
}
