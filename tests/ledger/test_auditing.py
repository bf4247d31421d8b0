"""The audit: what stands in it, how it is sealed, and that nothing can be changed in it unseen."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, text, update

from bridge.errors import EvidenceBroken, Reason
from bridge.evidence import Sealing
from bridge.ledger import Ledger, Tx, admitting, auditing, in_force, pausing, people, pseudonyms, verifying
from bridge.ledger.connecting import open_database
from bridge.ledger.people import Act
from bridge.ledger.tables import audit, facts, seals
from bridge.models import PauseScope, RunState

ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def deed(tx, event="something", about="r1", **given):
    tx.audit(event, about=about, **given)


def rows(ledger):
    return ledger.read(lambda tx: tx.connection.execute(select(audit).order_by(audit.c.id)).all())


def verify(ledger, *heads):
    return ledger.read(verifying.verify, heads=heads)


def whats(found):
    return [fault.what for fault in found.faults]


@pytest.fixture
def sealing(ledger):
    return Sealing(ledger=ledger)


@pytest.fixture
def sealed(ledger, sealing, clock):
    """A ledger with three segments of three rows each."""
    for number in range(3):
        for place in range(3):
            ledger.write(deed, about=f"r{number}{place}", by="Ada Example", detail={"n": place})
        clock.move(seconds=1)
        assert sealing.catch_up() == 1
    return ledger


# ── what stands in it ────────────────────────────────────────────────────────────────────────────────────


def test_what_happens_to_a_run_stands_in_the_audit(ledger, accept, make_run, open_session, claim, part):
    accept(make_run("r1"))
    session = open_session("s1")
    (run,) = claim(session)
    ledger.write(admitting.admit, run=run, parts=(part,), lasting=timedelta(seconds=70))
    found = [(row.event, row.about, json.loads(row.detail)) for row in rows(ledger)]
    assert ("delivery_accepted", "d1", {"digest": "a" * 64, "recovered": False, "source": "jira"}) in found
    decided = {"decision": "matched", "mapping_set": "0" * 64, "runs": ["r1"]}
    assert ("delivery_judged", "d1", decided) in found
    assert ("queued", "r1", {}) in found
    ((_, about, intent),) = [each for each in found if each[0] == "intended"]
    assert about == "r1"
    assert intent["detail"] == "r1-1-1"
    assert len(intent["plan"]) == 64


def test_the_audit_names_nobody_and_repeats_nobodys_words(ledger, accept, make_run):
    accept(make_run("r1", state=RunState.HELD, reason=Reason.LOOP))
    said = Act(author="ada.example@host", reason="Grace asked me on the phone")
    ledger.write(people.release, run="r1", reason=Reason.LOOP, waive=False, act=said, comment=None)
    scope = {"scope": PauseScope.MAPPING, "value": "office"}
    ledger.write(pausing.pause, **scope, reason=Reason.BY_OPERATOR, author="ada.example@host", detail="Grace")
    ledger.write(deed, detail={"host": "has spaces, so it is nobody's identifier"})
    stored = " ".join(str(tuple(row)) for row in rows(ledger))
    for word in ("ada.example", "Grace", "phone", "spaces"):
        assert word not in stored
    by = {row.by for row in rows(ledger) if row.by}
    salt = ledger.read(lambda tx: pseudonyms.salt_of(tx.connection, tx.now))
    assert by == {pseudonyms.digest_of(salt, "ada.example@host")}


def test_the_salt_is_made_once(ledger, database_url, clock):
    ledger.write(deed, by="Ada")
    again = Ledger(open_database(database_url), clock=clock, server_clock=False)
    again.write(deed, by="Ada")
    again.stop()
    first, second = rows(ledger)
    assert first.by == second.by


# ── how it is sealed ─────────────────────────────────────────────────────────────────────────────────────


def test_a_sealed_audit_is_found_whole(sealed):
    found = verify(sealed)
    assert found.faults == ()
    assert (found.segments, found.rows, found.unsealed.count) == (3, 9, 0)
    assert found.head.id == 3


def test_rows_that_are_not_sealed_yet_are_counted(sealed, clock):
    since = clock.now
    sealed.write(deed)
    found = verify(sealed)
    assert found.faults == ()
    assert (found.unsealed.count, found.unsealed.oldest) == (1, since)


def test_nothing_is_sealed_where_nothing_waits(sealed, sealing, clock):
    clock.move(seconds=1)
    assert sealing.catch_up() == 0
    assert verify(sealed).segments == 3


def test_the_sealing_thread_seals_and_ends_when_told(ledger, sealing):
    ledger.write(deed)
    stopping = threading.Event()
    thread = threading.Thread(target=sealing.run, args=(stopping,))
    thread.start()
    ends = time.monotonic() + 20
    while verify(ledger).segments == 0 and time.monotonic() < ends:
        time.sleep(0.05)
    stopping.set()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert verify(ledger).unsealed.count == 0


def test_a_backlog_is_sealed_in_bounded_segments(ledger, sealing):
    ledger.write(lambda tx: [deed(tx, about=f"r{number}") for number in range(auditing.SEGMENT_ROWS + 1)])
    assert sealing.catch_up() == 2
    found = verify(ledger)
    assert (found.segments, found.rows, found.faults) == (2, auditing.SEGMENT_ROWS + 1, ())


def test_sealers_at_once_make_one_chain(ledger, database_url, clock):
    others = [Ledger(open_database(database_url), clock=clock, server_clock=False) for _ in range(3)]
    ending = threading.Event()

    def write():
        number = 0
        while not ending.is_set():
            number += 1
            ledger.write(deed, about=f"r{number}")

    def seal(each):
        made = []
        for _ in range(15):
            seal = Sealing(ledger=each).seal()
            made += [seal.id] if seal else []
        return made

    with ThreadPoolExecutor(4) as pool:
        writing = pool.submit(write)
        made = [number for numbers in pool.map(seal, others) for number in numbers]
        ending.set()
        writing.result(10)
    while Sealing(ledger=ledger).seal():
        made.append(len(made) + 1)
    for each in others:
        each.stop()
    found = verify(ledger)
    assert found.faults == ()
    assert sorted(made) == list(range(1, found.segments + 1))
    assert found.unsealed.count == 0


@ON_POSTGRESQL
@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK"])
def test_a_row_that_commits_late_is_waited_for(ledger, sealing, ending):
    with ledger.engine.connect() as late:
        late.execute(insert(audit).values(at=ledger._clock(), event="late", about="r1", detail="{}"))
        ledger.write(deed, about="r2")
        assert sealing.seal() is None
        assert verify(ledger).unsealed.count == 1
        late.exec_driver_sql(ending)
    assert sealing.seal() is not None
    found = verify(ledger)
    assert found.faults == ()
    assert (found.rows, found.unsealed.count) == (2 if ending == "COMMIT" else 1, 0)


@ON_POSTGRESQL
def test_a_transaction_that_does_not_write_into_the_audit_keeps_nobody_waiting(ledger, sealing):
    with ledger.engine.connect() as other:
        other.execute(text("SELECT * FROM audit"))
        other.execute(text("UPDATE facts SET value = value"))
        ledger.write(deed)
        assert sealing.seal() is not None


# ── nothing can be changed in it unseen ──────────────────────────────────────────────────────────────────


def change_of(table, column, value):
    return lambda key: update(table).where(table.c.id == key).values({column: value})


CHANGES = [
    *(
        (audit, change_of(audit, column, value))
        for column, value in (
            ("id", audit.c.id + 1_000),
            ("id", -audit.c.id),
            ("event", "another"),
            ("about", audit.c.about + "x"),
            ("by", None),
            ("by", "digest:0"),
            ("detail", '{"n":9}'),
        )
    ),
    (audit, lambda key: delete(audit).where(audit.c.id == key)),
    *(
        (seals, change_of(seals, column, value))
        for column, value in (
            ("id", seals.c.id + 10),
            ("id", -seals.c.id),
            ("first", seals.c.first + 1),
            ("first", seals.c.first - 1),
            ("last", seals.c.last * 10 + 1),
            ("last", -seals.c.last),
            ("count", seals.c.count + 1),
            ("digest", "0" * 64),
            ("chain", "0" * 64),
        )
    ),
    (seals, lambda key: delete(seals).where(seals.c.id == key)),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_single_change_is_found(sealed, data):
    table, changing = data.draw(st.sampled_from(CHANGES))
    key = data.draw(st.integers(1, 9 if table is audit else 3))
    assert_found(sealed, changing(key))


def assert_found(ledger, *statements):
    """Change the ledger behind its back, verify, and undo the change."""
    with ledger.engine.connect().execution_options(writing=True) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount != 0
        found = verifying.verify(Tx(connection, ledger._clock()))
        connection.rollback()
    assert found.faults
    assert verify(ledger).faults == ()


@pytest.mark.parametrize("moved", [timedelta(microseconds=1), timedelta(days=-1)])
def test_a_time_that_was_moved_is_found(sealed, clock, moved):
    assert_found(sealed, update(audit).where(audit.c.id == 4).values(at=clock.now + moved))
    assert_found(sealed, update(seals).where(seals.c.id == 2).values(at=clock.now + moved))


def test_a_segment_that_stands_as_purged_without_a_purge_is_found(sealed, clock):
    purged = update(seals).where(seals.c.id == 1).values(purged_at=clock.now)
    assert_found(sealed, purged)
    with sealed.engine.connect().execution_options(writing=True) as connection:
        connection.execute(purged)
        connection.execute(delete(audit).where(audit.c.id <= 3))
        found = verifying.verify(Tx(connection, clock.now))
        connection.rollback()
    assert whats(found) == ["it stands as purged, and the audit tells of no purge that went so far"]


@pytest.mark.parametrize("row", [0, -7, 5])
def test_a_row_that_was_put_in_is_found_and_named(ledger, sealing, clock, row):
    ledger.write(deed)
    if row == 5:
        # A gap among the numbers, as a transaction leaves it that was rolled back.
        with ledger.engine.connect().execution_options(writing=True) as connection, connection.begin():
            connection.execute(insert(audit).values(id=9, at=clock.now, event="e", about="r", detail="{}"))
    sealing.seal()
    assert_found(ledger, insert(audit).values(id=row, at=clock.now, event="e", about="r", detail="{}"))


def test_faults_name_the_segment_and_the_rows(sealed):
    def found_after(*statements):
        with sealed.engine.connect().execution_options(writing=True) as connection:
            for statement in statements:
                connection.execute(statement)
            found = verifying.verify(Tx(connection, sealed._clock()))
            connection.rollback()
        return [(fault.segment, fault.what) for fault in found.faults]

    assert found_after(delete(audit).where(audit.c.id == 5)) == [
        (2, "1 rows were removed; these numbers are absent: 5")
    ]
    assert found_after(update(audit).where(audit.c.id == 8).values(about="r9")) == [
        (3, "a row was changed among 7-9")
    ]
    assert found_after(delete(seals).where(seals.c.id == 2)) == [
        (3, "the seals of segments 2 to 2 are missing")
    ]
    assert found_after(delete(seals).where(seals.c.id == 3)) == [
        (None, "the newest seal is not the one that was made last")
    ]
    assert found_after(update(audit).where(audit.c.id == 2).values(id=-2)) == [
        (1, "1 rows were removed; these numbers are absent: 2"),
        (None, "1 rows were put in before the first"),
    ]


def test_a_changed_or_forgotten_head_is_found(sealed):
    head = facts.c.name == auditing.HEAD_FACT
    assert_found(sealed, update(facts).where(head).values(value="0" * 64))
    assert_found(sealed, delete(facts).where(head))


def test_a_chain_that_was_made_anew_is_found_by_a_head_that_was_noted(sealed, sealing):
    noted = verify(sealed).head.chain
    assert verify(sealed, noted).faults == ()

    def rewrite(tx):
        tx.connection.execute(update(audit).where(audit.c.id == 1).values(about="r9"))
        tx.connection.execute(delete(seals))
        in_force.drop_fact(tx, name=auditing.HEAD_FACT)

    sealed.write(rewrite)
    assert sealing.seal() is not None
    assert verify(sealed).faults == ()
    assert "is not in this chain" in whats(verify(sealed, noted))[0]


def test_nothing_is_sealed_onto_a_chain_that_was_cut(sealed, sealing, clock):
    sealed.write(deed)
    sealed.write(lambda tx: tx.connection.execute(delete(seals).where(seals.c.id == 3)))
    with pytest.raises(EvidenceBroken, match="bridge audit verify"):
        sealing.seal()


# ── what others can check by themselves ──────────────────────────────────────────────────────────────────


def test_an_export_can_be_verified_without_the_bridge(sealed):
    import hashlib

    lines = []
    sealed.read(auditing.export, emit=lambda line: lines.append(json.loads(json.dumps(line))))

    def sha(value):
        return hashlib.sha256(value.encode()).hexdigest()

    def compact(*values):
        return json.dumps(values, separators=(",", ":"))

    chain, segment, checked = "0" * 64, "", 0
    for line in lines:
        if "row" in line:
            names = ("row", "at", "event", "about", "by", "detail")
            segment += compact(*(line[name] for name in names)) + "\n"
            continue
        assert sha(segment) == line["digest"]
        sealed_part = (line[name] for name in ("seal", "first", "last", "count", "digest", "at"))
        chain = sha(compact(*sealed_part, chain))
        assert chain == line["chain"]
        segment, checked = "", checked + 1
    assert checked == 3


def test_an_export_holds_what_was_asked_for(sealed, clock):
    def exported(**asked):
        lines = []
        sealed.read(auditing.export, emit=lines.append, **asked)
        return [f"row {line['row']}" if "row" in line else f"seal {line['seal']}" for line in lines]

    assert exported(about="r11") == ["row 5", "seal 2"]
    since = clock.now - timedelta(seconds=1)
    assert exported(since=since) == ["row 7", "row 8", "row 9", "seal 3"]
    assert exported(until=clock.now - timedelta(seconds=2)) == ["row 1", "row 2", "row 3", "seal 1"]
    sealed.write(deed)
    assert exported(since=clock.now) == ["row 10"]
