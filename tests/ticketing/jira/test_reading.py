"""What Jira's documentation shows is read, and what it does not promise makes nothing certain."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bridge.errors import Reason
from bridge.models import ApprovalState, Change, FetchedTicket, HttpRequest, NotRead, Person, TicketRef
from bridge.ticketing.jira import Jira

SINCE = datetime(2026, 5, 28, 20, 0, tzinfo=UTC)
NEWER, OLDER = "2026-05-28T22:26:40.123+0200", "2026-05-28T19:00:00.000+0000"
NO_COMMENTS = {"startAt": 0, "maxResults": 100, "total": 0, "comments": []}
Told = Callable[..., Any]


def issue(*histories: Any, total: int | None = None, **fields: Any) -> dict[str, Any]:
    status = {"name": "Approved", "statusCategory": {"id": 4, "key": "indeterminate", "colorName": "yellow"}}
    return {
        "expand": "renderedFields,names,schema,operations,editmeta,changelog,versionedRepresentations",
        "id": "501",
        "key": "SUP-7",
        "self": "https://elsewhere.example/rest/api/2/issue/501",
        "fields": {"summary": "Slow", "status": status, "created": OLDER} | fields,
        "changelog": {
            "startAt": 0,
            "maxResults": len(histories),
            "total": len(histories) if total is None else total,
            "histories": list(histories),
        },
    }


def entry(number: int, created: str, **more: Any) -> dict[str, Any]:
    item = {
        "field": "status",
        "fieldtype": "jira",
        "fieldId": "status",
        "from": "1",
        "fromString": "Open",
        "to": "3",
        "toString": "Approved",
    }
    author = {"accountId": "abc", "displayName": "Bo", "active": True, "accountType": "atlassian"}
    return {"id": str(number), "author": author, "created": created, "items": [item]} | more


def query_of(request: HttpRequest) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.url).query)


def test_an_issue_is_asked_for_in_the_form_of_its_webhooks(jira: Jira, ticket: TicketRef, told: Told) -> None:
    read, requests = told(jira.fetch_ticket(ticket, SINCE), issue(entry(900, NEWER)), NO_COMMENTS)
    assert isinstance(read, FetchedTicket)
    assert urlsplit(requests[0].url).path == "/rest/api/2/issue/501"
    assert query_of(requests[0]) == {"fields": ["*all,-comment,-worklog"], "expand": ["changelog"]}
    assert urlsplit(requests[1].url).path == "/rest/api/2/issue/501/comment"
    assert {request.method for request in requests} == {"GET"}
    assert dict(requests[0].headers)["Authorization"]
    (change,) = read.history
    assert change.key == "changelog:900"
    assert change.at == datetime(2026, 5, 28, 20, 26, 40, 123_000, tzinfo=UTC)
    assert change.changes == (Change(name="status", before="Open", after="Approved"),)
    assert change.actor == Person(id="abc", name="Bo")
    assert read.ref.url == "https://jira.example.com/browse/SUP-7"
    assert set(read.payload) == {"issue"}
    assert "changelog" not in read.payload["issue"]


def test_an_app_that_changed_something_is_nobody(cloud: Jira, ticket: TicketRef, told: Told) -> None:
    read, _ = told(cloud.fetch_ticket(ticket, SINCE), issue(entry(900, NEWER, author=None)), NO_COMMENTS)
    assert read.history[0].actor == Person()


@pytest.mark.parametrize(
    "other",
    [
        issue() | {"id": "502"},
        issue() | {"fields": {}},
        issue() | {"changelog": None},
        issue(status={"name": "Approved"}),
        issue(entry(900, "yesterday")),
        issue(entry(900, NEWER) | {"id": "../x"}),
        ["not", "an", "issue"],
    ],
)
def test_an_answer_that_is_not_this_issue_whole_is_not_read(
    cloud: Jira, ticket: TicketRef, told: Told, other: Any
) -> None:
    conversation = cloud.fetch_ticket(ticket, SINCE)
    answers = [other] if not isinstance(other, dict) or not _reaches_comments(other) else [other, NO_COMMENTS]
    read, _ = told(conversation, *answers)
    assert isinstance(read, NotRead)
    assert not read.gone


def _reaches_comments(answer: dict[str, Any]) -> bool:
    return answer["id"] == "501" and bool(answer["fields"]) and answer["changelog"] is not None


def test_older_pages_are_asked_for_until_one_change_is_older_than_the_time(
    cloud: Jira, ticket: TicketRef, told: Told
) -> None:
    newest = [entry(number, NEWER) for number in range(350, 250, -1)]
    middle = [entry(number, NEWER) for number in range(151, 251)]
    oldest = [entry(number, OLDER if number < 60 else NEWER) for number in range(51, 151)]
    read, requests = told(
        cloud.fetch_ticket(ticket, SINCE),
        issue(*newest, total=350),
        {"startAt": 150, "maxResults": 100, "total": 350, "isLast": False, "values": middle},
        {"startAt": 50, "maxResults": 100, "total": 350, "isLast": False, "values": oldest},
        NO_COMMENTS,
    )
    assert [query_of(request)["startAt"] for request in requests[1:3]] == [["150"], ["50"]]
    assert {change.key for change in read.history} == {f"changelog:{n}" for n in range(60, 351)}


def test_an_order_that_jira_does_not_show_is_not_believed(cloud: Jira, ticket: TicketRef, told: Told) -> None:
    read, _ = told(cloud.fetch_ticket(ticket, SINCE), issue(entry(1, OLDER), entry(2, NEWER), total=150))
    assert isinstance(read, NotRead)


def test_a_data_center_that_holds_changes_back_leaves_the_ticket_unread(
    datacenter: Jira, ticket: TicketRef, told: Told
) -> None:
    read, _ = told(datacenter.fetch_ticket(ticket, SINCE), issue(entry(9, NEWER), total=2))
    assert isinstance(read, NotRead)
    assert read.reason is Reason.ANSWER_TOO_LARGE


def test_comments_without_end_leave_the_ticket_unread(cloud: Jira, ticket: TicketRef, told: Told) -> None:
    rows = [{"id": str(number), "author": None, "created": NEWER} for number in range(100)]
    page = {"startAt": 0, "maxResults": 100, "total": 5_000, "comments": rows}
    read, requests = told(cloud.fetch_ticket(ticket, SINCE), issue(), *[page] * 10)
    assert isinstance(read, NotRead)
    assert query_of(requests[10])["startAt"] == ["900"]


def test_the_documented_approval_is_read(cloud: Jira, ticket: TicketRef, told: Told) -> None:
    approval = {
        "id": "1",
        "name": "Please approve this request",
        "finalDecision": "approved",
        "canAnswerApproval": True,
        "approvers": [
            {"approver": {"accountId": "qm:1", "displayName": "Fred"}, "approverDecision": "approved"},
            {"approver": {"accountId": "qm:2", "displayName": "Ada"}, "approverDecision": "pending"},
        ],
        "createdDate": {"epochMillis": 1_780_000_000_000, "iso8601": "2026-05-28T20:26:40+0000"},
        "completedDate": {"epochMillis": 1_780_000_100_000, "iso8601": "2026-05-28T20:28:20+0000"},
        "_links": {"self": "https://elsewhere.example"},
    }
    page = {"size": 1, "start": 0, "limit": 50, "isLastPage": True, "values": [approval]}
    (fred, ada), requests = told(cloud.fetch_approvals(ticket), page)
    assert urlsplit(requests[0].url).path == "/rest/servicedeskapi/request/501/approval"
    assert (fred.state, fred.final, fred.by) == (
        ApprovalState.APPROVED,
        True,
        Person(id="qm:1", name="Fred"),
    )
    assert fred.at == datetime(2026, 5, 28, 20, 28, 20, tzinfo=UTC)
    assert ada.state is ApprovalState.ASKED


@pytest.mark.parametrize("word", ["canceled", None, 1])
def test_a_decision_in_an_unknown_word_is_not_read(
    cloud: Jira, ticket: TicketRef, told: Told, word: Any
) -> None:
    page = {"isLastPage": True, "values": [{"finalDecision": word, "approvers": []}]}
    assert isinstance(told(cloud.fetch_approvals(ticket), page)[0], NotRead)
    answer = {"approver": {"accountId": "x"}, "approverDecision": word}
    page = {"isLastPage": True, "values": [{"finalDecision": "pending", "approvers": [answer]}]}
    assert isinstance(told(cloud.fetch_approvals(ticket), page)[0], NotRead)


def test_approvals_are_paged(cloud: Jira, ticket: TicketRef, told: Told) -> None:
    value = {"finalDecision": "approved", "approvers": []}
    first, last = ({"isLastPage": last, "values": [value] * 50} for last in (False, True))
    _, requests = told(cloud.fetch_approvals(ticket), first, last)
    assert [query_of(request)["start"] for request in requests] == [["0"], ["50"]]


def test_cloud_groups_are_asked_by_account(cloud: Jira, told: Told) -> None:
    groups = [
        {"name": "jira-administrators", "groupId": "1", "self": "https://elsewhere.example"},
        {"name": "approvers", "groupId": "2", "self": "https://elsewhere.example"},
    ]
    read, requests = told(cloud.fetch_groups(Person(id="5b:a&x=1", name="Bo")), groups)
    assert read == ("jira-administrators", "approvers")
    assert query_of(requests[0]) == {"accountId": ["5b:a&x=1"]}


@pytest.mark.parametrize(
    "user",
    [
        {"name": "bo", "key": "K1", "groups": {"size": 3, "items": [{"name": "approvers"}]}},
        {"name": "ada", "key": "K2", "groups": {"size": 1, "items": [{"name": "approvers"}]}},
        {"name": "bo", "key": "K1"},
    ],
)
def test_data_center_groups_that_are_cut_or_anothers_are_not_read(
    datacenter: Jira, told: Told, user: Any
) -> None:
    assert isinstance(told(datacenter.fetch_groups(Person(login="bo", id="K1")), user)[0], NotRead)


def row(number: int, updated: str) -> dict[str, Any]:
    return {"id": str(number), "key": f"SUP-{number}", "self": "x", "fields": {"updated": updated}}


def test_cloud_is_searched_with_tokens_until_a_page_is_older(cloud: Jira, told: Told) -> None:
    found, requests = told(
        cloud.fetch_changed(SINCE),
        {"issues": [row(3, "2026-05-28T22:00:00.000+0000"), row(2, NEWER)], "nextPageToken": "abc="},
        {"issues": [row(2, NEWER), row(1, OLDER)], "nextPageToken": "def=", "isLast": False},
    )
    assert [changed.ref.key for changed in found] == ["SUP-2", "SUP-3"]
    assert urlsplit(requests[0].url).path == "/rest/api/3/search/jql"
    assert query_of(requests[1])["nextPageToken"] == ["abc="]
    # The zone of our account is not known here: a day earlier is earlier everywhere.
    assert query_of(requests[0])["jql"] == ['updated >= "2026-05-27" ORDER BY updated DESC']


def test_data_center_is_searched_with_offsets(datacenter: Jira, told: Told) -> None:
    found, requests = told(
        datacenter.fetch_changed(SINCE),
        {"startAt": 0, "maxResults": 100, "total": 101, "issues": [row(n, NEWER) for n in range(100)]},
        {"startAt": 100, "maxResults": 100, "total": 101, "issues": [row(100, NEWER)]},
    )
    assert len(found) == 101
    assert [query_of(request)["startAt"] for request in requests] == [["0"], ["100"]]
    assert urlsplit(requests[0].url).path == "/rest/api/2/search"


@pytest.mark.parametrize("zone_hours", [-12, 14])
@pytest.mark.parametrize("hour", range(24))
def test_the_bound_of_the_search_is_early_enough_in_every_time_zone(
    cloud: Jira, told: Told, zone_hours: int, hour: int
) -> None:
    since = datetime(2026, 3, 1, hour, 59, tzinfo=UTC)
    _, (request,) = told(cloud.fetch_changed(since), {"issues": []})
    day = query_of(request)["jql"][0].split('"')[1]
    midnight_there = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=zone_hours)
    assert midnight_there <= since


def test_the_jql_of_a_source_stands_in_brackets(cloud: Jira) -> None:
    narrow = Jira(dataclasses.replace(cloud.config, reconcile_jql="project = A OR project = B"))
    request = next(narrow.fetch_changed(SINCE))
    assert query_of(request)["jql"][0].startswith("(project = A OR project = B) AND updated >= ")
