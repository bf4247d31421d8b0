"""How an issue is changed: which requests are made, in which order, and what each answer means."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from bridge.errors import Reason
from bridge.models import HttpRequest, HttpResponse, NotPosted, Posted, PostFailure, RunState, WriteBack
from bridge.ticketing.jira import Jira

TAKEN = HttpResponse(status=204)


def change(**wanted: str) -> WriteBack:
    return WriteBack(outcome=RunState.ANSWERED, **wanted)


def answer(document: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(status=status, body=json.dumps(document).encode())


def issue(status: str = "Open", category: str = "new", **fields: Any) -> HttpResponse:
    shown = {"name": status, "statusCategory": {"key": category}}
    return answer({"fields": {"status": shown, "assignee": None, "labels": [], **fields}})


def transitions(*offered: tuple[str, str, bool]) -> HttpResponse:
    return answer(
        {"transitions": [{"id": id_, "to": {"name": to}, "hasScreen": screen} for id_, to, screen in offered]}
    )


@pytest.fixture
def run(ticket: Any) -> Callable[..., tuple[list[HttpRequest], Posted | NotPosted]]:
    """Hold the conversation of a change with given answers; return the requests and what it came to."""

    def hold(
        system: Jira, wanted: WriteBack, *given: HttpResponse
    ) -> tuple[list[HttpRequest], Posted | NotPosted]:
        changing = system.change_ticket(ticket, wanted)
        requests = [next(changing)]
        for response in given:
            try:
                requests.append(changing.send(response))
            except StopIteration as end:
                return requests, end.value
        raise AssertionError(f"more is asked: {requests[-1].method} {requests[-1].url}")

    return hold


def asked(requests: list[HttpRequest]) -> list[tuple[str, str, Any]]:
    return [
        (
            each.method,
            each.url.removeprefix("https://jira.example.com/rest/api/"),
            json.loads(each.body) if each.body else None,
        )
        for each in requests
    ]


def test_every_part_has_its_own_request_and_the_status_comes_last(cloud, run):
    wanted = change(state="Done", assign_to="712020:bo", label="bridge")
    requests, end = run(cloud, wanted, issue(), TAKEN, TAKEN, transitions(("5", "Done", False)), TAKEN)
    assert end == Posted(id="label, assignee, status")
    assert asked(requests) == [
        ("GET", "3/issue/501?fields=status,assignee,labels", None),
        ("PUT", "3/issue/501", {"update": {"labels": [{"add": "bridge"}]}}),
        ("PUT", "3/issue/501/assignee", {"accountId": "712020:bo"}),
        ("GET", "3/issue/501/transitions", None),
        ("POST", "3/issue/501/transitions", {"transition": {"id": "5"}}),
    ]


def test_data_center_is_asked_on_its_own_version_and_by_user_name(datacenter, run):
    requests, end = run(datacenter, change(assign_to="bo"), issue(), TAKEN)
    assert end == Posted(id="assignee")
    assert asked(requests)[1] == ("PUT", "2/issue/501/assignee", {"name": "bo"})


def test_of_several_transitions_one_without_a_screen_is_taken(cloud, run):
    offered = transitions(("4", "Done", True), ("9", "Done", False), ("1", "Closed", False))
    requests, _ = run(cloud, change(state="Done"), issue(), offered, TAKEN)
    assert asked(requests)[2][2] == {"transition": {"id": "9"}}


def test_an_issue_that_stands_as_wanted_is_not_written(cloud, run):
    wanted = change(state="done", assign_to="712020:bo", label="bridge")
    shown = issue("Done", "done", assignee={"accountId": "712020:bo"}, labels=["bridge"])
    requests, end = run(cloud, wanted, shown)
    assert (len(requests), end) == (1, Posted(id="nothing to do"))


@pytest.mark.parametrize(
    ("response", "failure", "reason"),
    [
        (HttpResponse(status=401), PostFailure.LATER, Reason.UNAUTHORIZED),
        (HttpResponse(status=404), PostFailure.PERMANENT, Reason.NOT_FOUND),
        (HttpResponse(status=503), PostFailure.LATER, Reason.SERVER_ERROR),
        (HttpResponse(status=200, body=b"<html>"), PostFailure.LATER, Reason.ANSWER_UNREADABLE),
    ],
)
def test_an_issue_that_cannot_be_read_is_not_written(cloud, run, response, failure, reason):
    _, end = run(cloud, change(label="bridge"), response)
    assert (end.failure, end.reason) == (failure, reason)


def test_refusals_are_told_together_and_one_that_may_pass_has_the_whole_tried_again(cloud, run):
    refused = answer({"errors": {"labels": "not on the screen"}}, 400)
    wanted = change(state="Done", label="bridge")
    busy = HttpResponse(status=409)
    _, end = run(cloud, wanted, issue(), refused, transitions(("5", "Done", False)), busy)
    assert end.failure is PostFailure.LATER
    assert "not on the screen" in end.detail
    _, end = run(cloud, wanted, issue(), refused, transitions(("5", "Done", False)), TAKEN)
    assert (end.failure, end.reason) == (PostFailure.PERMANENT, Reason.REJECTED)


def test_a_group_is_refused_and_the_rest_is_made(cloud, run):
    requests, end = run(cloud, change(label="bridge", assign_group="Desk"), issue(), TAKEN)
    assert len(requests) == 2
    assert end.detail == "Jira assigns issues to people, not to groups; written all the same: label"


def test_names_from_jira_cannot_steer_a_terminal(cloud, run):
    _, end = run(cloud, change(state="Done"), issue("O\x1b[31mpen\nx"), transitions())
    assert end.failure is PostFailure.PERMANENT
    assert "\x1b" not in end.detail
    assert "\n" not in end.detail
