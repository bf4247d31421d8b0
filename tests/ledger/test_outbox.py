"""Rules T1 and T2, on SQLite and PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from bridge.errors import LostOwnership, Reason
from bridge.ledger import outbox, queries
from bridge.models import CommentState, Occasion, RunId, SessionId, SourceName

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
            sources=(SourceName("jira"),),
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
