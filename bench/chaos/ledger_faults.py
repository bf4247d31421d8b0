"""What is done to the ledger alone: stopped, killed, out of connections, not to be written, without room.

It must not touch a process of the bridge.
"""

import os
from pathlib import Path

from bench.chaos.databases import Server
from bench.chaos.stage import Stage

BALLAST_BYTES = 1 << 16


def restart(stage: Stage) -> None:
    """PostgreSQL stopped in an instant, and started again some seconds later."""
    server = _server(stage)
    while stage.going_on():
        stage.pause(1.0, 4.0)
        server.stop()
        try:
            stage.pause(0.2, 3.0)
        finally:
            server.start()
        stage.did["PostgreSQL restarted"] += 1


def kill_backend(stage: Stage) -> None:
    """A process of PostgreSQL killed at work: all sessions break off, some in the middle of a commit."""
    server = _server(stage)
    while stage.going_on():
        stage.pause(0.5, 3.0)
        stage.did["PostgreSQL crashed"] += server.kill_backend()


def take_connections(stage: Stage) -> None:
    """Every connection ended, and none to be had for some seconds."""
    server = _server(stage)
    while stage.going_on():
        stage.pause(1.0, 4.0)
        with server.full() as held:
            stage.pause(1.0, 5.0)
        stage.did["out of connections"] += 1
        stage.did["connections taken"] += held


def read_only(stage: Stage) -> None:
    """PostgreSQL takes no writes for some seconds, as a standby would."""
    server = _server(stage)
    while stage.going_on():
        stage.pause(1.0, 4.0)
        server.set("default_transaction_read_only", "on")
        try:
            stage.pause(1.0, 5.0)
        finally:
            server.set("default_transaction_read_only", "")
        stage.did["read-only"] += 1


def fill_disk(stage: Stage) -> None:
    """No byte is left where ledger and logs lie; then there is room again, and nothing is restarted."""
    ballast = stage.bridge.folder / "ballast"
    while stage.going_on():
        stage.pause(1.0, 3.0)
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


def _server(stage: Stage) -> Server:
    assert stage.server is not None, "this fault is for PostgreSQL"
    return stage.server
