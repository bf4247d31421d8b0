"""Writing, finding and removing Jira comments, and what its answers mean."""

import base64
import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from bridge.errors import Reason
from bridge.models import (
    HttpRequest,
    HttpResponse,
    Json,
    MarkerAbsent,
    MorePages,
    NotPosted,
    OwedComment,
    Person,
    Posted,
    PostFailure,
    Report,
    TicketRef,
    Visibility,
)
from bridge.ticketing import Exposed
from bridge.ticketing.jira import Jira, problems
from bridge.ticketing.jira.api import STATUSES
from bridge.ticketing.jira.comments import PROPERTY

Owed = Callable[..., OwedComment]
INTERNAL, PUBLIC = Visibility.INTERNAL, Visibility.PUBLIC


def answer(status: int, body: Json = None, **headers: str) -> HttpResponse:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return HttpResponse(status=status, headers=pairs, body=b"" if body is None else json.dumps(body).encode())


def sent(request: HttpRequest) -> tuple[str, Json]:
    return f"{request.method} {urlsplit(request.url).path}", json.loads(request.body or b"null")


def property_of(marker: str) -> Json:
    return [{"key": PROPERTY, "value": {"marker": marker}}]


@pytest.mark.parametrize("visibility", Visibility)
def test_a_cloud_comment_is_adf_with_our_property(
    cloud: Jira, ticket: TicketRef, report: Report, owed: Owed, visibility: Visibility
) -> None:
    line, body = sent(cloud.comment_request(ticket, owed(cloud.dress(report), visibility)))
    assert line == "POST /rest/api/3/issue/501/comment"
    assert body["body"]["type"] == "doc"
    internal = [{"key": "sd.public.comment", "value": {"internal": True}}]
    assert body["properties"] == property_of(report.marker) + (internal if visibility is INTERNAL else [])
    assert set(body) == {"body", "properties"}


def test_a_data_center_comment_is_wiki_text(
    datacenter: Jira, ticket: TicketRef, report: Report, owed: Owed
) -> None:
    line, body = sent(datacenter.comment_request(ticket, owed(datacenter.dress(report))))
    assert line == "POST /rest/api/2/issue/501/comment"
    assert body["body"].startswith("{panel")
    assert len(body["properties"]) == 2


def test_the_jsm_route_takes_text_and_is_used_for_internal_notes_only(
    jsm: Jira, ticket: TicketRef, report: Report, owed: Owed
) -> None:
    text = jsm.dress(report)
    assert sent(jsm.comment_request(ticket, owed(text, INTERNAL))) == (
        "POST /rest/servicedeskapi/request/501/comment",
        {"body": text, "public": False},
    )
    line, body = sent(jsm.comment_request(ticket, owed(text, PUBLIC)))
    assert (line, body["body"]) == ("POST /rest/api/2/issue/501/comment", text)


def test_a_comment_dressed_before_a_change_of_settings_still_arrives_as_what_it_is(
    cloud: Jira, jsm: Jira, ticket: TicketRef, report: Report, owed: Owed
) -> None:
    line, body = sent(jsm.comment_request(ticket, owed(cloud.dress(report))))
    assert line == "POST /rest/api/3/issue/501/comment"
    assert body["body"]["type"] == "doc"
    assert body["properties"][1]["key"] == "sd.public.comment"
    assert (
        sent(cloud.comment_request(ticket, owed(jsm.dress(report))))[0]
        == "POST /rest/api/2/issue/501/comment"
    )


@pytest.mark.parametrize("uid", ["", "1/2", "..", "SUP-7", "1?x", "1\n"])
def test_only_numbers_enter_a_path(jira: Jira, owed: Owed, ticket: TicketRef, uid: str) -> None:
    foreign = dataclasses.replace(ticket, uid=uid)
    for make in (
        lambda: jira.comment_request(foreign, owed()),
        lambda: jira.search_request(foreign, owed(), 0),
        lambda: jira.remove_request(ticket, uid),
    ):
        with pytest.raises(ValueError, match="number"):
            make()


def test_credentials_are_sent_as_each_deployment_wants_them_and_never_shown(
    cloud: Jira, datacenter: Jira
) -> None:
    pat = Jira(config=dataclasses.replace(datacenter.config, token="dc-pat"))
    seen = {}
    for name, jira in {"cloud": cloud, "basic": datacenter, "pat": pat}.items():
        request = jira.account_request()
        seen[name] = dict(request.headers)["Authorization"]
        for shown in (repr(request), repr(jira)):
            assert not {"cloud-api-token", "dc-password", "dc-pat", "a webhook secret"} & set(
                shown.split("'")
            )
    assert base64.b64decode(seen["cloud"].removeprefix("Basic ")) == b"bridge@example.com:cloud-api-token"
    assert base64.b64decode(seen["basic"].removeprefix("Basic ")) == b"svc-bridge:dc-password"
    assert seen["pat"] == "Bearer dc-pat"
    assert problems(cloud.config) == ()
    assert problems(dataclasses.replace(cloud.config, token=None))


def test_our_account_is_read_with_every_name_that_webhooks_use(cloud: Jira, datacenter: Jira) -> None:
    assert cloud.account_request().url == "https://jira.example.com/rest/api/3/myself"
    assert datacenter.account_request().url == "https://jira.example.com/rest/api/2/myself"
    hidden = cloud.read_account(answer(200, {"accountId": "557058:aa", "displayName": "Bridge"}))
    assert hidden == Person(id="557058:aa", name="Bridge", email="bridge@example.com")
    user = {
        "name": "svc-bridge",
        "key": "JIRAUSER1",
        "emailAddress": "b@example.com",
        "displayName": "Bridge",
    }
    read = datacenter.read_account(answer(200, user))
    assert read == Person(id="JIRAUSER1", name="Bridge", email="b@example.com", login="svc-bridge")
    for unreadable in (answer(200), answer(200, {"displayName": "x"}), answer(401)):
        assert isinstance(cloud.read_account(unreadable), NotPosted)


def test_a_taken_comment_is_posted(owed: Owed, jira: Jira) -> None:
    assert jira.read_comment(answer(201, {"id": "10"}), owed()) == Posted(id="10")
    assert jira.read_comment(answer(201, {"id": "10", "jsdPublic": False}), owed()) == Posted(id="10")
    assert jira.read_comment(answer(201, {"id": "10", "jsdPublic": True}), owed("t", PUBLIC)) == Posted(
        id="10"
    )


@pytest.mark.parametrize("flag", ["jsdPublic", "public"])
def test_an_internal_comment_that_customers_see_is_exposed_and_can_be_removed(
    owed: Owed, jira: Jira, ticket: TicketRef, flag: str
) -> None:
    assert jira.read_comment(answer(201, {"id": "10", flag: True}), owed()) == Exposed(id="10")
    request = jira.remove_request(ticket, "10")
    assert request is not None
    assert sent(request)[0] in {
        "DELETE /rest/api/3/issue/501/comment/10",
        "DELETE /rest/api/2/issue/501/comment/10",
    }


LATER = {401, 408, 409, 425, 429, 500, 502, 503, 504, 302}
PERMANENT = {400, 403, 404, 413, 405, 410, 422}


@pytest.mark.parametrize("status", sorted(LATER | PERMANENT | set(STATUSES)))
def test_the_table_of_statuses(owed: Owed, jira: Jira, status: int) -> None:
    told = jira.read_comment(answer(status, {"errorMessages": ["a reason"]}, retry_after="7"), owed())
    assert isinstance(told, NotPosted)
    assert told.failure is (PostFailure.LATER if status in LATER else PostFailure.PERMANENT)
    assert told.retry_after == (timedelta(seconds=7) if status in LATER else None)
    assert told.detail == f"HTTP {status}: a reason"


def test_jira_s_own_words_are_told(owed: Owed, cloud: Jira) -> None:
    platform = answer(400, {"errorMessages": [], "errors": {"comment": "The entered text is too long."}})
    jsm = answer(403, {"errorMessage": "Only agents.", "i18nErrorMessage": {}})
    html = HttpResponse(status=401, body=b"<html>login</html>")
    details = [
        told.detail
        for told in (cloud.read_comment(a, owed()) for a in (platform, jsm, html))
        if isinstance(told, NotPosted)
    ]
    assert details == ["HTTP 400: The entered text is too long.", "HTTP 403: Only agents.", "HTTP 401"]


def test_a_captcha_can_be_mended_so_it_is_not_permanent(owed: Owed, datacenter: Jira) -> None:
    told = datacenter.read_comment(answer(403, x_authentication_denied_reason="CAPTCHA_CHALLENGE"), owed())
    assert isinstance(told, NotPosted)
    assert (told.failure, told.reason) == (PostFailure.LATER, Reason.UNAUTHORIZED)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"id":"1/2"}', b'{"id":null}', b"[" * 9999])
def test_a_success_that_cannot_be_read_is_tried_again_later(owed: Owed, jira: Jira, body: bytes) -> None:
    told = jira.read_comment(HttpResponse(status=201, body=body), owed())
    assert isinstance(told, NotPosted)
    assert (told.failure, told.reason) == (PostFailure.LATER, Reason.ANSWER_UNREADABLE)


def page(rows: list[Json], total: int) -> HttpResponse:
    return answer(200, {"startAt": 0, "maxResults": 100, "total": total, "comments": rows})


def test_comments_are_searched_newest_first_with_their_properties(
    jira: Jira, ticket: TicketRef, owed: Owed
) -> None:
    url = urlsplit(jira.search_request(ticket, owed(), 100).url)
    assert url.path.endswith("/issue/501/comment")
    assert parse_qs(url.query) == {
        "orderBy": ["-created"],
        "startAt": ["100"],
        "maxResults": ["100"],
        "expand": ["properties"],
    }


def test_a_lost_comment_is_found_by_its_property(jira: Jira, ticket: TicketRef, owed: Owed) -> None:
    marker = owed().marker
    rows = [{"id": "9", "properties": []}, {"id": "8", "body": "x", "properties": property_of(marker)}]
    assert jira.read_search(page(rows, 2), ticket, owed(), 0) == Posted(id="8")
    exposed = [{"id": "8", "jsdPublic": True, "properties": property_of(marker)}]
    assert jira.read_search(page(exposed, 1), ticket, owed(), 0) == Exposed(id="8")
    other = [{"id": "8", "body": marker, "properties": property_of(marker + "2")}]
    assert jira.read_search(page(other, 1), ticket, owed(), 0) == MarkerAbsent()


def test_a_lost_comment_is_found_by_its_text_where_properties_are_not_told(
    jira: Jira, ticket: TicketRef, report: Report, owed: Owed
) -> None:
    dressed = jira.dress(report)
    body = json.loads(dressed) if dressed.startswith('{"version"') else dressed
    assert jira.read_search(page([{"id": "8", "body": body}], 1), ticket, owed(), 0) == Posted(id="8")
    longer = f"{report.marker}2"
    assert jira.read_search(page([{"id": "8", "body": longer}], 1), ticket, owed(), 0) == MarkerAbsent()


def test_somebody_else_s_text_does_not_pass_for_our_comment(
    cloud: Jira, datacenter: Jira, ticket: TicketRef, owed: Owed
) -> None:
    row = {"id": "8", "body": owed().marker, "author": {"name": "mallory"}}
    assert datacenter.read_search(page([row], 1), ticket, owed(), 0) == MarkerAbsent()
    assert cloud.read_search(page([row | {"properties": []}], 1), ticket, owed(), 0) == MarkerAbsent()
    ours = row | {"author": {"name": "SVC-bridge"}}
    assert datacenter.read_search(page([ours], 1), ticket, owed(), 0) == Posted(id="8")


def test_paging_goes_on_to_the_end_and_ends(jira: Jira, ticket: TicketRef, owed: Owed) -> None:
    rows = [{"id": str(number), "body": "x", "properties": []} for number in range(100)]
    assert jira.read_search(page(rows, 150), ticket, owed(), 0) == MorePages(start=100)
    assert jira.read_search(page(rows[:50], 150), ticket, owed(), 100) == MarkerAbsent()
    assert jira.read_search(page([], 150), ticket, owed(), 100) == MarkerAbsent()


@pytest.mark.parametrize(
    "response", [answer(200), answer(200, {"comments": {}}), answer(200, []), answer(503)]
)
def test_a_search_that_cannot_be_read_never_says_absent(
    jira: Jira, ticket: TicketRef, owed: Owed, response: HttpResponse
) -> None:
    assert isinstance(jira.read_search(response, ticket, owed(), 0), NotPosted)
