"""Rules W5 and W6: grouped commits, and what the database must be set to."""

import contextlib
import os
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

import psycopg
import pytest
from sqlalchemy import event, text

from bridge.errors import ConfigurationError, LedgerUnavailable, NotPossible
from bridge.ledger import Ledger, connecting, in_force, migrating
from bridge.ledger.tables import METADATA, SCHEMA_REVISION
from bridge.sandbox.client import wait_for


@pytest.fixture
def new_ledger(postgresql, clock):
    """Open a ledger in a new database of the server."""
    with contextlib.ExitStack() as stack:

        def do():
            name = f"writing{os.getpid()}"
            with psycopg.connect(postgresql, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            stack.callback(drop, name)
            engine = connecting.open_database(postgresql.replace("/postgres?", f"/{name}?"))
            migrating.migrate(engine)
            ledger = Ledger(engine, clock=clock)
            stack.callback(ledger.stop)
            return ledger

        def drop(name):
            with psycopg.connect(postgresql, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

        yield do


def put(tx, *, number):
    in_force.put_fact(tx, name=f"fact-{number}", value="x")
    if number % 7 == 0:
        raise NotPossible(f"{number} is refused")


def test_w5_members_of_a_group_cannot_fail_one_another(ledger):
    def write(number):
        try:
            ledger.write(put, number=number)
        except NotPossible:
            return False
        return True

    with ThreadPoolExecutor(40) as pool:
        written = list(pool.map(write, range(200)))
    assert written == [number % 7 != 0 for number in range(200)]
    found = ledger.read(lambda tx: tx.connection.execute(text("SELECT count(*) FROM facts")).scalar())
    assert found == sum(written)


def test_w5_what_the_database_refuses_to_write_down_fails_its_own_member_alone(ledger):
    blocking, go = threading.Event(), threading.Event()

    def block(tx):
        blocking.set()
        go.wait(5)

    def tell(tx, *, number):
        in_force.put_fact(tx, name=f"fact-{number}", value="x")
        tx.audit(None if number == 2 else "looked_at", about="r1")

    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(ledger.write, block)
        blocking.wait(5)
        others = [pool.submit(ledger.write, tell, number=number) for number in range(5)]
        wait_for(lambda: len(ledger._line) == 5)
        go.set()
        first.result(5)
        for number, other in enumerate(others):
            if number == 2:
                with pytest.raises(LedgerUnavailable) as refused:
                    other.result(5)
                assert not refused.value.maybe_committed
            else:
                other.result(5)
    facts = "SELECT name FROM facts WHERE name LIKE 'fact-%' ORDER BY name"
    names = ledger.read(lambda tx: tx.connection.execute(text(facts)).scalars().all())
    assert names == ["fact-0", "fact-1", "fact-3", "fact-4"]


class Cut:
    """A way to a PostgreSQL server that swallows one answer and then closes, as a cable that is pulled."""

    def __init__(self, address: str) -> None:
        self.server = unquote(address.partition("host=")[2]) + "/.s.PGSQL.5432"
        self.next_answer = threading.Event()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, far = self.listening.accept()[0], socket.socket(socket.AF_UNIX)
                far.connect(self.server)
                threading.Thread(target=self._pass_on, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(far, near, True), daemon=True).start()

    def _pass_on(self, come: socket.socket, go: socket.socket, answers: bool) -> None:
        with come, contextlib.suppress(OSError):
            while data := come.recv(65_536):
                if answers and self.next_answer.is_set():
                    self.next_answer.clear()
                    break
                go.sendall(data)
        with contextlib.suppress(OSError):
            go.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("members", [1, 2])
def test_s1_a_commit_whose_answer_is_lost_is_in_doubt_and_never_repeated(
    postgresql, new_ledger, clock, members
):
    database = new_ledger().engine.url.database
    cut = Cut(postgresql)
    ledger = Ledger(
        connecting.open_database(f"postgresql://postgres@127.0.0.1:{cut.port}/{database}"), clock=clock
    )
    blocking, go = threading.Event(), threading.Event()

    def block(tx):
        blocking.set()
        go.wait(5)

    def add(tx, *, number):
        tx.count("delivery", f"source-{number}", "matched")
        if number == members - 1:
            # What follows is the message with the commit.
            cut.next_answer.set()

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(ledger.write, block)
        blocking.wait(5)
        others = []
        for number in range(members):
            others.append(pool.submit(ledger.write, add, number=number))
            wait_for(lambda: len(ledger._line) == len(others))
        go.set()
        first.result(5)
        for other in others:
            with pytest.raises(LedgerUnavailable) as lost:
                other.result(15)
            assert lost.value.maybe_committed
    # It was committed, once; and the next connection does what it is told.
    ledger.write(add, number=members)
    counts = "SELECT name, count FROM totals WHERE kind = 'delivery' ORDER BY name"
    found = ledger.read(lambda tx: tx.connection.execute(text(counts)).all())
    assert [tuple(row) for row in found] == [(f"source-{number}", 1) for number in range(members + 1)]
    ledger.stop()
    cut.listening.close()


def test_w5_concurrent_writes_share_commits(ledger):
    commits = []
    event.listen(ledger.engine, "commit", lambda connection: commits.append(1))
    blocking, go = threading.Event(), threading.Event()

    def block(tx):
        blocking.set()
        go.wait(5)

    with ThreadPoolExecutor(41) as pool:
        first = pool.submit(ledger.write, block)
        blocking.wait(5)
        others = [pool.submit(ledger.write, put, number=number * 7 + 1) for number in range(40)]
        while len(ledger._line) < 40:
            pass
        go.set()
        first.result(5)
        for other in others:
            other.result(5)
    assert len(commits) == 2


def test_w5_who_waits_to_have_the_same_done_is_written_by_one_call(ledger):
    blocking, go, calls = threading.Event(), threading.Event(), []

    def block(tx):
        blocking.set()
        go.wait(5)

    def double(_tx, numbers):
        calls.append(len(numbers))
        return [2 * number for number in numbers]

    with ThreadPoolExecutor(41) as pool:
        first = pool.submit(ledger.write, block)
        blocking.wait(5)
        others = [pool.submit(ledger.write_with_others, double, number) for number in range(40)]
        while len(ledger._line) < 40:
            pass
        go.set()
        first.result(5)
        assert [other.result(5) for other in others] == [2 * number for number in range(40)]
    assert calls == [40]


def test_w6_sqlite_is_set_to_keep_what_it_committed(tmp_path):
    engine = connecting.open_database(f"sqlite:///{tmp_path}/x.sqlite3")
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    engine.dispose()


def test_w6_postgresql_is_set_to_keep_what_it_committed(postgresql):
    engine = connecting.open_database(postgresql)
    with engine.connect() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
    engine.dispose()


def test_a_postgresql_server_that_is_gone_without_a_word_is_not_waited_for_long(postgresql):
    engine = connecting.open_database(f"{postgresql}&tcp_user_timeout=3000")
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        taken = driver.info.get_parameters()
    engine.dispose()
    wanted = {**connecting.PATIENCE, "tcp_user_timeout": 3_000}
    assert {name: taken[name] for name in wanted} == {name: str(value) for name, value in wanted.items()}


def test_connections_that_postgresql_closed_are_left_before_anybody_needs_them(postgresql, new_ledger):
    """As after a restart of the server: nobody is told that the ledger does not answer."""
    ledger = new_ledger()
    with ThreadPoolExecutor(connecting.CONNECTIONS) as readers:
        barrier = threading.Barrier(connecting.CONNECTIONS)
        looks = [
            readers.submit(ledger.read, lambda tx: barrier.wait(5)) for _ in range(connecting.CONNECTIONS)
        ]
        for look in looks:
            look.result(10)
    ledger.write(put, number=1)
    with psycopg.connect(postgresql, autocommit=True) as connection:
        closed = connection.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s",
            [ledger.engine.url.database],
        ).fetchone()
    assert closed == (connecting.CONNECTIONS,)
    time.sleep(0.2)
    ledger.write(put, number=2)
    for _ in range(connecting.CONNECTIONS):
        assert ledger.read(in_force.get_fact, name="fact-2") == "x"


def test_a_look_at_postgresql_cannot_change_anything(new_ledger):
    ledger = new_ledger()
    with pytest.raises(LedgerUnavailable, match="ReadOnlySqlTransaction"):
        ledger.read(put, number=1)
    assert ledger.read(in_force.get_fact, name="fact-1") is None


def set_fsync(server, value):
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET fsync = {value}")
        connection.execute("SELECT pg_reload_conf()")
    for _ in range(100):
        with psycopg.connect(server) as connection:
            if connection.execute("SHOW fsync").fetchone()[0] == value:
                return
        time.sleep(0.05)
    raise AssertionError(f"the server did not take fsync={value}")


def test_w6_a_postgresql_server_that_may_lose_what_it_committed_is_refused(postgresql):
    set_fsync(postgresql, "off")
    engine = connecting.open_database(postgresql)
    try:
        with pytest.raises(LedgerUnavailable, match="fsync=off"):
            migrating.require_schema(engine)
    finally:
        set_fsync(postgresql, "on")
        engine.dispose()


def test_a_locked_database_is_told_within_the_time_and_does_not_stop_reads(tmp_path, clock):
    path = tmp_path / "x.sqlite3"
    engine = connecting.open_database(f"sqlite:///{path}")
    migrating.migrate(engine)
    ledger = Ledger(engine, clock=clock, write_timeout=0.3)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailable):
        ledger.write(put, number=1)
    assert ledger.read(in_force.get_fact, name="fact-1") is None
    other.execute("ROLLBACK")
    other.close()
    assert ledger.persist(put, number=2) is None
    assert ledger.read(in_force.get_fact, name="fact-2") == "x"
    ledger.stop()


@pytest.mark.parametrize(
    ("url", "way_out"),
    [
        ("sqlite://", "needs a file"),
        ("mysql://host/db", "neither sqlite"),
        ("not an address", "not a database address"),
        ("postgresql://bridge@one.example:5432,two.example:5432/bridge", "several hosts"),
    ],
)
def test_an_address_that_cannot_be_used_is_named(url, way_out):
    with pytest.raises(ConfigurationError, match=way_out):
        connecting.open_database(url)


def test_the_migrations_make_exactly_the_tables(ledger):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with ledger.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_a_schema_from_the_future_is_refused(ledger):
    with ledger.engine.connect().execution_options(writing=True) as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="newer than this version"):
        migrating.require_schema(ledger.engine)
    with pytest.raises(ConfigurationError, match="newer than this version"):
        migrating.migrate(ledger.engine)


def test_an_empty_database_asks_for_migrate(database_url):
    engine = connecting.open_database(database_url)
    with pytest.raises(ConfigurationError, match="bridge migrate"):
        migrating.require_schema(engine)
    engine.dispose()


def test_a_new_sqlite_ledger_is_readable_by_its_owner_only(tmp_path, clock):
    path = tmp_path / "data" / "x.sqlite3"
    engine = connecting.open_database(f"sqlite:///{path}")
    migrating.migrate(engine)
    with engine.connect():
        files = [path, path.with_name("x.sqlite3-wal"), path.with_name("x.sqlite3-shm")]
        assert [oct(file.stat().st_mode & 0o777) for file in files] == ["0o600"] * 3
        assert oct(path.parent.stat().st_mode & 0o777) == "0o700"
    engine.dispose()


def test_processes_that_start_together_on_a_new_ledger_make_it_once(database_url):
    def start(_number):
        engine = connecting.open_database(database_url)
        outcome = migrating.migrate(engine)
        migrating.require_schema(engine)
        engine.dispose()
        return outcome[0]

    with ThreadPoolExecutor(6) as pool:
        before = list(pool.map(start, range(6)))
    assert sorted(revision or "" for revision in before) == ["", *[SCHEMA_REVISION] * 5]


def test_w5_a_group_that_cannot_begin_is_not_repeated_one_by_one(tmp_path, clock):
    path = tmp_path / "x.sqlite3"
    engine = connecting.open_database(f"sqlite:///{path}")
    migrating.migrate(engine)
    ledger = Ledger(engine, clock=clock, write_timeout=30)
    begins = []
    event.listen(engine, "begin", lambda connection: begins.append(1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(ledger.write, put, number=number * 7 + 1) for number in range(20)]
        for each in waiting:
            with pytest.raises(LedgerUnavailable):
                each.result(20)
    other.execute("ROLLBACK")
    other.close()
    ledger.stop()
    # One for whoever came first, one for all who came while it waited for the lock.
    assert len(begins) <= 2


def test_a_ledger_that_was_never_started_stops(tmp_path, clock):
    engine = connecting.open_database(f"sqlite:///{tmp_path}/x.sqlite3")
    Ledger(engine, clock=clock).stop()
