"""Two PostgreSQL servers of our own: a primary, and a standby that has all that the primary calls committed.

It must not be given servers that somebody else uses.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from bench.chaos.aftercare import living, own_folder
from bench.chaos.databases import execute, unstarted

PORTS = (5432, 5433)
READY_SECONDS = 30.0
# How long a commit is waited for that is still to be confirmed by the standby.
COMMIT_SECONDS = 3.0


class Pair:
    """A primary and its synchronous standby; `address` names both, and a client takes the one that writes."""

    def __init__(self, folder: Path, handle: Any) -> None:
        self._handle = handle
        self._data = (handle.pgdata, folder / "other")
        self._sockets = folder / "sockets"
        # The servers do not run as root, where we do.
        owner = handle.pgdata.stat()
        for made in (self._data[1], self._sockets):
            made.mkdir(mode=0o700)
            os.chown(made, owner.st_uid, owner.st_gid)
        self._primary, self._standby = 0, 1
        hosts = ",".join(str(self._sockets) for _ in PORTS)
        ports = ",".join(map(str, PORTS))
        self.address = (
            f"postgresql://postgres@/postgres?host={hosts}&port={ports}&target_session_attrs=read-write"
        )

    def start(self) -> None:
        """Start the primary, and a standby that is copied from it."""
        self._start(self._primary)
        # What a server that was killed has to read to find where it left the other's way.
        self._ask(self._primary, "ALTER SYSTEM SET wal_keep_size = '1GB'")
        self._ask(self._primary, "SELECT pg_reload_conf()")
        source = ("-d", self._at(self._primary))
        self._run("pg_basebackup", *source, "-D", str(self._data[self._standby]), "-R", "-c", "fast")
        self._join()

    def kill_primary(self, *, stopped: str) -> int:
        """Kill every process of the primary in the middle of commits; return how many were under way.

        `stopped` stands still meanwhile, so that there are such: `walsender`, and the standby never learns of
        them, or `walreceiver`, and it learns of them although nobody was told that they are committed.
        """
        if stopped == "walsender":
            process = self._ask(self._primary, "SELECT pid FROM pg_stat_replication")
        else:
            process = self._ask(self._standby, "SELECT pid FROM pg_stat_wal_receiver")
        os.kill(process, signal.SIGSTOP)
        try:
            ends = time.monotonic() + COMMIT_SECONDS
            while not (waiting := self._committing()) and time.monotonic() < ends:
                time.sleep(0.01)
            data = self._data[self._primary]
            first = int((data / "postmaster.pid").read_text().split()[0])
            # The first of them would start others in place of those that are killed.
            for each in (first, *(pid for pid in living(data) if pid != first)):
                os.kill(each, signal.SIGKILL)
        finally:
            if stopped == "walreceiver":
                os.kill(process, signal.SIGCONT)
        return waiting

    def promote(self) -> None:
        """Let the standby be the primary, as an operator or a watchdog does who has seen the other end."""
        self._ask(self._standby, "SELECT pg_promote(true, 60)")
        self._primary, self._standby = self._standby, self._primary

    def mend(self) -> None:
        """Make of the server that was killed a standby of the other; what it alone had is undone."""
        self._ask(self._primary, "CHECKPOINT")
        data = self._data[self._standby]
        # Where nobody collects the dead, their first would be taken for one that is still alive.
        for left in (data / "postmaster.pid", self._sockets / f".s.PGSQL.{PORTS[self._standby]}.lock"):
            left.unlink()
        self._run("pg_rewind", "-D", str(data), f"--source-server={self._at(self._primary)}", "-R")
        self._join()

    def _join(self) -> None:
        """Start the standby, and have the primary wait for it in every commit from then on."""
        self._start(self._standby)
        # Not before: a standby that is promoted would have the setting too, and wait for nobody.
        self._ask(self._primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        self._ask(self._primary, "SELECT pg_reload_conf()")
        synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        _soon(lambda: self._ask(self._primary, synchronous) == 1)

    def _start(self, member: int) -> None:
        data = self._data[member]
        options = f'-h "" -k {self._sockets} -p {PORTS[member]}'
        self._run("pg_ctl", "-w", "-o", options, "-l", str(data / "log"), "-D", str(data), "start")

    def _committing(self) -> int:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        return int(self._ask(self._primary, waiting))

    def _at(self, member: int) -> str:
        return f"postgresql://postgres@/postgres?host={self._sockets}&port={PORTS[member]}"

    def _ask(self, member: int, question: str) -> Any:
        """Return the first value of the first row of an answer, None where there is no row."""
        with psycopg.connect(self._at(member), autocommit=True) as connection:
            cursor = connection.execute(question)
            row = cursor.fetchone() if cursor.description else None
        return None if row is None else row[0]

    def _run(self, program: str, *arguments: str) -> None:
        execute(self._handle, program, *arguments)


def _soon(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + READY_SECONDS
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError("the standby does not follow")
        time.sleep(0.05)


@contextmanager
def pair() -> Iterator[Pair]:
    """Run a primary and a standby in a folder of their own, and remove all of it at the end."""
    with own_folder("chaos-pair-") as folder:
        handle = unstarted(folder / "one")
        handle.ensure_pgdata_inited()
        both = Pair(folder, handle)
        both.start()
        yield both
