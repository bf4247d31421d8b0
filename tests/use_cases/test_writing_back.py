"""Changes of a ticket after an outcome: behind its comment, once, only what differs, never lost unseen."""

from typing import Any

import pytest

from bridge.errors import Reason
from bridge.ledger import pausing
from bridge.ledger.people import Act
from bridge.models import CommentState, PauseScope, RunState, WriteBack

GROUP = "Endpoint on call"
ENDS = (
    RunState.ANSWERED,
    RunState.REFUSED,
    RunState.UNKNOWN,
    RunState.EXPIRED,
    RunState.CANCELLED,
    RunState.DEAD,
)


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


# ── Jira ─────────────────────────────────────────────────────────────────────────────────────────────────


PEOPLE = {"jira": "712020:bo", "datacenter": "bo"}


def issue_of(jira: Any, mine: Any, run: str) -> dict[str, Any]:
    fields: dict[str, Any] = jira.call("GET", f"issues/{mine.story(run).run.ticket.key}")["fields"]
    return fields


@pytest.mark.parametrize("source", ["jira", "datacenter"])
def test_an_issue_gets_its_label_its_assignee_and_its_status_behind_the_comment(house, jira, source):
    mine = house()
    wanted = change(state="In Progress", assign_to=PEOPLE[source], label="bridge")
    run = mine.ask(source, after=(wanted,))
    mine.work()
    mine.post()
    assert changes(mine, run) == [(CommentState.POSTED, "label, assignee, status")]
    issue = issue_of(jira, mine, run)
    assert (issue["status"]["name"], issue["labels"]) == ("In Progress", ["bridge"])
    assert issue["assignee"]["displayName"] == "Bo Approver"
    order = [seen["path"].rsplit("/", 1)[1] for seen in jira.requests() if seen["method"] in {"POST", "PUT"}]
    assert order == ["comment", mine.story(run).run.ticket.uid, "assignee", "transitions"]


def test_what_the_issue_shows_already_is_not_written(house, jira):
    mine = house()
    run = mine.ask("jira", after=(change(state="approved"),))
    mine.work()
    mine.post()
    assert changes(mine, run) == [(CommentState.POSTED, "nothing to do")]
    assert writes(jira, "POST", "/transitions") == []


def test_a_transition_whose_answer_was_lost_is_made_once(house, jira):
    mine = house()
    run = mine.ask("jira", after=(change(state="Done", label="bridge"),))
    mine.work()
    jira.fault("reset_after_read", method="POST", path="*/transitions")
    mine.post()
    assert [state for state, _ in changes(mine, run)] == [CommentState.OWED]
    mine.later(seconds=130)
    mine.post()
    assert changes(mine, run) == [(CommentState.POSTED, "nothing to do")]
    assert len(writes(jira, "POST", "/transitions")) == 1
    assert issue_of(jira, mine, run)["status"]["name"] == "Done"
    assert len(mine.calls(run)) == 1


def test_a_part_that_is_refused_keeps_no_other_part_back_and_is_shown(house, jira):
    mine = house()
    jira.behave(labels_off_screen=True)
    run = mine.ask("jira", after=(change(state="In Progress", assign_to="nobody", label="bridge"),))
    mine.work()
    mine.post()
    ((state, detail),) = changes(mine, run)
    assert state is CommentState.UNDELIVERABLE
    assert "appropriate screen" in str(detail)
    assert "cannot be assigned" in str(detail)
    assert issue_of(jira, mine, run)["status"]["name"] == "In Progress"


def test_a_status_to_which_no_transition_leads_is_undeliverable(house, jira):
    mine = house()
    run = mine.ask("jira", after=(change(state="Escalated"),))
    mine.work()
    mine.post()
    detail = "our account has no transition from Approved to Escalated"
    assert changes(mine, run) == [(CommentState.UNDELIVERABLE, detail)]
    assert mine.told(run) == [CommentState.POSTED, CommentState.UNDELIVERABLE]


def test_a_transition_whose_screen_wants_more_is_undeliverable_in_the_words_of_jira(house, jira):
    mine = house()
    jira.behave(screens_ask=True)
    run = mine.ask("jira", after=(change(state="Closed"),))
    mine.work()
    mine.post()
    ((state, detail),) = changes(mine, run)
    assert (state, "valid resolution" in str(detail)) == (CommentState.UNDELIVERABLE, True)


def test_a_transition_that_meets_another_change_is_tried_again(house, jira):
    mine = house()
    run = mine.ask("jira", after=(change(state="In Progress"),))
    mine.work()
    jira.fault("status", status=409, method="POST", path="*/transitions")
    mine.post()
    assert [state for state, _ in changes(mine, run)] == [CommentState.OWED]
    mine.later(minutes=5)
    mine.post()
    assert changes(mine, run) == [(CommentState.POSTED, "status")]


def test_an_issue_that_was_closed_meanwhile_is_left_as_it_is(house, jira):
    mine = house()
    run = mine.ask("jira", after=(change(state="In Progress", label="bridge"),))
    key = mine.story(run).run.ticket.key
    jira.call("POST", "changes", {"key": key, "fields": {"status": {"id": "10103", "name": "Done"}}})
    mine.work()
    mine.post()
    assert [comment.reason for comment in mine.story(run).comments] == [None, Reason.TICKET_CLOSED]
    issue = issue_of(jira, mine, run)
    assert (issue["status"]["name"], issue["labels"]) == ("Done", [])


# ── every ticket system ──────────────────────────────────────────────────────────────────────────────────


def test_another_outcome_changes_nothing(house):
    mine = house()
    run = mine.ask("servicenow", after=(change(RunState.REFUSED, assign_group=GROUP),))
    mine.work()
    assert mine.occasions(run) == ["answered"]


EVERY = tuple(change(outcome, label="x") for outcome in (*ENDS, RunState.HELD))


def outcomes(mine: Any, run: str) -> list[RunState]:
    """List the outcomes whose changes a run owes, oldest first."""
    return [c.change.outcome for c in mine.story(run).comments if c.change]


def test_the_end_of_a_run_that_became_too_old_owes_its_change(house):
    mine = house()
    run = mine.ask(after=EVERY)
    mine.later(hours=25)
    mine.work()
    assert outcomes(mine, run) == [RunState.EXPIRED]


def test_a_person_who_cancels_a_run_owes_its_change(house):
    mine = house()
    run = mine.ask(after=EVERY)
    mine.operations.cancel(run, act=Act(author="bo", reason="not wanted"))
    assert outcomes(mine, run) == [RunState.CANCELLED]


def test_a_run_that_waits_owes_its_change_once_and_then_the_one_of_its_end(house):
    mine = house()
    run = mine.ask(after=EVERY)
    everything = {"scope": PauseScope.EVERYTHING, "value": "", "author": "bo"}
    for _ in range(2):
        mine.pause(PauseScope.EVERYTHING)
        mine.work()
        assert mine.state(run) is RunState.HELD
        mine.ledger.write(pausing.lift, **everything, why="over")
        mine.operations.release(run, act=Act(author="bo", reason="go on"))
    mine.work()
    assert outcomes(mine, run) == [RunState.HELD, RunState.ANSWERED]


def test_what_a_person_says_of_an_unknown_run_owes_the_change_of_that_outcome(house, nexthink):
    mine = house()
    run = mine.ask(after=EVERY)
    nexthink.fault("reset_after_read", path="/api/remoteaction/*")
    mine.work()
    act = Act(author="bo", reason="seen in Nexthink")
    mine.operations.resolve(run, ran=True, send_again=False, attempt=None, act=act)
    assert outcomes(mine, run) == [RunState.UNKNOWN, RunState.ANSWERED]


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
