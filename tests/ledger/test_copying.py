"""A ledger is copied whole to another database, of either kind, and neither goes on by itself (W7)."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, select, text, update

from bridge.errors import LedgerUnavailable, NotPossible, Reason
from bridge.evidence import Sealing
from bridge.ledger import (
    Ledger,
    admitting,
    approvals,
    copying,
    in_force,
    limits,
    listing,
    outbox,
    pausing,
    people,
    queries,
    refusals,
    sending,
    sessions,
    sign_ins,
    tokens,
    verifying,
    watches,
)
from bridge.ledger.connecting import open_database
from bridge.ledger.migrating import migrate
from bridge.ledger.people import Act
from bridge.ledger.sending import Next
from bridge.ledger.tables import METADATA, audit, comments, deliveries, runs
from bridge.models import (
    CallResult,
    CallState,
    Identity,
    Layer,
    Limit,
    LimitKind,
    PauseScope,
    Person,
    RunState,
    SessionId,
    SourceName,
)
from bridge.moving import move
from bridge.roles import Way
from bridge.vitals import PROBE

JIRA = SourceName("jira")
ACT = Act(author="ada@host", reason="it was compared with the tickets – ünï\u2028code")
WORKER = timedelta(seconds=30)
either_kind = pytest.mark.parametrize("target_url", ["sqlite", "postgresql"], indirect=True)


def moved(source, target, say=lambda table: None):
    return move(source, target, worker=WORKER, kept=timedelta(days=400), say=say)


def contents(ledger):
    return {each.table: each for each in ledger.read(lambda tx: tuple(copying.content(tx)))}


@pytest.fixture
def target_url(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Iterator[str]:
    """The address of another empty database: of the kind that a test asks for, else of the other kind."""
    other = "postgresql" if database_url.startswith("sqlite") else "sqlite"
    if getattr(request, "param", other) == "sqlite":
        yield f"sqlite:///{tmp_path}/target/bridge.sqlite3"
        return
    server = request.getfixturevalue("postgresql")
    name = f"target{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def opened(clock) -> Iterator[Callable[[str], Ledger]]:
    with contextlib.ExitStack() as stack:

        def do(url):
            engine = open_database(url)
            migrate(engine)
            ledger = Ledger(engine, clock=clock, server_clock=False)
            stack.callback(ledger.stop)
            return ledger

        yield do


@pytest.fixture
def target(opened, target_url) -> Ledger:
    return opened(target_url)


@pytest.fixture
def worked(ledger, accept, make_run, make_plan, make_comment, open_session, claim, part, clock):
    """Fill every table as the bridge does; r1 was answered, r2 is claimed, r3 sent, r4 queued."""
    session = open_session("s1")
    ledger.write(in_force.accept_mapping_set, set_hash="0" * 64, texts="{}", by="host")
    ledger.write(in_force.put_account, source=JIRA, person=Person(id="bridge", name="Ünal Bridge"))
    ledger.write(watches.take_turn, source=JIRA, every=timedelta(minutes=1))
    ledger.write(refusals.count_refusals, {(JIRA, Reason.BAD_SIGNATURE): 7})
    ledger.write(
        sign_ins.begin,
        digest="e" * 64,
        name="ada",
        way=Way.PASSWORD,
        proof="f" * 64,
        lasting=timedelta(hours=8),
        instead_of=None,
    )
    ledger.write(
        tokens.make,
        name="ada",
        digest="d" * 64,
        identities=(Identity(source=JIRA, text="ada@example.com"),),
        lasting=timedelta(days=9),
        act=ACT,
    )
    plan = make_plan()
    for number in range(1, 5):
        clock.move(seconds=1.000001)
        # Tickets of their own: a fourth run of one would be held for another reason.
        ticket = replace(plan.ticket, uid=f"50{number}")
        accept(
            make_run(f"r{number}", plan=replace(plan, ticket=ticket)),
            payload={"text": "naïve \u0000 ☃ " * 40, "n": number},
        )
    first, second, third = claim(session, limit=3)
    call = ledger.write(admitting.admit, run=first, parts=(part,), lasting=timedelta(seconds=70)).call
    ledger.write(limits.use, call=call, plan=plan)
    ledger.write(
        sending.answer,
        run=first,
        call=call,
        result=CallResult(state=CallState.ANSWERED, status=200),
        following=Next(state=RunState.ANSWERED, comment=make_comment("r1")),
    )
    ledger.write(
        approvals.ask,
        run=second.id,
        plan_hash="p" * 64,
        parts=(part,),
        expires_at=clock.now + timedelta(hours=4),
    )
    limit = Limit(layer=Layer.BRIDGE, kind=LimitKind.PER_HOUR, window=timedelta(hours=1), most=1)
    ledger.write(limits.trip, run=second, plan=plan, limit=limit, most=9, window=timedelta(hours=1))
    ledger.write(admitting.admit, run=third, parts=(part,), lasting=timedelta(seconds=70))
    ledger.write(pausing.pause, scope=PauseScope.SOURCE, value=JIRA, reason=Reason.PAUSED, author="ada")
    while Sealing(ledger=ledger).catch_up():
        pass
    ledger.write(sessions.close_session, session=session)
    return ledger


@either_kind
def test_every_row_of_every_table_arrives_and_the_audits_hashes_say_the_same(worked, target):
    before = contents(worked)
    assert not [name for name, table in before.items() if not table.rows]
    assert before.keys() == METADATA.tables.keys()
    told = []
    result = moved(worked, target, told.append)
    assert tuple(told) == result.tables
    assert {table.table: table for table in result.tables} == before
    after = contents(target)
    # Both are told of the move, and nothing else in them is another.
    changed = {name for name in before if after[name] != before[name]}
    assert (
        changed == {"facts", "audit"} == {name for name in before if contents(worked)[name] != before[name]}
    )
    assert result.audit.faults == ()
    assert target.read(verifying.verify, heads=(result.audit.head.chain,)).faults == ()


def test_w7_neither_the_copy_nor_the_old_ledger_sends_by_itself(worked, target, make_run, part):
    moved(worked, target)
    for ledger in (target, worked):
        assert ledger.write(sessions.open_session, session=SessionId("s2"), host="host", pid=2)
        states = {run.id: (run.state, run.reason) for run in ledger.read(listing.page_of_runs, limit=9).runs}
        assert states["r4"] == (RunState.HELD, Reason.RESTORED)
        assert states["r2"] == (RunState.HELD, Reason.RESTORED)
        # Its call may have left; it becomes unknown and is told.
        assert [left.run.id for left in ledger.read(sessions.bereaved)] == ["r3"]
    assert target.write(people.release_restored, act=ACT) == 2
    assert not target.write(sessions.open_session, session=SessionId("s3"), host="host", pid=3)


@either_kind
def test_rows_that_are_added_to_the_copy_are_numbered_on(worked, target, make_comment):
    moved(worked, target)
    highest = worked.read(lambda tx: tx.connection.execute(select(func.max(comments.c.id))).scalar())
    ticket = target.read(queries.run_story, run="r4").run.ticket
    target.write(outbox.owe, run="r4", ticket=ticket, comment=make_comment("r4"))
    assert (
        target.read(lambda tx: tx.connection.execute(select(func.max(comments.c.id))).scalar()) == highest + 1
    )
    assert Sealing(ledger=target).seal() is not None
    assert target.read(verifying.verify).faults == ()


def test_a_worker_that_stood_still_meanwhile_finds_its_session_ended(worked, target, clock):
    worked.write(sessions.open_session, session=SessionId("s2"), host="host", pid=2)
    clock.move(seconds=31)
    moved(worked, target)
    assert not worked.write(sessions.beat, session=SessionId("s2"))


def test_a_ledger_that_is_in_use_is_not_copied(worked, target, clock):
    worked.write(sessions.open_session, session=SessionId("s2"), host="host7", pid=2)
    worked.write(lambda tx: tx.count(*PROBE))
    before = contents(worked)
    with pytest.raises(NotPossible, match="in use by a worker on host7, a web process: stop every"):
        moved(worked, target)
    assert contents(worked) == before
    clock.move(seconds=31)
    moved(worked, target)


def test_a_target_that_holds_rows_is_refused(worked, target):
    target.write(in_force.put_fact, name="mapping_set_refused", value="x")
    with pytest.raises(NotPossible, match=r"holds rows already \(table facts\)"):
        moved(worked, target)
    assert set(contents(target)) == set(contents(worked))
    assert worked.write(sessions.open_session, session=SessionId("s2"), host="host", pid=2) is False


def test_the_ledger_itself_is_no_target(worked):
    with pytest.raises(NotPossible, match="the target is the ledger"):
        moved(worked, worked)


def test_nobody_writes_into_a_ledger_that_is_copied(worked, target, opened, clock):
    other = Ledger(worked.engine, clock=clock, server_clock=False, write_timeout=0.5)
    began = []

    def say(table):
        if not began:
            began.append(table)
            with pytest.raises(LedgerUnavailable):
                other.write(in_force.put_fact, name="x", value="y")

    moved(worked, target, say)
    other.stop()
    assert began


def test_a_copy_that_fails_halfway_changes_neither(worked, target):
    before = contents(worked)

    def say(table):
        if table.table == "calls":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moved(worked, target, say)
    assert contents(worked) == before
    assert target.read(copying.first_filled) is None
    moved(worked, target)


def test_a_copy_whose_process_is_killed_halfway_changes_neither(worked, target, database_url, target_url):
    before = contents(worked)
    code = """
import sys, time
from datetime import UTC, datetime, timedelta
from bridge.ledger import Ledger
from bridge.ledger.connecting import open_database
from bridge.moving import move
source, target = (Ledger(open_database(url), clock=lambda: datetime.now(UTC)) for url in sys.argv[1:])
def say(table):
    print(table.table, flush=True)
    if table.table == "runs":
        time.sleep(60)
move(source, target, worker=timedelta(seconds=30), kept=timedelta(days=400), say=say)
"""
    command = [sys.executable, "-c", code, database_url, target_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as copier:
        assert copier.stdout is not None
        while copier.stdout.readline().strip() != "runs":
            assert copier.poll() is None
        copier.send_signal(signal.SIGKILL)
        copier.wait(10)
    end = time.monotonic() + 10
    while (filled := _first_filled(target)) is not None:
        assert time.monotonic() < end, filled
    assert contents(worked) == before
    moved(worked, target)


def _first_filled(ledger):
    return ledger.read(copying.first_filled)


def test_a_row_that_the_target_does_not_take_is_told_without_its_content(worked, target):
    worked.write(lambda tx: tx.connection.execute(update(deliveries).values(detail="canary-5f3a")))
    with target.engine.connect().execution_options(writing=True) as connection, connection.begin():
        connection.execute(text("DROP INDEX ix_deliveries_received"))
        connection.execute(text("CREATE UNIQUE INDEX ix_deliveries_received ON deliveries (state)"))
    with pytest.raises(NotPossible, match="does not take a row of the table deliveries") as raised:
        moved(worked, target)
    assert "canary" not in str(raised.value)
    assert _first_filled(target) is None


def test_a_row_that_arrives_otherwise_is_found(worked, target, monkeypatch):
    with target.engine.connect().execution_options(writing=True) as connection, connection.begin():
        if connection.dialect.name == "sqlite":
            connection.execute(
                text(
                    "CREATE TRIGGER spoil AFTER INSERT ON runs BEGIN "
                    "UPDATE runs SET tries = tries + 1 WHERE id = NEW.id; END"
                )
            )
        else:
            connection.execute(
                text(
                    "CREATE FUNCTION spoil() RETURNS trigger AS "
                    "'BEGIN NEW.tries := NEW.tries + 1; RETURN NEW; END' LANGUAGE plpgsql"
                )
            )
            connection.execute(
                text("CREATE TRIGGER spoil BEFORE INSERT ON runs FOR EACH ROW EXECUTE FUNCTION spoil()")
            )
    with pytest.raises(NotPossible, match=r"the table runs arrived otherwise than it was \(4 and 4 rows\)"):
        moved(worked, target)
    assert _first_filled(target) is None


def test_an_audit_that_was_changed_stays_so_and_is_told(worked, target):
    worked.write(lambda tx: tx.connection.execute(update(audit).where(audit.c.id == 2).values(about="x")))
    assert [fault.segment for fault in moved(worked, target).audit.faults] == [1]
    assert target.read(lambda tx: tx.connection.execute(select(runs.c.id)).all())


@pytest.mark.parametrize("target_url", ["postgresql"], indirect=True)
def test_postgresql_plans_for_the_rows_that_came(worked, target):
    """Until it has counted by itself, which may take minutes, it takes a million rows for few."""
    result = moved(worked, target)
    counted = text("SELECT relname, reltuples FROM pg_class WHERE relkind = 'r' AND reltuples >= 0")
    found = target.read(lambda tx: dict(tx.connection.execute(counted).all()))
    rows = {table.table: table.rows for table in result.tables}
    assert {name: found.get(name) for name in rows} == rows
