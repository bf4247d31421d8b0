"""A backup that is taken while the bridge works, and restored: nothing is sent from it by itself (W7)."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from bridge.errors import Reason
from bridge.ledger import Ledger, listing, sessions
from bridge.ledger.connecting import open_database
from bridge.models import RunState, SessionId


def online(source: str, target: Path) -> None:
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as written:
        read.backup(written)


def vacuum(source: str, target: Path) -> None:
    with closing(sqlite3.connect(source)) as read:
        read.execute("VACUUM INTO ?", (str(target),))


def states(ledger):
    return {run.id: (run.state, run.reason) for run in ledger.read(listing.page_of_runs, limit=9).runs}


def opens_a_session(engine, clock, *, declared):
    """Open a worker's session on a restored ledger; return whether it looked restored, and every run."""
    restored = Ledger(engine, clock=clock, server_clock=False)
    try:
        if declared:
            restored.write(sessions.hold_everything)
        looks_restored = restored.write(sessions.open_session, session=SessionId("s9"), host="host", pid=9)
        return looks_restored, states(restored)
    finally:
        restored.stop()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("take", [online, vacuum])
def test_w7_a_restored_sqlite_backup_holds_what_was_unfinished_when_it_was_taken(
    ledger, database_url, tmp_path, accept, make_run, open_session, claim, clock, take
):
    open_session("s1")
    accept(make_run("r1"))
    live, backup = tmp_path / "bridge.sqlite3", tmp_path / "backup.sqlite3"
    take(str(live), backup)
    # What happens after the backup is not in it: the run goes on to be sent.
    assert [run.id for run in claim("s1")] == ["r1"]
    ledger.stop()
    for suffix in ("-wal", "-shm"):
        Path(f"{live}{suffix}").unlink(missing_ok=True)
    live.unlink()
    shutil.copy(backup, live)
    # The file system may give the file its old number again, so a person says that it was restored.
    _, found = opens_a_session(open_database(database_url), clock, declared=True)
    assert found == {"r1": (RunState.HELD, Reason.RESTORED)}


@pytest.fixture
def restored_url(postgresql: str) -> Iterator[str]:
    name = f"restored{os.getpid()}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgresql.replace("/postgres?", f"/{name}?")
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_w7_a_restored_dump_holds_what_was_unfinished_when_it_was_taken(
    ledger, database_url, restored_url, tmp_path, accept, make_run, open_session, clock
):
    open_session("s1")
    accept(make_run("r1"))
    dump = tmp_path / "bridge.dump"
    with psycopg.connect(database_url) as connection:
        (folder,) = connection.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetchone()
    for command in (
        [f"{folder}/pg_dump", "--format=custom", f"--file={dump}", database_url],
        [f"{folder}/pg_restore", "--no-owner", "--exit-on-error", f"--dbname={restored_url}", dump],
    ):
        subprocess.run(command, check=True, timeout=60)
    looks_restored, found = opens_a_session(open_database(restored_url), clock, declared=False)
    assert looks_restored
    assert found == {"r1": (RunState.HELD, Reason.RESTORED)}
