"""How a record is changed: what is written by name and by value, and that a 200 alone is not believed."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bridge.errors import Reason
from bridge.models import HttpRequest, HttpResponse, NotPosted, Posted, PostFailure, RunState, WriteBack
from bridge.ticketing.servicenow import ServiceNow

UID = "9d385017c611228701d22104cc95c371"
GROUP = "0000000000000000000000000000000a"


def change(**wanted: str) -> WriteBack:
    return WriteBack(outcome=RunState.REFUSED, **wanted)


def record(**columns: tuple[str, str]) -> HttpResponse:
    """Return a record's answer; columns are (value, display value)."""
    every = {"sys_id": (UID, UID), "active": ("true", "true"), **columns}
    shown = {name: {"value": value, "display_value": name_} for name, (value, name_) in every.items()}
    return HttpResponse(status=200, body=json.dumps({"result": shown}).encode())


@pytest.fixture
def run(servicenow: ServiceNow, ticket: Any) -> Callable[..., tuple[list[HttpRequest], Posted | NotPosted]]:
    """Hold the conversation of a change with given answers; return the requests and what it came to."""

    def hold(wanted: WriteBack, *given: HttpResponse) -> tuple[list[HttpRequest], Posted | NotPosted]:
        changing = servicenow.change_ticket(ticket, wanted)
        requests = [next(changing)]
        for response in given:
            try:
                requests.append(changing.send(response))
            except StopIteration as end:
                return requests, end.value
        raise AssertionError(f"more is asked: {requests[-1].method} {requests[-1].url}")

    return hold


def test_names_go_as_display_values_and_all_of_them_in_one_request(run):
    before = record(state=("2", "In Progress"), assignment_group=("", ""), assigned_to=("", ""))
    after = record(state=("3", "On Hold"), assignment_group=(GROUP, "Desk"))
    (look, write), end = run(change(state="On Hold", assign_group="Desk"), before, after)
    assert end == Posted(id="assignment_group, state")
    assert (look.method, write.method) == ("GET", "PATCH")
    assert parse_qs(urlsplit(write.url).query)["sysparm_input_display_value"] == ["true"]
    assert json.loads(write.body) == {"assignment_group": "Desk", "state": "On Hold"}
    assert dict(write.headers)["Accept"] == dict(write.headers)["Content-Type"] == "application/json"


def test_a_number_and_a_sys_id_go_as_they_are(run):
    before = record(state=("2", "In Progress"), assignment_group=("", ""))
    after = record(state=("-5", "New"), assignment_group=(GROUP, "Desk"))
    (_, write), end = run(change(state="-5", assign_group=GROUP), before, after)
    assert end == Posted(id="assignment_group, state")
    assert "sysparm_input_display_value" not in write.url


def test_what_stands_by_value_or_by_name_is_not_written(run):
    shown = record(state=("3", "On Hold"), assignment_group=(GROUP, "Desk"))
    for wanted in (change(state="on hold", assign_group=GROUP), change(state="3", assign_group="Desk")):
        requests, end = run(wanted, shown)
        assert (len(requests), end) == (1, Posted(id="nothing to do"))


@pytest.mark.parametrize("after", [{"assignment_group": ("", "")}, {}])
def test_a_200_that_does_not_show_what_was_written_is_a_refusal(run, after):
    _, end = run(change(assign_group="Nobody"), record(assignment_group=("", "")), record(**after))
    assert (end.failure, end.reason) == (PostFailure.PERMANENT, Reason.REJECTED)
    assert end.detail == "assignment_group was set to 'Nobody' without an error, but the record shows empty"


def test_a_record_that_is_not_active_is_left_alone_unless_nothing_differs(run):
    closed = record(active=("false", "false"), state=("7", "Closed"))
    requests, end = run(change(state="On Hold"), closed)
    assert (len(requests), end.reason) == (1, Reason.TICKET_CLOSED)
    assert run(change(state="Closed"), closed)[1] == Posted(id="nothing to do")


def test_the_data_policy_is_quoted(run):
    body = {"error": {"message": "Operation Failed", "detail": "Data Policy Exception: close_code"}}
    refused = HttpResponse(status=403, body=json.dumps(body).encode())
    _, end = run(change(state="Resolved"), record(state=("2", "In Progress")), refused)
    assert (end.failure, end.reason) == (PostFailure.PERMANENT, Reason.FORBIDDEN)
    assert "Data Policy Exception" in end.detail


def test_another_record_than_the_one_asked_for_is_not_believed(run):
    _, end = run(change(state="On Hold"), record(sys_id=("f" * 32, "f" * 32)))
    assert (end.failure, end.reason) == (PostFailure.LATER, Reason.ANSWER_UNREADABLE)


def test_a_label_is_refused(run):
    _, end = run(change(label="bridge"), record())
    assert end.detail == "the Table API of ServiceNow sets no labels"
