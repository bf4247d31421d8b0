"""Tickets are read back from simulated systems that keep a past, people, groups and approvals."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.errors import Reason
from bridge.models import ApprovalState, Change, FetchedTicket, Ignored, NotRead, Person, TicketRef
from bridge.sandbox.jira.site import PERSON, Deployment
from bridge.sandbox.scenario import REQUESTER, REQUESTER_DATACENTER

DESKS = ("cloud", "data center, token")
BO = {"cloud": PERSON[Deployment.CLOUD], "data center, token": PERSON[Deployment.DATACENTER]}
ADA = {"cloud": REQUESTER, "data center, token": REQUESTER_DATACENTER}
TO_DONE = {"field": "status", "before": "Open", "after": "Done", "before_id": "1", "after_id": "3"}
IN_PROGRESS = {"value": "2", "display": "In Progress"}

JiraAt = Callable[..., Any]
ServiceNowAt = Callable[..., Any]


@pytest.fixture
def since() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture(params=DESKS)
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def close(desk: Any, actor: dict[str, Any], **more: Any) -> Any:
    """Set the issue to done in somebody's name."""
    order = {"key": "SUP-101", "fields": {"status": {"name": "Done"}}, "changes": [TO_DONE], "actor": actor}
    return desk.control.call("POST", "changes", order | more)


def work(desk: Any, by: str = "bo.agent", **more: Any) -> Any:
    """Take the incident into work in somebody's name."""
    order = {"table": "incident", "number": "INC0010001", "columns": {"state": IN_PROGRESS}, "by": by}
    return desk.control.call("POST", "changes", order | more)


# ── every system ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_ticket_is_read_in_the_shapes_that_its_webhooks_have(desk: Any, since: datetime) -> None:
    read = desk.read(desk.system.fetch_ticket(desk.ticket, since))
    assert isinstance(read, FetchedTicket)
    assert (read.ref.uid, read.ref.key, read.ref.table) == (
        desk.ticket.uid,
        desk.ticket.key,
        desk.ticket.table,
    )
    assert read.ticket.summary == "A summary"
    assert read.ticket.person.name == "Ada Example"
    assert not read.closed
    assert (read.history, read.comments) == ((), ())
    assert [role for role, _ in read.roles] == ["person", "reporter", "assignee"]


def test_what_is_read_is_read_like_a_webhook_of_the_same_ticket(
    desk: Any, since: datetime, delivered: Callable[[Any], Any]
) -> None:
    read = desk.read(desk.system.fetch_ticket(desk.ticket, since))
    event = desk.system.parse_event(delivered(read.payload))
    assert (event.ref, event.ticket, event.fields) == (read.ref, read.ticket, read.fields)


def test_a_bare_body_rings_for_the_ticket_and_nothing_else_in_it_is_believed(
    desk: Any, delivered: Callable[[Any], Any]
) -> None:
    bare = (
        {"table": desk.ticket.table, "sys_id": desk.ticket.uid, "number": "INC6", "url": "http://elsewhere"}
        if desk.ticket.table
        else {"issue": {"id": desk.ticket.uid, "key": desk.ticket.key, "self": "http://elsewhere"}}
    )
    rung = desk.system.ring(delivered(bare))
    assert isinstance(rung, TicketRef)
    assert (rung.uid, rung.table) == (desk.ticket.uid, desk.ticket.table)
    assert "elsewhere" not in (rung.url or "")
    assert rung.key != "INC6"


def test_a_ticket_that_does_not_exist_is_gone(desk: Any, since: datetime) -> None:
    other = "9" * 9 if desk.ticket.table is None else "f" * 32
    gone = desk.read(desk.system.fetch_ticket(dataclasses.replace(desk.ticket, uid=other), since))
    assert isinstance(gone, NotRead)
    assert gone.gone
    assert gone.reason is Reason.NOT_FOUND


@pytest.mark.parametrize("uid", ["1/../../myself", "x" * 32, "", "1?x=y"])
def test_no_address_can_be_brought_in_as_an_identifier(desk: Any, since: datetime, uid: str) -> None:
    with pytest.raises(ValueError, match="is addressed by its"):
        desk.read(desk.system.fetch_ticket(dataclasses.replace(desk.ticket, uid=uid), since))


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, Reason.UNAUTHORIZED), (403, Reason.FORBIDDEN), (429, Reason.RATE_LIMITED), (503, None)],
)
def test_a_refusal_is_not_a_ticket_that_is_gone(
    desk: Any, since: datetime, status: int, reason: Reason | None
) -> None:
    desk.control.fault("status", status=status, method="GET", retry_after="7")
    read = desk.read(desk.system.fetch_ticket(desk.ticket, since))
    assert isinstance(read, NotRead)
    assert not read.gone
    assert read.reason is (reason or Reason.SERVER_ERROR)
    if status == 429:
        assert read.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize("fault", ["garbage", "html", "empty"])
def test_an_answer_that_cannot_be_read_leaves_everything_unknown(
    desk: Any, since: datetime, fault: str
) -> None:
    desk.control.fault(fault, method="GET", times=8)
    for conversation in (
        desk.system.fetch_ticket(desk.ticket, since),
        desk.system.fetch_approvals(desk.ticket),
        desk.system.fetch_changed(since),
        desk.system.fetch_groups(Person(id="5" * 32, login="ada")),
    ):
        assert isinstance(desk.read(conversation), NotRead)


def test_nobody_in_particular_has_no_groups_to_read(desk: Any) -> None:
    read = desk.read(desk.system.fetch_groups(Person(name="Ada Example", email="ada@example.com")))
    assert isinstance(read, NotRead)


def test_a_changed_ticket_is_found_by_the_systems_own_time(desk: Any, since: datetime) -> None:
    if desk.ticket.table:
        work(desk)
    else:
        close(desk, BO["cloud"])
    (found,) = desk.read(desk.system.fetch_changed(since))
    assert (found.ref.uid, found.ref.key) == (desk.ticket.uid, desk.ticket.key)
    assert abs(found.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert desk.read(desk.system.fetch_changed(datetime.now(UTC) + timedelta(minutes=1))) == ()


# ── Jira ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_changelog_says_who_changed_what_under_the_number_that_webhooks_carry(
    jira_at: JiraAt, flavour: str, since: datetime
) -> None:
    desk = jira_at(flavour)
    close(desk, ADA[flavour], seconds_ago=7_200)
    made = close(desk, BO[flavour])
    read = desk.read(desk.system.fetch_ticket(desk.ticket, since))
    (entry,) = read.history  # the older one was not asked for
    assert entry.key == f"changelog:{made['change_id']}"
    assert entry.changes == (Change(name="status", before="Open", after="Done"),)
    assert entry.actor.name == "Bo Approver"
    assert entry.actor.identifiers & {"712020:bo", "bo"}
    assert read.closed
    assert desk.system.keeps_history


@pytest.mark.parametrize("changes", [100, 101, 250])
def test_every_change_since_a_time_is_read_however_many_there_are(
    jira_at: JiraAt, flavour: str, since: datetime, changes: int
) -> None:
    desk = jira_at(flavour)
    close(desk, BO[flavour], seconds_ago=7_200)
    numbers = [close(desk, BO[flavour])["change_id"] for _ in range(changes)]
    read = desk.read(desk.system.fetch_ticket(desk.ticket, since))
    assert sorted(entry.key for entry in read.history) == sorted(f"changelog:{n}" for n in numbers)


def test_comments_are_read_with_their_authors(jira_at: JiraAt, flavour: str, since: datetime) -> None:
    desk = jira_at(flavour)
    order = {"key": "SUP-101", "comment": "please", "actor": BO[flavour]}
    made = [desk.control.call("POST", "changes", order)["comment_id"] for _ in range(101)]
    read = desk.read(desk.system.fetch_ticket(desk.ticket, since))
    assert sorted(comment_id for comment_id, _, _ in read.comments) == sorted(made)
    assert {author.name for _, author, _ in read.comments} == {"Bo Approver"}


def test_the_groups_of_a_person_are_told_by_either_deployment(jira_at: JiraAt, flavour: str) -> None:
    desk = jira_at(flavour)
    desk.control.call("PUT", "people", {"person": BO[flavour], "groups": ["approvers", "staff"]})
    bo = Person(id=BO[flavour].get("accountId") or BO[flavour]["key"], login=BO[flavour].get("name"))
    assert desk.read(desk.system.fetch_groups(bo)) == ("approvers", "staff")
    by_key = desk.read(desk.system.fetch_groups(Person(id=bo.id)))
    assert by_key == ("approvers", "staff")
    assert isinstance(desk.read(desk.system.fetch_groups(Person(id="nobody", login="nobody"))), NotRead)


def test_an_approval_is_final_when_none_is_pending_any_more(jira_at: JiraAt, flavour: str) -> None:
    desk = jira_at(flavour)
    assert desk.read(desk.system.fetch_approvals(desk.ticket)) == ()
    order = {"key": "SUP-101", "approvers": [BO[flavour]]}
    first, second = (desk.control.call("POST", "approvals", order)["id"] for _ in range(2))
    bo = BO[flavour].get("accountId") or BO[flavour]["key"]
    desk.control.call("POST", f"approvals/{first}", {"approver": bo, "decision": "approved"})
    decided, open_ = desk.read(desk.system.fetch_approvals(desk.ticket))
    assert (decided.state, decided.final) == (ApprovalState.APPROVED, False)
    assert (open_.state, open_.final, open_.at) == (ApprovalState.ASKED, False, None)
    assert bo in decided.by.identifiers
    desk.control.call("POST", f"approvals/{second}", {"approver": bo, "decision": "approved"})
    told = desk.read(desk.system.fetch_approvals(desk.ticket))
    assert [(each.state, each.final) for each in told] == [(ApprovalState.APPROVED, True)] * 2
    assert all(abs(each.at - datetime.now(UTC)) < timedelta(minutes=1) for each in told)


def test_one_refusal_is_final(jira_at: JiraAt, flavour: str) -> None:
    desk = jira_at(flavour)
    order = {"key": "SUP-101", "approvers": [BO[flavour], ADA[flavour]], "needed": 2}
    first = desk.control.call("POST", "approvals", order)["id"]
    desk.control.call("POST", "approvals", order)
    ada = ADA[flavour].get("accountId") or ADA[flavour]["key"]
    desk.control.call("POST", f"approvals/{first}", {"approver": ada, "decision": "declined"})
    told = desk.read(desk.system.fetch_approvals(desk.ticket))
    assert [each.state for each in told if each.final] == [ApprovalState.ASKED, ApprovalState.DECLINED]


def test_an_issue_that_is_no_request_has_no_approvals_to_tell_and_is_not_gone(jira_at: JiraAt) -> None:
    desk = jira_at("cloud")
    fields = {"summary": "A bug", "status": {"name": "Open"}}
    made = desk.control.call("PUT", "issues", {"key": "DEV-1", "fields": fields, "service_desk": False})
    told = desk.read(desk.system.fetch_approvals(dataclasses.replace(desk.ticket, uid=made["id"])))
    assert isinstance(told, NotRead)
    assert (told.gone, told.reason) == (False, Reason.NOT_FOUND)


def test_recent_changes_are_paged_and_narrowed_by_the_sources_jql(
    jira_at: JiraAt, flavour: str, since: datetime
) -> None:
    desk = jira_at(flavour, reconcile_jql="project = OPS")
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    for number in range(130):
        for project in ("OPS", "OTHER"):
            fields = {"project": {"key": project}, "updated": at, "status": {"name": "Open"}}
            desk.control.call("PUT", "issues", {"key": f"{project}-{number}", "fields": fields})
    found = desk.read(desk.system.fetch_changed(since))
    assert {changed.ref.key for changed in found} == {f"OPS-{number}" for number in range(130)}
    assert [changed.at for changed in found] == sorted(changed.at for changed in found)


# ── ServiceNow ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("table", ["sys_audit", "sys_history_line"])
def test_the_history_says_who_changed_what_and_shows_what_the_record_still_holds(
    servicenow_at: ServiceNowAt, since: datetime, table: str
) -> None:
    desk = servicenow_at(history=table)
    work(desk, columns={"state": {"value": "3", "display": "On Hold"}}, seconds_ago=7_200)
    made = work(desk)
    read = desk.read(desk.system.fetch_ticket(desk.ticket, since))
    (entry,) = read.history
    assert entry.key == f"count:{made['sys_mod_count']}"
    assert entry.changes == (Change(name="state", before="3", after="In Progress"),)
    assert entry.actor == Person(
        id="6816f79cc0a8016401c5a33be04be441", name="Bo Agent", email="bo@example.com", login="bo.agent"
    )
    assert desk.system.keeps_history


def test_without_a_setting_no_history_is_read(servicenow_at: ServiceNowAt, since: datetime) -> None:
    desk = servicenow_at()
    work(desk)
    assert desk.read(desk.system.fetch_ticket(desk.ticket, since)).history == ()
    assert not desk.system.keeps_history


def test_a_history_that_nobody_looked_at_has_no_lines(servicenow_at: ServiceNowAt, since: datetime) -> None:
    desk = servicenow_at(history="sys_history_line")
    desk.control.behave(history_unseen=True)
    work(desk)
    assert desk.read(desk.system.fetch_ticket(desk.ticket, since)).history == ()


def test_a_forbidden_history_is_not_an_empty_one(servicenow_at: ServiceNowAt, since: datetime) -> None:
    desk = servicenow_at(history="sys_audit")
    desk.control.fault("status", status=403, path="*/sys_audit")
    read = desk.read(desk.system.fetch_ticket(desk.ticket, since))
    assert isinstance(read, NotRead)
    assert read.reason is Reason.FORBIDDEN


def test_two_hundred_updates_are_read_page_by_page(servicenow_at: ServiceNowAt, since: datetime) -> None:
    desk = servicenow_at(history="sys_audit")
    for number in range(205):
        work(desk, columns={"u_step": {"value": str(number)}})
    read = desk.read(desk.system.fetch_ticket(desk.ticket, since))
    assert [entry.key for entry in read.history] == [f"count:{number}" for number in range(1, 206)]


def test_the_login_behind_a_reference_is_read_like_the_business_rule_sends_it(
    servicenow_at: ServiceNowAt, since: datetime
) -> None:
    desk = servicenow_at()
    read = desk.read(desk.system.fetch_ticket(desk.ticket, since))
    assert read.fields["caller_id.user_name"] == "ada"
    assert read.ticket.person == Person(
        id="5a5ab0b1c0a8016500000000000000a1", name="Ada Example", email="ada@example.com", login="ada"
    )
    assert dict(read.roles)["assignee"].login == "bo.agent"
    assert dict(read.roles)["reporter"].id == "5137153cc611227c000bbd1bd8cd2005"
    assert not {"work_notes", "comments"} & set(read.fields)


def test_a_record_that_is_not_active_is_closed(servicenow_at: ServiceNowAt, since: datetime) -> None:
    desk = servicenow_at()
    work(desk, columns={"state": {"value": "7", "display": "Closed"}})
    assert desk.read(desk.system.fetch_ticket(desk.ticket, since)).closed


def test_notes_are_read_with_their_authors_where_the_journal_is_open_to_us(
    servicenow_at: ServiceNowAt, since: datetime
) -> None:
    desk = servicenow_at()
    work(desk, columns={"comments": {"value": "please"}})
    read = desk.read(desk.system.fetch_ticket(desk.ticket, since))
    ((_, author, _),) = read.comments
    assert author.login == "bo.agent"
    desk.control.fault("status", status=403, path="*/sys_journal_field")
    assert desk.read(desk.system.fetch_ticket(desk.ticket, since)).comments == ()


def test_somebody_whom_we_may_not_see_is_known_by_the_user_name_alone(
    servicenow_at: ServiceNowAt, since: datetime
) -> None:
    desk = servicenow_at(history="sys_audit")
    work(desk)
    desk.control.behave(hidden_tables=["sys_user"])
    read = desk.read(desk.system.fetch_ticket(desk.ticket, since))
    assert read.history[0].actor == Person(login="bo.agent")


def test_the_variables_of_a_request_item_are_columns(servicenow_at: ServiceNowAt, since: datetime) -> None:
    desk = servicenow_at()
    item = {"number": {"value": "RITM0010002"}, "short_description": {"value": "7-Zip"}}
    made = desk.control.call("PUT", "records", {"table": "sc_req_item", "columns": item})
    columns = {
        "request_item": {"value": made["sys_id"], "reference": "sc_req_item"},
        "sc_item_option.item_option_new.name": {"value": "software"},
        "sc_item_option.value": {"value": "7-Zip"},
    }
    desk.control.call("PUT", "records", {"table": "sc_item_option_mtom", "columns": columns})
    ref = dataclasses.replace(desk.ticket, uid=made["sys_id"], key="RITM0010002", table="sc_req_item")
    read = desk.read(desk.system.fetch_ticket(ref, since))
    assert read.fields["variables.software"] == "7-Zip"


def test_groups_are_told_by_identifier_or_user_name(servicenow_at: ServiceNowAt) -> None:
    desk = servicenow_at()
    person = {"user_name": "cleo", "name": "Cleo", "email": "cleo@example.com", "groups": ["CAB", "Desk"]}
    made = desk.control.call("PUT", "people", person)
    desk.control.call("PUT", "people", {"user_name": "ada", "groups": ["Everyone"]})
    assert desk.read(desk.system.fetch_groups(Person(id=made["sys_id"]))) == ("CAB", "Desk")
    assert desk.read(desk.system.fetch_groups(Person(login="cleo"))) == ("CAB", "Desk")
    assert desk.read(desk.system.fetch_groups(Person(login="bo.agent"))) == ()


@pytest.mark.parametrize(
    "login", ["x^ORuser.user_name=ada", "javascript:gs.getUserName()", " JavaScript:gs.x()", "bo,ada"]
)
def test_a_user_name_cannot_widen_the_question(servicenow_at: ServiceNowAt, login: str) -> None:
    desk = servicenow_at()
    desk.control.call("PUT", "people", {"user_name": "ada", "groups": ["Everyone"]})
    before = len(desk.control.requests())
    assert isinstance(desk.read(desk.system.fetch_groups(Person(login=login))), NotRead)
    assert len(desk.control.requests()) == before


def test_a_user_name_that_is_a_script_is_never_asked_for(
    servicenow_at: ServiceNowAt, since: datetime
) -> None:
    desk = servicenow_at(history="sys_audit")
    script = "javascript:gs.getUserName()"
    work(desk, by=script)
    told = desk.read(desk.system.fetch_ticket(desk.ticket, since))
    assert told.history[0].actor == Person(login=script)
    assert not any("javascript" in seen["path"] for seen in desk.control.requests())


@pytest.fixture
def asked(servicenow_at: ServiceNowAt) -> tuple[Any, str]:
    desk = servicenow_at()
    order = {"table": "incident", "number": "INC0010001", "approver": "bo.agent"}
    return desk, desk.control.call("POST", "approvals", order)["sys_id"]


def test_an_approval_that_its_approver_gave_is_final_with_the_record(asked: tuple[Any, str]) -> None:
    desk, approval = asked
    (open_,) = desk.read(desk.system.fetch_approvals(desk.ticket))
    assert (open_.state, open_.final, open_.by.login) == (ApprovalState.ASKED, False, "bo.agent")
    desk.control.call("POST", f"approvals/{approval}", {"state": "approved"})
    (given,) = desk.read(desk.system.fetch_approvals(desk.ticket))
    assert (given.state, given.final) == (ApprovalState.APPROVED, True)
    assert given.by.login == "bo.agent"
    assert given.by.id == "6816f79cc0a8016401c5a33be04be441"


def test_l3_a_consent_that_somebody_else_wrote_is_not_the_approvers(asked: tuple[Any, str]) -> None:
    desk, approval = asked
    desk.control.call("POST", f"approvals/{approval}", {"state": "approved", "by": "ada"})
    (told,) = desk.read(desk.system.fetch_approvals(desk.ticket))
    assert (told.state, told.final) == (ApprovalState.ASKED, False)


def test_a_rejection_counts_whoever_wrote_it(asked: tuple[Any, str]) -> None:
    desk, approval = asked
    desk.control.call("POST", f"approvals/{approval}", {"state": "rejected", "by": "ada"})
    (told,) = desk.read(desk.system.fetch_approvals(desk.ticket))
    assert (told.state, told.final, told.by.login) == (ApprovalState.DECLINED, True, "ada")


def test_an_approval_that_is_not_needed_any_more_is_not_told(asked: tuple[Any, str]) -> None:
    desk, approval = asked
    desk.control.call("POST", f"approvals/{approval}", {"state": "not_required"})
    assert desk.read(desk.system.fetch_approvals(desk.ticket)) == ()


def test_a_table_that_may_not_be_read_leaves_what_changed_unknown(
    servicenow_at: ServiceNowAt, since: datetime
) -> None:
    desk = servicenow_at(tables=("incident", "problem"))
    desk.control.fault("status", status=403, path="*/problem")
    assert isinstance(desk.read(desk.system.fetch_changed(since)), NotRead)


def test_a_record_of_another_table_does_not_ring(
    servicenow_at: ServiceNowAt, delivered: Callable[[Any], Any]
) -> None:
    desk = servicenow_at(tables=("problem",))
    body = {"table": "incident", "sys_id": desk.ticket.uid}
    assert isinstance(desk.system.ring(delivered(body)), Ignored)
