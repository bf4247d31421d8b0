"""What is done to the ledger alone: stopped, killed, locked, out of connections, not to be written, full.

It must not touch a process of the bridge.
"""

import os
from pathlib import Path

from bench.chaos.databases import Server
from bench.chaos.pairs import Pair
from bench.chaos.stage import Stage

BALLAST_BYTES = 1 << 16


def lock(stage: Stage) -> None:
    """Nobody may write for some seconds."""
    with stage.bridge.locked():
        stage.pause(2.0, 8.0)
    stage.did["ledger locked"] += 1


def lock_for_a_minute(stage: Stage) -> None:
    """Nobody may write for a minute."""
    with stage.bridge.locked():
        stage.pause(60.0, 60.0)
    stage.did["ledger locked for a minute"] += 1


def restart(stage: Stage) -> None:
    """PostgreSQL stopped in an instant, and started again some seconds later."""
    server = server_of(stage)
    server.stop()
    try:
        stage.pause(0.2, 3.0)
    finally:
        server.start()
    stage.did["PostgreSQL restarted"] += 1


def kill_backend(stage: Stage) -> None:
    """A process of PostgreSQL killed at work: all sessions break off, some in the middle of a commit."""
    stage.did["PostgreSQL crashed"] += server_of(stage).kill_backend()


def take_connections(stage: Stage) -> None:
    """Every connection ended, and none to be had for some seconds."""
    with server_of(stage).full() as held:
        stage.pause(1.0, 5.0)
    stage.did["out of connections"] += 1
    stage.did["connections taken"] += held


def fail_over(stage: Stage) -> None:
    """The primary killed in the middle of commits, its standby promoted, the dead one made a standby."""
    pair = stage.server
    assert isinstance(pair, Pair), "this fault is for two servers"
    under_way = pair.kill_primary(stopped=stage.chance.choice(("walsender", "walreceiver")))
    stage.did["commits under way"] += under_way
    stage.pause(0.2, 3.0)
    pair.promote()
    stage.did["failed over"] += 1
    stage.pause(0.5, 2.0)
    pair.mend()


def read_only(stage: Stage) -> None:
    """The ledger takes no writes for some seconds, as a standby would, or a file that is made immutable."""
    with server_of(stage).read_only() if isinstance(stage.server, Server) else stage.bridge.immutable():
        stage.pause(1.0, 5.0)
    stage.did["read-only"] += 1


def fill_disk(stage: Stage) -> None:
    """No byte is left where ledger and logs lie; then there is room again, and nothing is restarted."""
    ballast = stage.bridge.folder / "ballast"
    _fill(ballast)
    try:
        stage.pause(1.0, 5.0)
    finally:
        ballast.unlink()
    stage.did["disk full"] += 1


def _fill(ballast: Path) -> None:
    handle = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        for size in (BALLAST_BYTES, 1):
            while True:
                try:
                    os.write(handle, b"\0" * size)
                except OSError:
                    break
    finally:
        os.close(handle)


def server_of(stage: Stage) -> Server:
    """Return the PostgreSQL server under the bridge."""
    assert isinstance(stage.server, Server), "this fault is for PostgreSQL"
    return stage.server
