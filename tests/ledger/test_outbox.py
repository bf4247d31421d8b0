"""Rules T1 and T2, on SQLite and PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from bridge.errors import LostOwnership, Reason
from bridge.ledger import outbox, queries
from bridge.models import CommentState, Occasion, RunId, RunState, SessionId, SourceName, WriteBack

LASTING = timedelta(seconds=120)


@pytest.fixture
def owe(ledger, accept, make_run, make_comment, make_plan):
    """Owe a comment for a run of its own on ticket SUP-1."""

    def do(run, **given):
        accept(make_run(run, key=run, comment=make_comment(run, **given)))

    return do


@pytest.fixture
def claim_comments(ledger):
    def do(session="s1", limit=10):
        return ledger.write(
            outbox.claim_comments,
            session=SessionId(session),
            limit=limit,
            rooms={SourceName("jira"): limit},
            lasting=LASTING,
        )

    return do


def stored(ledger, run):
    (comment,) = ledger.read(queries.run_story, run=RunId(run)).comments
    return comment


def test_t1_a_row_is_posting_in_a_committed_transaction_before_the_request(ledger, owe, claim_comments):
    owe("r1")
    (comment,) = claim_comments()
    assert comment.state is CommentState.POSTING
    assert stored(ledger, "r1").state is CommentState.POSTING
    assert comment.uncertain_until is None


def test_t1_one_that_may_have_arrived_is_due_only_after_its_latest_end(ledger, owe, claim_comments, clock):
    owe("r1")
    (comment,) = claim_comments()
    ledger.write(
        outbox.try_later,
        comment=comment,
        session=SessionId("s1"),
        delay=timedelta(seconds=1),
        reason=Reason.DEADLINE,
        detail="no answer",
        uncertain=True,
    )
    clock.move(seconds=119)
    assert claim_comments() == ()
    clock.move(seconds=2)
    (again,) = claim_comments()
    assert again.uncertain_until is not None
    assert again.attempt == 2


def test_t1_one_left_behind_by_its_session_is_taken_again_as_one_that_may_stand(owe, claim_comments, clock):
    owe("r1")
    claim_comments("s1")
    clock.move(seconds=119)
    assert claim_comments("s2") == ()
    clock.move(seconds=2)
    (again,) = claim_comments("s2")
    assert again.uncertain_until is not None


def test_t1_a_session_that_lost_its_comment_cannot_close_it(ledger, owe, claim_comments, clock):
    owe("r1")
    (comment,) = claim_comments("s1")
    clock.move(seconds=121)
    claim_comments("s2")
    with pytest.raises(LostOwnership):
        ledger.write(outbox.posted, comment=comment, session=SessionId("s1"), posted_id="77")


def test_t2_only_the_oldest_unposted_comment_of_a_ticket_is_claimed(ledger, owe, claim_comments):
    owe("r1")
    owe("r2")
    (first,) = claim_comments()
    assert first.run == "r1"
    assert claim_comments() == ()
    ledger.write(outbox.posted, comment=first, session=SessionId("s1"), posted_id="77")
    assert [comment.run for comment in claim_comments()] == ["r2"]


def test_t2_a_comment_that_cannot_be_delivered_lets_the_next_one_go(ledger, owe, claim_comments):
    owe("r1")
    owe("r2")
    (first,) = claim_comments()
    ledger.write(
        outbox.undeliverable,
        comment=first,
        session=SessionId("s1"),
        reason=Reason.NOT_FOUND,
        detail="deleted",
    )
    assert [comment.run for comment in claim_comments()] == ["r2"]
    assert ledger.read(queries.figures).undeliverable == 1


def test_t2_many_workers_never_claim_one_comment_twice(owe, claim_comments, accept, make_run, make_comment):
    from bridge.models import TicketRef

    for number in range(20):
        ticket = TicketRef(source=SourceName("jira"), uid=f"{number}", key=f"SUP-{number}")
        accept(make_run(f"r{number}", ticket=ticket, comment=make_comment(f"r{number}")))
    with ThreadPoolExecutor(8) as pool:
        claimed = [
            comment.run
            for batch in pool.map(lambda n: claim_comments(f"s{n}", limit=3), range(16))
            for comment in batch
        ]
    assert sorted(claimed) == sorted(f"r{number}" for number in range(20))


def test_a_comment_is_owed_once_for_a_run_occasion_and_number(ledger, owe, make_comment, make_plan):
    owe("r1")
    again = {"run": RunId("r1"), "ticket": make_plan().ticket, "comment": make_comment("r1")}
    assert not ledger.write(outbox.owe, **again)
    assert ledger.write(outbox.owe, **{**again, "comment": make_comment("r1", Occasion.ANSWERED, 2)})


# ── changes after a comment ──────────────────────────────────────────────────────────────────────────────

RESOLVED = WriteBack(outcome=RunState.REFUSED, state="Waiting", assign_to="712020:bo", label="bridge")
DONE = WriteBack(outcome=RunState.ANSWERED, state="Done")


@pytest.fixture
def refuse(accept, make_run, make_comment):
    """Have a run end as refused on ticket SUP-1, whose mapping wants the ticket changed after that."""

    def do(run="r1", after=(DONE, RESOLVED)):
        comment = make_comment(run, Occasion.REFUSED, after=after)
        accept(make_run(run, key=run, state=RunState.REFUSED, comment=comment))

    return do


def story(ledger, run="r1"):
    return ledger.read(queries.run_story, run=RunId(run))


def close(ledger, comment, session="s1"):
    ledger.write(outbox.posted, comment=comment, session=SessionId(session), posted_id="1")


def test_the_change_of_the_outcome_that_the_run_has_is_owed_with_its_comment(ledger, refuse):
    refuse()
    told, changed = story(ledger).comments
    assert (told.owed.occasion, told.change) == (Occasion.REFUSED, None)
    assert (changed.owed.occasion, changed.owed.n, changed.change) == (Occasion.AFTER, 1, RESOLVED)
    assert changed.owed.text == "label bridge, assigned to 712020:bo, state Waiting"
    assert changed.state is CommentState.OWED


def test_a_comment_that_is_owed_already_owes_no_second_change(ledger, refuse, make_comment, make_plan):
    refuse()
    again = make_comment("r1", Occasion.REFUSED, after=(RESOLVED,))
    assert not ledger.write(outbox.owe, run=RunId("r1"), ticket=make_plan().ticket, comment=again)
    assert len(story(ledger).comments) == 2


def test_an_outcome_that_comes_again_owes_its_change_again(ledger, refuse, make_comment, make_plan):
    refuse()
    again = make_comment("r1", Occasion.REFUSED, 2, after=(RESOLVED,))
    assert ledger.write(outbox.owe, run=RunId("r1"), ticket=make_plan().ticket, comment=again)
    assert [c.owed.n for c in story(ledger).comments if c.change] == [1, 2]


def test_t2_a_change_waits_for_the_comments_before_it(ledger, refuse, claim_comments):
    refuse()
    (told,) = claim_comments()
    assert told.change is None
    assert claim_comments() == ()
    close(ledger, told)
    (changed,) = claim_comments()
    assert changed.change == RESOLVED


def test_t2_a_change_that_its_ticket_does_not_take_yet_keeps_no_comment_back(ledger, refuse, claim_comments):
    refuse()
    close(ledger, *claim_comments())
    (changed,) = claim_comments()
    refuse("r2")
    (told,) = claim_comments()
    assert (told.run, told.change) == ("r2", None)
    close(ledger, told)
    assert claim_comments() == ()  # changes of one ticket are made in their order
    close(ledger, changed)
    assert [(c.run, c.change) for c in claim_comments()] == [("r2", RESOLVED)]


def test_changes_are_counted_apart_from_comments(ledger, refuse, claim_comments):
    refuse()
    close(ledger, *claim_comments())
    (changed,) = claim_comments()
    ledger.write(
        outbox.undeliverable,
        comment=changed,
        session=SessionId("s1"),
        reason=Reason.REJECTED,
        detail="no transition",
    )
    figures = ledger.read(queries.figures)
    totals = {(total.kind, total.label): total.count for total in figures.totals}
    assert totals["comment", CommentState.POSTED] == 1
    assert totals["change", CommentState.UNDELIVERABLE] == 1
    assert figures.undeliverable == 1
    assert story(ledger).comments[1].detail == "no transition"
    assert "change_undeliverable" in [line.event for line in story(ledger).history]
