"""Rules A1 to A3 and A5, on SQLite and PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from bridge.errors import LedgerUnavailable, LostOwnership, Reason
from bridge.ledger import Ledger, accepting, in_force, listing, pending, queries
from bridge.ledger.connecting import open_database
from bridge.models import DeliveryId, RunState


def states(ledger):
    return [run.state for run in ledger.read(listing.page_of_runs, limit=100).runs]


def test_a1_one_delivery_makes_one_run_however_often_and_concurrently_it_comes(
    ledger, make_delivery, make_run
):
    def deliver(number):
        run = make_run(f"r{number}")
        verdict = accepting.Verdict(
            reason=None, detail=None, ticket=run.ticket, findings=[], mapping_set=None, runs=(run,)
        )
        return ledger.write(
            accepting.accept,
            delivery_id=DeliveryId(f"d{number}"),
            delivery=make_delivery(),
            verdict=verdict,
        )

    with ThreadPoolExecutor(50) as pool:
        accepted = list(pool.map(deliver, range(50)))
    assert sum(not each.duplicate for each in accepted) == 1
    assert len({each.delivery for each in accepted}) == 1
    assert sum(len(each.runs) for each in accepted) == 1
    assert len(ledger.read(listing.page_of_runs, limit=100).runs) == 1


def test_a1_another_identifier_with_the_same_change_makes_no_second_run(accept, make_run):
    assert accept(make_run("r1", key="changelog:900")).runs == ("r1",)
    replayed = accept(make_run("r2", key="changelog:900"))
    assert not replayed.duplicate
    assert replayed.runs == ()


def test_a1_an_untimed_body_is_a_repeat_for_ten_minutes_and_news_after(accept, make_run, clock):
    assert not accept(make_run("r1"), timed=False).duplicate
    clock.move(minutes=9)
    assert accept(make_run("r2"), timed=False).duplicate
    clock.move(minutes=2)
    assert not accept(make_run("r3"), timed=False).duplicate


def arrival(number, make_delivery, *runs, **given):
    verdict = accepting.Verdict(
        reason=None, detail=None, ticket=runs[0].ticket, findings=[], mapping_set=None, runs=runs
    )
    delivery = make_delivery(**{"key": f"key-{number}", **given})
    return accepting.Arrival(id=DeliveryId(f"d{number}"), delivery=delivery, verdict=verdict)


def test_deliveries_that_come_together_are_taken_in_as_if_one_after_the_other(
    ledger, make_delivery, make_run
):
    waiting = accepting.Arrival(id=DeliveryId("d3"), delivery=make_delivery(key="waits"), verdict=None)
    together = (
        arrival(1, make_delivery, make_run("r1")),
        arrival(2, make_delivery, make_run("r2"), key="key-1"),
        waiting,
        arrival(4, make_delivery, make_run("r4", key="changelog:4"), timed=False, digest="4" * 64),
        arrival(5, make_delivery, make_run("r5", key="changelog:5"), timed=False, digest="4" * 64),
        arrival(6, make_delivery, make_run("r6")),
    )
    became = ledger.write(accepting.accept_all, together)
    assert [(each.delivery, each.duplicate, each.runs, each.reason) for each in became] == [
        ("d1", False, ("r1",), None),
        ("d1", True, (), None),
        ("d3", False, (), None),
        ("d4", False, ("r4",), None),
        ("d4", True, (), None),
        ("d6", False, (), Reason.ALREADY_SERVED),
    ]
    told = ledger.read(queries.figures).totals
    assert {(each.label, each.count) for each in told if each.kind == "delivery"} == {
        ("matched", 2),
        ("pending", 1),
        ("already_served", 1),
    }


def test_a3_runs_that_come_together_do_not_pass_the_guard(ledger, make_delivery, make_run):
    together = [
        arrival(number, make_delivery, make_run(f"r{number}", key=f"changelog:{number}"))
        for number in range(5)
    ]
    became = ledger.write(accepting.accept_all, together)
    assert [each.runs for each in became] == [(f"r{number}",) for number in range(5)]
    stories = [ledger.read(queries.run_story, run=f"r{number}").run for number in range(5)]
    assert [run.state for run in stories] == [RunState.QUEUED] * 3 + [RunState.HELD] * 2


def test_w5_a_delivery_that_cannot_be_taken_in_keeps_none_back_that_came_with_it(
    ledger, make_delivery, make_run
):
    """Many at once, so that they are written together; no webhook has a key as long as some here."""

    def deliver(number):
        key = "k" * 300 if number % 10 == 0 else f"{number}"
        payload = {"not": object()} if number % 10 == 1 else {}
        run = make_run(f"r{number}", key=f"changelog:{number}")
        one = arrival(number, make_delivery, run, key=key, payload=payload)
        try:
            return ledger.write_with_others(accepting.accept_all, one).delivery
        except (TypeError, LedgerUnavailable):
            return None

    with ThreadPoolExecutor(30) as pool:
        came = list(pool.map(deliver, range(30)))
    assert [came[number] for number in range(30) if number % 10 > 1] == [
        f"d{number}" for number in range(30) if number % 10 > 1
    ]
    assert [came[number] for number in (1, 11, 21)] == [None] * 3


def test_a2_one_run_for_a_ticket_and_mapping_ever(ledger, accept, make_run):
    accept(make_run("r1"))
    assert accept(make_run("r2")).runs == ()
    assert states(ledger) == [RunState.QUEUED]


def test_a3_the_fourth_run_of_a_ticket_and_mapping_in_an_hour_is_held_and_told_nobody(
    ledger, accept, make_run, make_comment, clock
):
    for number in range(3):
        accept(make_run(f"r{number}", key=f"changelog:{number}"))
    accept(make_run("r3", key="changelog:3", comment=make_comment("r3")))
    held = ledger.read(queries.run_story, run="r3")
    assert (held.run.state, held.run.reason) == (RunState.HELD, Reason.LOOP)
    assert held.comments == ()
    clock.move(minutes=61)
    accept(make_run("r4", key="changelog:4"))
    assert ledger.read(queries.run_story, run="r4").run.state is RunState.QUEUED


def test_a3_an_announcement_that_loops_is_told_three_times_an_hour_at_most(
    ledger, accept, make_run, make_comment
):
    for number in range(5):
        run = f"r{number}"
        accept(make_run(run, key=run, state=RunState.RECORDED, comment=make_comment(run)))
    stories = [ledger.read(queries.run_story, run=f"r{number}") for number in range(5)]
    assert [story.run.state for story in stories] == [RunState.RECORDED] * 5
    assert [len(story.comments) for story in stories] == [1, 1, 1, 0, 0]


def test_a4_a_pending_delivery_is_judged_once(ledger, make_delivery, make_run):
    ledger.write(accepting.accept, delivery_id=DeliveryId("d1"), delivery=make_delivery(), verdict=None)
    source = make_delivery().source
    assert ledger.read(pending.due_sources, sources=(source,)) == (source,)
    (waiting,) = ledger.write(pending.take_pending, source=source, limit=10, lease=timedelta(minutes=1))
    assert (waiting.delivery, waiting.ticket, waiting.tries) == (make_delivery(), None, 0)
    run = make_run("r1")
    verdict = accepting.Verdict(
        reason=None, detail=None, ticket=run.ticket, findings=[], mapping_set=None, runs=(run,)
    )
    assert ledger.write(accepting.judge, delivery_id=waiting.id, verdict=verdict) == ("r1",)
    # It is found by its ticket, which nobody knew while it waited.
    keys = "SELECT ticket_key FROM deliveries"
    assert ledger.read(lambda tx: tx.connection.execute(text(keys)).scalar_one()) == verdict.ticket.key
    with pytest.raises(LostOwnership):
        ledger.write(accepting.judge, delivery_id=waiting.id, verdict=verdict)
    assert ledger.read(pending.due_sources, sources=(source,)) == ()


def test_a5_the_set_in_force_is_a_row_that_an_older_set_can_come_back_to(ledger):
    assert ledger.read(in_force.mapping_set_in_force) is None
    for set_hash in ("1", "2", "1"):
        ledger.write(in_force.accept_mapping_set, set_hash=set_hash, texts=f"texts {set_hash}", by="host")
    assert ledger.read(in_force.mapping_set_in_force) == "1"
    assert ledger.read(in_force.mapping_texts, set_hash="1") == "texts 1"


def test_a2_what_was_served_already_says_by_which_run(ledger, accept, make_run, make_delivery):
    accept(make_run("r1"))
    run = make_run("r2")
    finding = {"mapping": "office", "outcome": "fired", "run": "r2"}
    verdict = accepting.Verdict(
        reason=None, detail=None, ticket=run.ticket, findings=[finding], mapping_set=None, runs=(run,)
    )
    accepted = ledger.write(
        accepting.accept, delivery_id=DeliveryId("d9"), delivery=make_delivery(key="new"), verdict=verdict
    )
    assert (accepted.runs, accepted.reason) == ((), Reason.ALREADY_SERVED)
    told = ledger.read(queries.one_delivery, delivery=DeliveryId("d9"))
    assert told.reason == Reason.ALREADY_SERVED
    assert told.findings == [{"mapping": "office", "outcome": "already_served", "run": "r1", "once": True}]


def test_a3_many_changes_at_once_do_not_pass_the_guard(ledger, make_delivery, make_run, database_url, clock):
    """Every process writes by itself, so each gets a ledger of its own here."""
    others = [Ledger(open_database(database_url), clock=clock, server_clock=False) for _ in range(6)]

    def deliver(number):
        run = make_run(f"r{number}", key=f"changelog:{number}")
        verdict = accepting.Verdict(
            reason=None, detail=None, ticket=run.ticket, findings=[], mapping_set=None, runs=(run,)
        )
        return others[number].write(
            accepting.accept,
            delivery_id=DeliveryId(f"d{number}"),
            delivery=make_delivery(key=f"{number}"),
            verdict=verdict,
        )

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(deliver, range(6)))
    for other in others:
        other.stop()
    assert sorted(states(ledger)) == [RunState.HELD] * 3 + [RunState.QUEUED] * 3


def test_a_long_name_of_a_ticket_is_kept(ledger, accept, make_run, make_plan):
    from bridge.models import TicketRef

    ticket = TicketRef(source="jira", uid="1" * 300, key="K" * 300)
    accept(make_run("r1", ticket=ticket, plan=make_plan(mapping="m" * 300)))
    assert ledger.read(queries.run_story, run="r1").run.ticket == ticket
