"""What the Table API shows is looked at again, row by row, for it ignores what it does not understand."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bridge.errors import Reason
from bridge.models import ApprovalState, Change, FetchedTicket, HttpRequest, NotRead, Person, TicketRef
from bridge.ticketing.servicenow import ServiceNow

SINCE = datetime(2026, 5, 28, 20, 0, tzinfo=UTC)
SYS_ID, OTHER = "9d385017c611228701d22104cc95c371", "a" * 32
NEWER, OLDER = "2026-05-28 20:26:40", "2026-05-28 19:00:00"
NOTHING: dict[str, Any] = {"result": []}
Told = Callable[..., Any]


@pytest.fixture
def audited(servicenow: ServiceNow) -> ServiceNow:
    return ServiceNow(dataclasses.replace(servicenow.config, history="sys_audit"))


def both(value: str, display: str | None = None) -> dict[str, str]:
    return {"display_value": value if display is None else display, "value": value}


def record(**columns: Any) -> dict[str, Any]:
    known = {
        "sys_id": both(SYS_ID),
        "number": both("INC0010001"),
        "active": both("true"),
        "state": both("2", "In Progress"),
        "sys_mod_count": both("5"),
        "sys_created_on": both(OLDER, "28/05/2026 21:00:00"),
        "caller_id": both("b" * 32, "Ada"),
        "work_notes": both("", "28/05/2026 22:26:40 - Bo (Work notes)\nsecret"),
    }
    return {"result": known | columns}


def behind(**columns: Any) -> dict[str, Any]:
    return {"result": {"sys_id": both(SYS_ID), "sys_mod_count": both("5")} | columns}


def audit(number: int, **columns: str) -> dict[str, str]:
    row = {
        "sys_id": f"{number:032x}",
        "documentkey": SYS_ID,
        "fieldname": "state",
        "oldvalue": "1",
        "newvalue": "2",
        "user": "bo",
        "record_checkpoint": str(number),
        "sys_created_on": NEWER,
    }
    return row | columns


def query_of(request: HttpRequest) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}


def test_a_record_is_asked_for_with_both_values_and_then_behind_its_references(
    audited: ServiceNow, ticket: TicketRef, told: Told
) -> None:
    users = {"result": [{"sys_id": "c" * 32, "user_name": "Bo", "email": "", "name": "Bo Agent"}]}
    named = {"caller_id.user_name": both("ada"), "caller_id.email": both(""), "assigned_to.email": both("")}
    read, requests = told(
        audited.fetch_ticket(ticket, SINCE),
        record(),
        behind(**named),
        {"result": [audit(5)]},
        NOTHING,
        users,
    )
    assert isinstance(read, FetchedTicket)
    assert [urlsplit(request.url).path for request in requests] == [
        f"/api/now/table/incident/{SYS_ID}",
        f"/api/now/table/incident/{SYS_ID}",
        "/api/now/table/sys_audit",
        "/api/now/table/sys_journal_field",
        "/api/now/table/sys_user",
    ]
    assert query_of(requests[0])["sysparm_display_value"] == "all"
    assert "sysparm_fields" not in query_of(requests[0])
    assert read.fields["caller_id.user_name"] == "ada"
    assert "assigned_to.email" not in read.fields
    assert "work_notes" not in read.fields
    assert read.created_at == datetime(2026, 5, 28, 19, 0, tzinfo=UTC)
    (entry,) = read.history
    assert entry.changes == (Change(name="state", before="1", after="In Progress"),)
    assert entry.actor == Person(id="c" * 32, name="Bo Agent", login="Bo")


@pytest.mark.parametrize(
    "answers",
    [
        [record(sys_id=both(OTHER))],
        [record(sys_mod_count=both(""))],
        [{"result": [record()["result"]]}],
        [record(), behind(sys_mod_count=both("6"))],
        [record(), behind(sys_id=both(OTHER))],
        [record(active=both("")), behind()],
    ],
)
def test_a_record_that_is_not_shown_whole_and_in_one_state_is_not_read(
    audited: ServiceNow, ticket: TicketRef, told: Told, answers: list[Any]
) -> None:
    read, _ = told(audited.fetch_ticket(ticket, SINCE), *answers)
    assert isinstance(read, NotRead)
    assert not read.gone


def test_a_strangers_audit_and_notes_are_left_out(audited: ServiceNow, ticket: TicketRef, told: Told) -> None:
    note = {"sys_id": "e" * 32, "element": "comments", "sys_created_on": NEWER, "sys_created_by": "bo"}
    read, _ = told(
        audited.fetch_ticket(ticket, SINCE),
        record(),
        behind(),
        {"result": [audit(5, documentkey=OTHER)]},
        {"result": [note | {"element_id": OTHER}, note | {"element_id": SYS_ID, "element": "u_other"}]},
    )
    assert (read.history, read.comments) == ((), ())


def test_one_update_of_several_columns_is_one_entry_without_bookkeeping_and_notes(
    audited: ServiceNow, ticket: TicketRef, told: Told
) -> None:
    rows = [
        audit(1, record_checkpoint="5", fieldname=name) | {"sys_id": f"{number:032x}", "newvalue": "x"}
        for number, name in enumerate(("priority", "state", "work_notes", "sys_updated_on"))
    ]
    read, _ = told(
        audited.fetch_ticket(ticket, SINCE), record(), behind(), {"result": rows}, NOTHING, NOTHING
    )
    (entry,) = read.history
    assert entry.key == "count:5"
    assert {change.name for change in entry.changes} == {"priority", "state"}


def test_two_names_for_one_update_are_nobody(audited: ServiceNow, ticket: TicketRef, told: Told) -> None:
    rows = [
        audit(1, record_checkpoint="5"),
        audit(2, record_checkpoint="5", user="eve", fieldname="priority"),
    ]
    read, _ = told(audited.fetch_ticket(ticket, SINCE), record(), behind(), {"result": rows}, NOTHING)
    assert read.history[0].actor == Person()


def test_an_update_without_a_count_is_named_by_who_and_when(
    audited: ServiceNow, ticket: TicketRef, told: Told
) -> None:
    rows = [audit(1, record_checkpoint="")]
    read, _ = told(
        audited.fetch_ticket(ticket, SINCE), record(), behind(), {"result": rows}, NOTHING, NOTHING
    )
    assert read.history[0].key == f"at:{NEWER}:bo"


@pytest.mark.parametrize(
    ("user", "actor"),
    [
        ({"user.user_name": "bo", "user_id": "x"}, Person(login="bo")),
        ({"user_id": "bo"}, Person(login="bo")),
        ({"user_id": "c" * 32}, Person(id="c" * 32)),
        ({"user_name": "Bo Agent"}, Person()),
    ],
)
def test_a_line_of_the_history_names_a_user_by_login_or_identifier_never_by_a_shown_name(
    servicenow: ServiceNow, ticket: TicketRef, told: Told, user: dict[str, str], actor: Person
) -> None:
    system = ServiceNow(dataclasses.replace(servicenow.config, history="sys_history_line"))
    line = {"set.id": SYS_ID, "field": "state", "old_value": "1", "new_value": "2", "update": "5"}
    # The same line stands in the set of every language.
    lines = [line | user | {"sys_id": f"{n:032x}", "update_time": NEWER} for n in range(2)]
    users = [NOTHING] if actor.login else []
    read, _ = told(system.fetch_ticket(ticket, SINCE), record(), behind(), {"result": lines}, NOTHING, *users)
    (entry,) = read.history
    assert (entry.key, entry.actor, len(entry.changes)) == ("count:5", actor, 1)


def test_rows_are_asked_for_from_the_newest_until_one_is_older(
    audited: ServiceNow, ticket: TicketRef, told: Told
) -> None:
    first = {"result": [audit(number) for number in range(300, 200, -1)]}
    last = {
        "result": [audit(201), audit(200), *(audit(n, sys_created_on=OLDER) for n in range(199, 101, -1))]
    }
    read, requests = told(
        audited.fetch_ticket(ticket, SINCE), record(), behind(), first, last, NOTHING, NOTHING
    )
    assert [entry.key for entry in read.history] == [f"count:{number}" for number in range(200, 301)]
    query = query_of(requests[3])
    assert query["sysparm_offset"] == "100"
    # Whichever zone the platform reads this in, it is earlier.
    bound = f"sys_created_on>={SINCE - timedelta(days=1):%Y-%m-%d %H:%M:%S}"
    assert query["sysparm_query"] == f"documentkey={SYS_ID}^{bound}^ORDERBYDESCsys_created_on"
    assert "javascript" not in query["sysparm_query"]


@pytest.mark.parametrize("row", [{"sys_id": "x"}, {"sys_created_on": NEWER}, "row"])
def test_a_row_without_its_time_or_identifier_leaves_the_history_unread(
    audited: ServiceNow, ticket: TicketRef, told: Told, row: Any
) -> None:
    read, _ = told(audited.fetch_ticket(ticket, SINCE), record(), behind(), {"result": [row]})
    assert isinstance(read, NotRead)


def test_variables_are_looked_at_again_and_missing_where_they_are_closed_to_us(
    servicenow: ServiceNow, ticket: TicketRef, told: Told
) -> None:
    item = dataclasses.replace(ticket, table="sc_req_item")
    name = "sc_item_option.item_option_new.name"
    row = {"request_item": both(SYS_ID), name: both("software"), "sc_item_option.value": both("1", "7-Zip")}
    rows = {"result": [row, row | {"request_item": both(OTHER), name: both("stolen")}]}
    read, _ = told(servicenow.fetch_ticket(item, SINCE), record(), behind(), rows, NOTHING)
    assert read.fields["variables.software"] == "7-Zip"
    assert "variables.stolen" not in read.fields
    read, _ = told(servicenow.fetch_ticket(item, SINCE), record(), behind(), (403, {}), NOTHING)
    assert not any(name.startswith("variables.") for name in read.fields)


def test_groups_of_somebody_else_are_left_out(servicenow: ServiceNow, told: Told) -> None:
    rows = {
        "result": [
            {"user.user_name": "BO", "group.name": "CAB"},
            {"user.user_name": "eve", "group.name": "Everyone"},
            {"user.user_name": "bo", "group.name": ""},
        ]
    }
    assert told(servicenow.fetch_groups(Person(login="bo")), rows)[0] == ("CAB",)


def test_a_list_of_groups_that_may_be_cut_is_not_read(servicenow: ServiceNow, told: Told) -> None:
    rows = {"result": [{"user": OTHER, "group.name": "CAB"}] * 1_000}
    assert told(servicenow.fetch_groups(Person(id=OTHER)), rows)[0].reason is Reason.ANSWER_TOO_LARGE


def approval(**columns: str) -> dict[str, str]:
    row = {
        "sysapproval": SYS_ID,
        "document_id": "",
        "state": "approved",
        "approver": "c" * 32,
        "approver.user_name": "bo",
        "approver.email": "",
        "approver.name": "Bo Agent",
        "sys_updated_by": "BO",
        "sys_updated_on": NEWER,
        "sysapproval.approval": "approved",
    }
    return row | columns


@pytest.mark.parametrize(
    ("columns", "state", "final"),
    [
        ({}, ApprovalState.APPROVED, True),
        ({"sysapproval.approval": "requested"}, ApprovalState.APPROVED, False),
        (
            {"sysapproval": "", "document_id": SYS_ID, "sysapproval.approval": ""},
            ApprovalState.APPROVED,
            False,
        ),
        ({"sys_updated_by": "admin"}, ApprovalState.ASKED, False),
        ({"approver.user_name": "", "sys_updated_by": ""}, ApprovalState.ASKED, False),
        ({"state": "rejected", "sys_updated_by": "admin"}, ApprovalState.DECLINED, True),
        ({"state": "requested"}, ApprovalState.ASKED, False),
        ({"state": "cancelled"}, None, False),
        ({"state": "Approved"}, None, False),
        ({"sysapproval": OTHER}, None, False),
    ],
)
def test_l3_an_approval_counts_where_its_approver_gave_it(
    servicenow: ServiceNow,
    ticket: TicketRef,
    told: Told,
    columns: dict[str, str],
    state: ApprovalState | None,
    final: bool,
) -> None:
    read, (request,) = told(servicenow.fetch_approvals(ticket), {"result": [approval(**columns)]})
    assert [(each.state, each.final) for each in read] == ([] if state is None else [(state, final)])
    assert query_of(request)["sysparm_query"] == f"sysapproval={SYS_ID}^ORdocument_id={SYS_ID}"


def test_every_table_of_the_source_is_asked_what_changed(servicenow: ServiceNow, told: Told) -> None:
    system = ServiceNow(dataclasses.replace(servicenow.config, tables=("incident", "problem")))
    changed = {"sys_id": SYS_ID, "number": "INC0010001", "sys_updated_on": NEWER}
    older = {"sys_id": OTHER, "number": "PRB1", "sys_updated_on": OLDER}
    (found,), requests = told(system.fetch_changed(SINCE), {"result": [changed]}, {"result": [older]})
    assert (found.ref.table, found.ref.uid, found.ref.key) == ("incident", SYS_ID, "INC0010001")
    assert found.at == datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC)
    assert [urlsplit(request.url).path for request in requests] == [
        "/api/now/table/incident",
        "/api/now/table/problem",
    ]


def test_a_changed_row_without_a_sys_id_is_not_guessed_at(servicenow: ServiceNow, told: Told) -> None:
    row = {"sys_id": "../x", "number": "INC1", "sys_updated_on": NEWER}
    assert isinstance(told(servicenow.fetch_changed(SINCE), {"result": [row]})[0], NotRead)
