"""The telling rules T1 to T3 through the whole of posting, for every way in which comments are written."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from bridge.errors import Reason
from bridge.models import CommentState, CommentStyle, RunState, Visibility

SOURCES = ("jira", "desk", "datacenter", "servicenow")
# How a comment is written: the method and the path of the request that adds one.
WRITING = {
    "jira": {"method": "POST", "path": "*/comment"},
    "desk": {"method": "POST", "path": "*/comment"},
    "datacenter": {"method": "POST", "path": "*/comment"},
    "servicenow": {"method": "PATCH", "path": "/api/now/*"},
}


@pytest.fixture
def desks(jira: Any, servicenow: Any) -> dict[str, Any]:
    """The simulated system behind each source."""
    return {"jira": jira, "desk": jira, "datacenter": jira, "servicenow": servicenow}


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def standing(desk: Any, run: str) -> int:
    """Count the comments that carry a marker of the run."""
    return sum(f"bridge-{run}-" in str(comment) for comment in desk.comments())


def owes(mine: Any, source: str = "jira", **plan: Any) -> str:
    """Have a run answered whose comment is owed."""
    run: str = mine.ask(source, **plan)
    mine.work()
    assert mine.state(run) is RunState.ANSWERED
    return run


# ── T1 ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["reset_after_read", "reset_mid_body", "garbage"])
def test_t1_a_comment_whose_answer_was_lost_is_found_by_its_marker_and_not_posted_twice(
    house, desks, source, kind
):
    mine = house()
    run = owes(mine, source)
    desks[source].fault(kind, **WRITING[source])
    mine.post()
    assert mine.told(run) == [CommentState.OWED]
    assert standing(desks[source], run) == 1
    mine.later(seconds=110)
    assert mine.claim_comments() == ()  # the request may still arrive
    mine.later(seconds=20)
    mine.post()
    assert mine.told(run) == [CommentState.POSTED]
    assert standing(desks[source], run) == 1


def test_t1_a_comment_that_was_looked_for_and_is_not_there_is_posted(house, desks, source):
    mine = house()
    run = owes(mine, source)
    desks[source].fault("status", status=502, **WRITING[source])
    mine.post()
    assert standing(desks[source], run) == 0
    mine.later(seconds=130)
    mine.post()
    assert mine.told(run) == [CommentState.POSTED]
    assert standing(desks[source], run) == 1


def test_t1_nothing_is_posted_while_the_ticket_cannot_be_searched(house, desks, source):
    mine = house()
    run = owes(mine, source)
    desk = desks[source]
    desk.fault("reset_after_read", **WRITING[source])
    mine.post()
    desk.fault("status", status=503, method="GET", times=3)
    for _ in range(3):
        mine.later(minutes=40)
        mine.post()
        assert mine.told(run) == [CommentState.OWED]
    mine.later(minutes=40)
    mine.post()
    assert mine.told(run) == [CommentState.POSTED]
    assert standing(desk, run) == 1


def test_t1_a_worker_that_died_after_posting_leads_to_no_second_comment(house, desks, source):
    mine = house()
    run = owes(mine, source)
    (comment,) = mine.claim_comments()
    connected = mine.connections.sources[comment.ticket.source]
    connected.transport.send(connected.system.comment_request(comment.ticket, comment.owed), deadline=10)
    assert standing(desks[source], run) == 1
    mine.open_session("s2")
    mine.later(seconds=130)
    mine.post("s2")
    assert mine.told(run) == [CommentState.POSTED]
    assert standing(desks[source], run) == 1


# ── T2 ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_t2_comments_of_one_ticket_appear_in_the_order_in_which_they_were_owed(house, desks, source, tickets):
    mine = house()
    ticket = tickets(source)
    first, second = (owes(mine, source, ticket=ticket) for _ in range(2))
    desks[source].fault("status", status=503, carried_out=False, **WRITING[source])
    mine.post()
    assert (mine.told(first), mine.told(second)) == ([CommentState.OWED], [CommentState.OWED])
    mine.later(seconds=130)
    mine.post()
    texts = [str(comment) for comment in desks[source].comments()]
    assert [f"bridge-{first}-" in texts[0], f"bridge-{second}-" in texts[1]] == [True, True]


@pytest.mark.parametrize("status", [403, 404])
def test_t2_a_ticket_that_takes_no_comment_does_not_hold_up_the_next_one(
    house, desks, source, tickets, status
):
    mine = house()
    ticket = tickets(source)
    first, second = (owes(mine, source, ticket=ticket) for _ in range(2))
    desks[source].fault("status", status=status, **WRITING[source])
    mine.post()
    assert mine.told(first) == [CommentState.UNDELIVERABLE]
    assert mine.told(second) == [CommentState.POSTED]
    assert mine.state(first) is RunState.ANSWERED


def test_t2_a_failing_ticket_holds_up_no_other_ticket(house, desks, source):
    mine = house()
    first, second = (owes(mine, source) for _ in range(2))
    desks[source].fault("status", status=503, **WRITING[source])
    mine.post()
    assert mine.told(first) == [CommentState.OWED]
    assert mine.told(second) == [CommentState.POSTED]


# ── when it is tried again ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_comment_waits_as_long_as_retry_after_asks(house, desks, source, form):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    mine = house()
    run = owes(mine, source)
    asked = "600" if form == "seconds" else date
    desks[source].fault("status", status=429, retry_after=asked, **WRITING[source])
    mine.post()
    (comment,) = mine.story(run).comments
    assert comment.reason is Reason.RATE_LIMITED
    assert 595 <= (comment.due_at - mine.clock()).total_seconds() <= 600
    mine.later(seconds=601)
    mine.post()
    assert mine.told(run) == [CommentState.POSTED]
    assert standing(desks[source], run) == 1


def test_a_comment_is_tried_for_three_days_with_longer_and_longer_waits_and_then_given_up(house, desks):
    mine = house()
    run = owes(mine)
    desks["jira"].fault("status", status=503, times=10_000, method="*")
    waits = []
    while mine.told(run) == [CommentState.OWED]:
        mine.post()
        (comment,) = mine.story(run).comments
        waits.append((comment.due_at - mine.clock()).total_seconds())
        mine.clock.now = max(comment.due_at, mine.clock.now) + timedelta(seconds=1)
    assert mine.told(run) == [CommentState.UNDELIVERABLE]
    assert 100 < len(waits) < 200
    assert max(waits) == 1_800
    assert len(mine.noted) == 1  # the action was not sent again


# ── what may be seen by whom ─────────────────────────────────────────────────────────────────────────────


def test_an_internal_note_that_the_ticket_system_would_show_to_customers_is_withdrawn(house, jira):
    mine = house()
    jira.behave(drops_internal=True)
    run = owes(mine)
    mine.post()
    (comment,) = mine.story(run).comments
    assert (comment.state, comment.reason) == (CommentState.UNDELIVERABLE, Reason.MADE_PUBLIC)
    assert jira.comments() == []


def test_where_the_story_stands_is_told_in_every_dress_to_those_who_may_look(house, desks, source):
    mine = house(CONSOLE="open", PUBLIC_URL="http://127.0.0.1:8080")
    run = owes(mine, source)
    (owed,) = mine.story(run).comments
    assert f"http://127.0.0.1:8080/runs/{run}" in owed.owed.text
    mine.post()
    assert mine.told(run) == [CommentState.POSTED]
    assert any(f"http://127.0.0.1:8080/runs/{run}" in str(each) for each in desks[source].comments())
    public = owes(mine, source, style=CommentStyle(visibility=Visibility.PUBLIC))
    assert "8080" not in mine.story(public).comments[0].owed.text


@pytest.mark.parametrize(
    "settings",
    [
        {"CONSOLE": "open"},
        {"PUBLIC_URL": "http://127.0.0.1:8080"},
        # Nobody elsewhere gets into an open console.
        {"CONSOLE": "open", "PUBLIC_URL": "https://bridge.example.com"},
    ],
)
def test_nothing_is_told_of_a_console_that_nobody_could_open(house, settings):
    mine = house(**settings)
    run = owes(mine)
    assert "Details" not in mine.story(run).comments[0].owed.text


def test_a_public_comment_is_public(house, jira):
    mine = house()
    run = owes(mine, style=CommentStyle(visibility=Visibility.PUBLIC))
    mine.post()
    assert mine.told(run) == [CommentState.POSTED]
    assert [comment["internal"] for comment in jira.comments()] == [False]


# ── T3 ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_t3_the_text_is_final_when_it_is_owed_and_fits_however_long_the_answer_is(
    house, nexthink, desks, source
):
    mine = house()
    nexthink.answer(code="engine_error", message="<b>" + "x" * 60_000)
    run = owes(mine, source)
    (owed,) = mine.story(run).comments
    nexthink.call("POST", "reset")
    mine.post()
    assert mine.told(run) == [CommentState.POSTED]
    (after,) = mine.story(run).comments
    assert after.owed.text == owed.owed.text
    assert standing(desks[source], run) == 1
