"""Changes of a ticket after an outcome: behind its comment, once, only what differs, never lost unseen."""

from typing import Any

import pytest

from bridge.errors import Reason
from bridge.models import CommentState, RunState, WriteBack

GROUP = "Endpoint on call"


def change(outcome: RunState = RunState.ANSWERED, **wanted: str) -> WriteBack:
    return WriteBack(outcome=outcome, **wanted)


def changes(mine: Any, run: str) -> list[tuple[CommentState, str | None]]:
    """Say what became of the changes that a run owes."""
    return [(c.state, c.posted_id or c.detail) for c in mine.story(run).comments if c.change]


def writes(desk: Any, method: str, path: str) -> list[int]:
    """List the answers to the writes of one kind that the ticket system saw."""
    return [
        seen["status"]
        for seen in desk.requests()
        if seen["method"] == method and seen["path"].split("?")[0].endswith(path)
    ]


# ── ServiceNow ───────────────────────────────────────────────────────────────────────────────────────────


def record_of(servicenow: Any, mine: Any, run: str) -> dict[str, str]:
    """Return the columns of a run's record as people see them."""
    rows = servicenow.call("GET", f"records/incident/{mine.story(run).run.ticket.uid}")["columns"]
    return {name: column["display"] for name, column in rows.items()}


def test_a_record_is_changed_in_one_write_behind_its_comment(house, servicenow):
    mine = house()
    wanted = change(state="On Hold", assign_group=GROUP, assign_to="Ada Example")
    run = mine.ask("servicenow", after=(wanted, change(RunState.REFUSED, state="Canceled")))
    mine.work()
    assert mine.occasions(run) == ["answered", "after"]
    mine.post()
    assert changes(mine, run) == [(CommentState.POSTED, "assignment_group, assigned_to, state")]
    record = record_of(servicenow, mine, run)
    assert (record["state"], record["assignment_group"], record["assigned_to"]) == (
        "On Hold",
        GROUP,
        "Ada Example",
    )
    patches = [seen for seen in servicenow.requests() if seen["method"] == "PATCH"]
    assert len(patches) == 2  # the note, then the change
    assert "sysparm_input_display_value" not in patches[0]["path"]


def test_what_the_record_shows_already_is_not_written(house, servicenow):
    mine = house()
    run = mine.ask("servicenow", after=(change(state="In Progress", assign_to="Bo Agent"),))
    mine.work()
    mine.post()
    assert changes(mine, run) == [(CommentState.POSTED, "nothing to do")]
    assert record_of(servicenow, mine, run)["sys_mod_count"] == "1"  # the note alone


@pytest.mark.parametrize("kind", ["reset_after_read", "reset_mid_body", "garbage"])
def test_a_write_whose_answer_was_lost_is_made_once(house, servicenow, kind):
    mine = house()
    run = mine.ask("servicenow", after=(change(assign_group=GROUP),))
    mine.work()
    servicenow.fault(kind, method="PATCH", body_contains="assignment_group")
    mine.post()
    assert [state for state, _ in changes(mine, run)] == [CommentState.OWED]
    assert record_of(servicenow, mine, run)["assignment_group"] == GROUP
    mine.later(seconds=60)
    mine.post()
    assert [state for state, _ in changes(mine, run)] == [CommentState.OWED]  # it may still arrive
    mine.later(seconds=70)
    mine.post()
    assert changes(mine, run) == [(CommentState.POSTED, "nothing to do")]
    assert record_of(servicenow, mine, run)["sys_mod_count"] == "2"
    assert mine.state(run) is RunState.ANSWERED
    assert len(mine.calls(run)) == 1  # the action itself is never sent again


def test_a_name_that_nobody_bears_is_undeliverable_though_the_write_was_answered_with_200(house, servicenow):
    mine = house()
    run = mine.ask("servicenow", after=(change(assign_group="No such group"),))
    mine.work()
    mine.post()
    ((state, detail),) = changes(mine, run)
    assert state is CommentState.UNDELIVERABLE
    assert "assignment_group was set to 'No such group' without an error" in str(detail)


def test_resolving_without_a_close_code_is_refused_by_the_data_policy(house, servicenow):
    mine = house()
    run = mine.ask("servicenow", after=(change(state="Resolved"),))
    mine.work()
    mine.post()
    ((state, detail),) = changes(mine, run)
    assert state is CommentState.UNDELIVERABLE
    assert "Data Policy Exception" in str(detail)
    assert mine.told(run) == [CommentState.POSTED, CommentState.UNDELIVERABLE]


def test_a_record_that_was_closed_meanwhile_is_left_as_it_is(house, servicenow):
    mine = house()
    run = mine.ask("servicenow", after=(change(state="On Hold"),))
    key = mine.story(run).run.ticket.key
    closing = {"state": {"value": "7", "display": "Closed"}, "active": {"value": "false"}}
    target = {"url": "http://127.0.0.1:1/"}
    servicenow.webhook(table="incident", number=key, columns=closing, target=target, wait=True)
    mine.work()
    mine.post()
    assert [comment.reason for comment in mine.story(run).comments] == [None, Reason.TICKET_CLOSED]
    assert record_of(servicenow, mine, run)["state"] == "Closed"


def test_values_and_names_are_written_apart(house, servicenow):
    mine = house()
    run = mine.ask("servicenow", after=(change(state="3", assign_group=GROUP),))
    mine.work()
    mine.post()
    assert changes(mine, run) == [(CommentState.POSTED, "state, assignment_group")]
    assert record_of(servicenow, mine, run)["state"] == "On Hold"


# ── every ticket system ──────────────────────────────────────────────────────────────────────────────────


def test_another_outcome_changes_nothing(house):
    mine = house()
    run = mine.ask("servicenow", after=(change(RunState.REFUSED, assign_group=GROUP),))
    mine.work()
    assert mine.occasions(run) == ["answered"]


def test_an_unknown_outcome_reaches_the_group_that_is_paged(house, nexthink, servicenow):
    mine = house()
    run = mine.ask("servicenow", after=(change(RunState.UNKNOWN, assign_group=GROUP),))
    nexthink.fault("reset_after_read", path="/api/remoteaction/*")
    mine.work()
    assert mine.state(run) is RunState.UNKNOWN
    mine.post()
    assert record_of(servicenow, mine, run)["assignment_group"] == GROUP


def test_a_change_is_tried_again_while_the_ticket_system_is_away_and_given_up_in_the_open(house, servicenow):
    mine = house()
    run = mine.ask("servicenow", after=(change(assign_group=GROUP),))
    mine.work()
    servicenow.fault("status", status=503, path="/api/now/table/incident/*", method="GET", times=1_000)
    mine.post()
    assert mine.told(run) == [CommentState.POSTED, CommentState.OWED]
    for _ in range(200):
        mine.later(hours=1)
        mine.post()
    assert mine.told(run) == [CommentState.POSTED, CommentState.UNDELIVERABLE]


def test_a_ticket_that_is_gone_takes_no_change(house, servicenow):
    mine = house()
    run = mine.ask("servicenow", after=(change(assign_group=GROUP),))
    mine.work()
    servicenow.call("DELETE", f"records/incident/{mine.story(run).run.ticket.uid}")
    mine.post()
    assert [(c.state, c.reason) for c in mine.story(run).comments] == [
        (CommentState.UNDELIVERABLE, Reason.NOT_FOUND)
    ] * 2
