"""Whether a claim is worth its while, and what it does with rows that this version cannot read."""

from datetime import timedelta

from bridge.ledger import claiming, outbox
from bridge.ledger.claiming import ASIDE
from bridge.ledger.codec import TICKET, to_text
from bridge.ledger.tables import comments, runs
from bridge.models import RunState, SessionId, SourceName, TicketRef


def test_a_queued_run_that_cannot_be_read_waits_and_lets_the_others_go(
    ledger, accept, make_run, open_session, claim, clock
):
    open_session("s1")
    accept(make_run("r1", key="r1"))
    accept(make_run("r2", key="r2"))
    of_another_version = runs.update().where(runs.c.id == "r1").values(plan='{"from": "a later version"}')
    ledger.write(lambda tx: tx.connection.execute(of_another_version))
    assert [run.id for run in claim("s1")] == ["r2"]
    kept = ledger.read(
        lambda tx: tx.connection.execute(runs.select().where(runs.c.id == "r1")).mappings().one()
    )
    assert (kept["state"], kept["owner"]) == (RunState.QUEUED, None)
    assert kept["due_at"] == clock() + ASIDE
    assert claim("s1") == ()


def test_there_is_work_while_anything_waits_or_is_being_posted_due_or_not(
    ledger, accept, make_run, make_comment, open_session, claim, clock
):
    def there_is_work():
        return ledger.read(claiming.is_there_work)

    open_session("s1")
    assert not there_is_work()
    accept(make_run("r1"))
    assert there_is_work()
    clock.move(hours=-1)
    assert claim("s1") == ()
    assert there_is_work()
    clock.move(hours=2)
    assert [run.id for run in claim("s1")] == ["r1"]
    assert not there_is_work()
    told = TicketRef(source=SourceName("jira"), uid="2", key="SUP-2")
    accept(make_run("r2", ticket=told, state=RunState.REFUSED, comment=make_comment("r2")))
    assert there_is_work()
    rooms = {SourceName("jira"): 5}
    (comment,) = ledger.write(
        outbox.claim_comments, session=SessionId("s1"), limit=5, rooms=rooms, lasting=timedelta(minutes=2)
    )
    assert there_is_work()
    ledger.write(outbox.posted, comment=comment, session=SessionId("s1"), posted_id="7")
    assert not there_is_work()


def test_a_comment_that_cannot_be_read_keeps_no_other_back_and_is_tried_again(
    ledger, accept, make_run, make_comment, clock
):
    tickets = [TicketRef(source=SourceName("jira"), uid=f"{n}", key=f"SUP-{n}") for n in (1, 2)]
    for ticket in tickets:
        accept(make_run(f"r{ticket.uid}", ticket=ticket, comment=make_comment(f"r{ticket.uid}")))

    def take():
        claimed = ledger.write(
            outbox.claim_comments,
            session=SessionId("s1"),
            limit=5,
            rooms={SourceName("jira"): 5},
            lasting=timedelta(minutes=2),
        )
        return [comment.run for comment in claimed]

    def write(ticket):
        change = comments.update().where(comments.c.run == "r1").values(ticket=ticket)
        ledger.write(lambda tx: tx.connection.execute(change))

    write('{"from": "a later version"}')
    assert take() == ["r2"]
    clock.move(minutes=3)
    write(to_text(TICKET, tickets[0]))
    assert take() == ["r1", "r2"]
