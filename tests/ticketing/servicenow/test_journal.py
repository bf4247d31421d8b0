"""Writing and finding notes, and what ServiceNow's answers mean."""

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from bridge.errors import Reason
from bridge.models import (
    HttpResponse,
    Json,
    MarkerAbsent,
    MorePages,
    NotPosted,
    OwedComment,
    Person,
    Posted,
    PostFailure,
    TicketRef,
    Visibility,
)
from bridge.ticketing.servicenow import ServiceNow, problems
from bridge.ticketing.servicenow.table_api import STATUSES

Owed = Callable[..., OwedComment]
SYS_ID = "9d385017c611228701d22104cc95c371"
ENTRY = "0" * 32


def answer(status: int, body: Json = None, **headers: str) -> HttpResponse:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return HttpResponse(status=status, headers=pairs, body=b"" if body is None else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("visibility", "element"), [(Visibility.INTERNAL, "work_notes"), (Visibility.PUBLIC, "comments")]
)
def test_a_note_is_one_small_patch(
    servicenow: ServiceNow, ticket: TicketRef, owed: Owed, visibility: Visibility, element: str
) -> None:
    request = servicenow.comment_request(ticket, owed("said", visibility))
    url = urlsplit(request.url)
    assert (request.method, url.path) == ("PATCH", f"/api/now/table/incident/{SYS_ID}")
    assert parse_qs(url.query) == {"sysparm_fields": ["sys_id,number,sys_mod_count,sys_updated_on"]}
    assert json.loads(request.body or b"") == {element: "said"}
    headers = dict(request.headers)
    assert headers["Accept"] == headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("table", "uid"),
    [("incident", "x"), ("incident", SYS_ID + "\n"), ("incident/..", SYS_ID), ("", SYS_ID), (None, SYS_ID)],
)
def test_only_checked_names_enter_a_path(
    servicenow: ServiceNow, ticket: TicketRef, owed: Owed, table: str | None, uid: str
) -> None:
    foreign = dataclasses.replace(ticket, table=table, uid=uid)
    with pytest.raises(ValueError, match="addressed by"):
        servicenow.comment_request(foreign, owed())
    with pytest.raises(ValueError, match="addressed by"):
        servicenow.search_request(foreign, owed(), 1)


def test_credentials_are_sent_as_configured_and_never_shown(servicenow: ServiceNow) -> None:
    config = dataclasses.replace(servicenow.config, token="sn-token", account="svc.bridge")
    bearer = ServiceNow(config=config)
    api_key = ServiceNow(config=dataclasses.replace(config, api_key_header=True))
    assert dict(servicenow.account_request().headers)["Authorization"].startswith("Basic ")
    assert dict(bearer.account_request().headers)["Authorization"] == "Bearer sn-token"
    assert dict(api_key.account_request().headers)["x-sn-apikey"] == "sn-token"
    for system in (servicenow, bearer, api_key):
        assert problems(system.config) == ()
        shown = repr(system) + repr(system.account_request())
        assert not any(secret in shown for secret in ("sn-password", "sn-token", "whsec_"))


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"username": None}, "TOKEN"),
        ({"username": None, "token": "t"}, "ACCOUNT"),
        ({"username": "a^active=true"}, "ACCOUNT"),
        ({"api_key_header": True}, "API_KEY_HEADER"),
        ({"tables": ()}, "TABLES"),
        ({"tables": ("incident", "x/y")}, "TABLES"),
    ],
)
def test_a_configuration_that_cannot_work_is_named_by_setting(
    servicenow: ServiceNow, changes: dict[str, Json], setting: str
) -> None:
    found = problems(dataclasses.replace(servicenow.config, **changes))
    assert any(problem.startswith(setting) for problem in found)
    assert "sn-password" not in " ".join(found)


def test_our_account_is_looked_up_by_name_and_checked(servicenow: ServiceNow) -> None:
    query = parse_qs(urlsplit(servicenow.account_request().url).query)
    assert query["sysparm_query"] == ["user_name=svc.bridge"]
    ours = {"sys_id": ENTRY, "user_name": "svc.bridge", "email": "b@example.com", "name": "Bridge"}
    stranger = ours | {"user_name": "admin"}
    read = servicenow.read_account(answer(200, {"result": [stranger, ours]}))
    assert read == Person(id=ENTRY, name="Bridge", email="b@example.com", login="svc.bridge")


def test_a_login_is_ours_though_users_are_hidden_but_a_typed_account_is_not_believed(
    servicenow: ServiceNow,
) -> None:
    hidden = answer(200, {"result": []})
    assert servicenow.read_account(hidden) == Person(login="svc.bridge")
    typed = ServiceNow(config=dataclasses.replace(servicenow.config, token="t", account="svc.bridge"))
    told = typed.read_account(hidden)
    assert isinstance(told, NotPosted)
    assert (told.failure, told.reason) == (PostFailure.LATER, Reason.NOT_FOUND)
    for unreadable in (answer(200), answer(401), answer(200, {"result": {}})):
        assert isinstance(servicenow.read_account(unreadable), NotPosted)


def test_a_taken_note_is_posted(servicenow: ServiceNow, owed: Owed) -> None:
    taken = answer(200, {"result": {"sys_id": SYS_ID, "sys_mod_count": "6"}})
    assert servicenow.read_comment(taken, owed()) == Posted(id=f"{SYS_ID}:6")


LATER = {401, 408, 429, 500, 502, 503, 504, 302}
PERMANENT = {400, 403, 404, 413, 405}


@pytest.mark.parametrize("status", sorted(LATER | PERMANENT | set(STATUSES)))
def test_the_table_of_statuses(servicenow: ServiceNow, owed: Owed, status: int) -> None:
    error = {"error": {"message": "Operation Failed", "detail": "a reason"}, "status": "failure"}
    told = servicenow.read_comment(answer(status, error, retry_after="7"), owed())
    assert isinstance(told, NotPosted)
    assert told.failure is (PostFailure.LATER if status in LATER else PostFailure.PERMANENT)
    assert told.retry_after == (timedelta(seconds=7) if status in LATER else None)
    assert told.detail == f"HTTP {status}: Operation Failed: a reason"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"result":{}}', b'{"result":{"sys_id":"x"}}'])
def test_a_success_that_cannot_be_read_is_tried_again_later(
    servicenow: ServiceNow, owed: Owed, body: bytes
) -> None:
    told = servicenow.read_comment(HttpResponse(status=200, body=body), owed())
    assert isinstance(told, NotPosted)
    assert (told.failure, told.reason) == (PostFailure.LATER, Reason.ANSWER_UNREADABLE)


def test_a_journal_entry_cannot_be_removed(servicenow: ServiceNow, ticket: TicketRef) -> None:
    assert servicenow.remove_request(ticket, "1") is None


def test_the_journal_is_asked_first_then_the_record(
    servicenow: ServiceNow, ticket: TicketRef, owed: Owed
) -> None:
    journal = urlsplit(servicenow.search_request(ticket, owed(), 0).url)
    assert journal.path == "/api/now/table/sys_journal_field"
    assert parse_qs(journal.query)["sysparm_query"] == [
        f"element_id={SYS_ID}^element=work_notes^valueLIKE{owed().marker}^ORDERBYDESCsys_created_on"
    ]
    record = urlsplit(servicenow.search_request(ticket, owed(), 1).url)
    assert record.path == f"/api/now/table/incident/{SYS_ID}"
    assert parse_qs(record.query)["sysparm_display_value"] == ["true"]


def test_a_marker_that_could_split_the_query_is_refused(
    servicenow: ServiceNow, ticket: TicketRef, owed: Owed
) -> None:
    with pytest.raises(ValueError, match="marker"):
        servicenow.search_request(ticket, dataclasses.replace(owed(), marker="a^b"), 0)


def row(**changes: Json) -> Json:
    return {
        "sys_id": ENTRY,
        "element_id": SYS_ID,
        "element": "work_notes",
        "value": "[code]x[/code]\nbridge-01hx9-answered-1",
        "sys_created_by": "SVC.bridge",
    } | changes


def test_a_lost_note_is_found_in_the_journal(servicenow: ServiceNow, ticket: TicketRef, owed: Owed) -> None:
    found = servicenow.read_search(answer(200, {"result": [row()]}), ticket, owed(), 0)
    assert found == Posted(id=ENTRY)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(element_id="f" * 32)],
        [row(element="comments")],
        [row(value="bridge-01hx9-answered-12")],
        [row(value=None), "x", None],
    ],
)
def test_a_row_of_something_else_and_an_empty_list_prove_nothing(
    servicenow: ServiceNow, ticket: TicketRef, owed: Owed, rows: list[Json]
) -> None:
    assert servicenow.read_search(answer(200, {"result": rows}), ticket, owed(), 0) == MorePages(start=1)
    assert servicenow.read_search(answer(403), ticket, owed(), 0) == MorePages(start=1)


@pytest.mark.parametrize("author", ["mallory", "", None])
def test_somebody_elses_text_does_not_pass_for_our_note(
    servicenow: ServiceNow, ticket: TicketRef, owed: Owed, author: Json
) -> None:
    theirs = row(sys_created_by=author)
    quoted = answer(200, {"result": [theirs]})
    assert servicenow.read_search(quoted, ticket, owed(), 0) == MarkerAbsent()
    assert servicenow.read_search(answer(200, {"result": [theirs, row()]}), ticket, owed(), 0) == Posted(
        id=ENTRY
    )
    flooded = servicenow.read_search(answer(200, {"result": [theirs] * 20}), ticket, owed(), 0)
    assert isinstance(flooded, NotPosted)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"work_notes": "28/05 - Bridge\nbridge-01hx9-answered-1\n\n"}, Posted(id=SYS_ID)),
        ({"work_notes": "28/05 - Bridge\nbridge-01hx9-answered-2\n\n"}, MarkerAbsent()),
        ({"work_notes": "", "comments": "bridge-01hx9-answered-1"}, MarkerAbsent()),
    ],
)
def test_the_record_s_own_notes_settle_it(
    servicenow: ServiceNow, ticket: TicketRef, owed: Owed, result: Json, expected: Posted | MarkerAbsent
) -> None:
    response = answer(200, {"result": {"sys_id": SYS_ID} | result})
    assert servicenow.read_search(response, ticket, owed(), 1) == expected


@pytest.mark.parametrize(
    ("start", "response", "reason"),
    [
        (1, answer(200, {"result": {"sys_id": SYS_ID, "comments": "x"}}), Reason.FORBIDDEN),
        (1, answer(200, {"result": {"sys_id": "f" * 32, "work_notes": ""}}), Reason.ANSWER_UNREADABLE),
        (1, answer(503), Reason.SERVER_ERROR),
        (0, answer(200), Reason.ANSWER_UNREADABLE),
        (0, answer(429), Reason.RATE_LIMITED),
    ],
)
def test_a_search_that_sees_nothing_never_says_absent(
    servicenow: ServiceNow, ticket: TicketRef, owed: Owed, start: int, response: HttpResponse, reason: Reason
) -> None:
    told = servicenow.read_search(response, ticket, owed(), start)
    assert isinstance(told, NotPosted)
    assert told.reason is reason
