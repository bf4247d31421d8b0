"""An older backup of the ledger is put back under load, and a person decides what of it may go on.

It must not help the bridge to notice: on SQLite it is told nothing.
"""

import sqlite3
import time
from contextlib import closing

from bench.chaos import invariants
from bench.chaos.databases import Server
from bench.chaos.outside_faults import command
from bench.chaos.stage import WEB, Stage
from bench.chaos.tickets import device_uid_of
from bridge.errors import Reason
from bridge.models import RunState

LEDGER = "bridge.sqlite3"
# How long a restored bridge is watched before a person lets anything go on.
WATCHED_SECONDS = 5.0


def restore(stage: Stage) -> None:
    """Back up, go on, stop everything, put the backup back, and see that nothing is sent by itself."""
    # What waits when the backup is made is sent after it: the restored ledger would send that again.
    hindrance = stage.bridge.folder / "pause"
    hindrance.touch()
    stage.pause(1.0, 2.0)
    _back_up(stage)
    hindrance.unlink()
    stage.pause(4.0, 8.0)
    for name in (WEB, *stage.workers):
        stage.bridge.kill(name)
    before = {story.run.id for story in invariants.stories(stage.bridge)}
    _put_back(stage)
    stories = invariants.stories(stage.bridge)
    kept = {story.run.ticket.key for story in stories}
    stage.notes.forgotten |= invariants.accepted_keys(stage.bridge) - kept
    stage.did["runs forgotten"] += len(before) - len(stories)
    ran = len(stage.bridge.nexthink.calls()["calls"])
    for name in (WEB, *stage.workers):
        stage.spawn(name)
    stage.bridge.soon(lambda: all(map(stage.up, (WEB, *stage.workers))), seconds=60)
    time.sleep(WATCHED_SECONDS)
    waited = {device_uid_of(key) for key in kept}
    for call in stage.bridge.nexthink.calls()["calls"][ran:]:
        if waited.intersection(call["device_uids"]):
            stage.breaches.append(f"{call['request_uid']} was sent by itself from a restored ledger")
    _decide(stage)
    stage.did["backup put back"] += 1


def _decide(stage: Stage) -> None:
    """Compare with Nexthink as a person would: cancel what ran already, release the rest."""
    calls = stage.bridge.nexthink.calls()["calls"]
    executed = {uid for call in calls if call["executed"] for uid in call["device_uids"]}
    for story in invariants.stories(stage.bridge):
        if story.run.state is not RunState.HELD or story.run.reason is not Reason.RESTORED:
            continue
        stage.did["runs held"] += 1
        key = story.run.ticket.key
        if device_uid_of(key) in executed:
            stage.notes.forgotten.add(key)
            command(stage, "cancel", story.run.id, "--reason", "it ran before the restore")
    command(stage, "release", "--restored", "--reason", "compared with Nexthink")


def _back_up(stage: Stage) -> None:
    if isinstance(stage.server, Server):
        stage.server.back_up(stage.bridge.database_url, stage.bridge.folder / "backup.dump")
        return
    with (
        closing(sqlite3.connect(stage.bridge.folder / LEDGER)) as source,
        closing(sqlite3.connect(stage.bridge.folder / "backup.sqlite3")) as copy,
    ):
        source.backup(copy)


def _put_back(stage: Stage) -> None:
    stage.bridge.engine.dispose()
    if isinstance(stage.server, Server):
        stage.server.put_back(stage.bridge.database_url, stage.bridge.folder / "backup.dump")
        # A database that keeps its name in the same cluster cannot be told from the one before.
        command(stage, "declare-restored")
        return
    for path in stage.bridge.folder.glob(f"{LEDGER}-*"):
        path.unlink()
    (stage.bridge.folder / "backup.sqlite3").replace(stage.bridge.folder / LEDGER)
