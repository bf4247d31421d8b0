"""The simulated Jira takes what Jira takes, refuses the rest, and sends webhooks as Jira does."""

import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from bridge.sandbox import credentials as known
from bridge.sandbox.client import SandboxError, wait_for
from bridge.sandbox.jira.site import BRIDGE_CLOUD, JiraSite, StoredComment
from bridge.sandbox.scenario import jira_fields

CLOUD = {"Authorization": known.basic(known.JIRA_CLOUD_USERNAME, known.JIRA_CLOUD_TOKEN)}
DATACENTER = {"Authorization": known.bearer(known.JIRA_DATACENTER_TOKEN)}
COMMENTS = "/rest/api/3/issue/SUP-101/comment"
WIKI_COMMENTS = "/rest/api/2/issue/SUP-101/comment"
INTERNAL = {"key": "sd.public.comment", "value": {"internal": True}}


def text(words):
    return {"type": "text", "text": words}


def paragraph(*inside):
    return {"type": "paragraph", "content": list(inside)}


def document(*blocks):
    return {"version": 1, "type": "doc", "content": list(blocks)}


def table(*cells):
    row = {"type": "tableRow", "content": [{"type": "tableCell", "content": list(cells)}]}
    return {"type": "table", "attrs": {"isNumberColumnEnabled": False, "layout": "default"}, "content": [row]}


GOOD = document(
    {"type": "panel", "attrs": {"panelType": "warning"}, "content": [paragraph(text("Accepted by 1 of 2"))]},
    table(paragraph({"type": "status", "attrs": {"text": "NOT CONNECTED", "color": "red"}})),
    {
        "type": "expand",
        "attrs": {"title": "Details"},
        "content": [{"type": "codeBlock", "attrs": {"language": "text"}, "content": [text("x")]}],
    },
    paragraph({**text("bridge-1"), "marks": [{"type": "code"}]}),
)


@pytest.fixture
def issue(jira):
    fields = jira_fields(devices=("WS-ABC-12345",), status="Open", summary="A summary", labels=())
    return jira.call("PUT", "issues", {"key": "SUP-101", "fields": fields})


@pytest.fixture
def api(request_, jira, issue):
    def call(method, path, body=None, headers=CLOUD, **more):
        return request_(jira.url, method, path, body=body, headers=headers | more)

    return call


# ── comments ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_comment_that_comes_while_its_issue_is_deleted_goes_with_it():
    site = JiraSite()
    fields = jira_fields(devices=(), status="Open", summary="A summary", labels=())
    found = site.put_issue("SUP-101", fields, service_desk=True, open_=True)
    site.delete_issue("SUP-101")
    late = StoredComment(
        id="1",
        issue=found.id,
        author=BRIDGE_CLOUD,
        body="late",
        text="late",
        internal=False,
        properties=(),
        visibility=None,
        created=datetime.now(UTC),
    )
    site.add_comment(found, late)
    assert site.comments() == []


def test_a_document_is_stored_with_its_properties_and_echoed_as_internal(api, jira):
    mark = {"key": "nexthink-bridge", "value": {"marker": "bridge-1"}}
    answer = api("POST", COMMENTS, {"body": GOOD, "properties": [mark, INTERNAL]})
    assert answer.status == 201
    assert answer.json["jsdPublic"] is False
    assert answer.json["author"]["accountId"] == "712020:bridge"
    (stored,) = jira.comments()
    assert stored["issue"] == "SUP-101"
    assert stored["internal"] is True
    assert stored["properties"]["nexthink-bridge"] == {"marker": "bridge-1"}
    assert "NOT CONNECTED" in stored["text"]


@pytest.mark.parametrize(
    "body",
    [
        "wiki text",
        {"type": "doc", "content": [paragraph(text("no version"))]},
        document(paragraph(text(""))),
        document(text("bare text in the document")),
        document(table(text("bare text in a cell"))),
        document(
            {"type": "panel", "attrs": {"panelType": "warning"}, "content": [table(paragraph(text("x")))]}
        ),
        document({"type": "panel", "attrs": {"panelType": "loud"}, "content": [paragraph(text("x"))]}),
        document(paragraph({"type": "status", "attrs": {"text": "", "color": "red"}})),
        document(paragraph({"type": "status", "attrs": {"text": "x", "color": "pink"}})),
        document(paragraph({**text("x"), "marks": [{"type": "code"}, {"type": "strong"}]})),
        document(paragraph({**text("x"), "colour": "red"})),
        document({"type": "marquee", "content": []}),
        document(),
        None,
    ],
)
def test_a_document_that_the_schema_refuses_is_refused(api, jira, body):
    answer = api("POST", COMMENTS, {"body": body})
    assert answer.status == 400
    assert "comment" in answer.json["errors"]
    assert jira.comments() == []


@pytest.mark.parametrize(
    ("document_", "status"),
    [
        ({"body": GOOD, "public": False}, 400),
        ({"body": GOOD, "properties": {"key": "a"}}, 400),
        ({"body": GOOD, "properties": [{"key": "a" * 256, "value": 1}]}, 400),
        ({"body": GOOD, "properties": [{"key": "a", "value": "x" * 32_768}]}, 413),
        ({"body": GOOD, "visibility": {"type": "team", "value": "x"}}, 400),
        (b"{", 400),
        (b"[]", 400),
    ],
)
def test_an_add_comment_with_other_keys_or_values_is_refused(api, jira, document_, status):
    assert api("POST", COMMENTS, document_).status == status
    assert jira.comments() == []


def test_a_comment_may_have_32767_characters_and_not_one_more(api):
    assert api("POST", WIKI_COMMENTS, {"body": "x" * 32_767}).status == 201
    answer = api("POST", WIKI_COMMENTS, {"body": "x" * 32_768})
    assert answer.status == 400
    assert "32,767" in answer.json["errors"]["comment"]
    long = document(paragraph(text("x" * 32_700)))
    assert api("POST", COMMENTS, {"body": long}).status == 400


def test_other_content_types_and_empty_comments_are_refused(api):
    assert api("POST", WIKI_COMMENTS, b"x", **{"Content-Type": "text/plain"}).status == 415
    assert api("POST", WIKI_COMMENTS, {"body": "  "}).status == 400
    assert api("POST", WIKI_COMMENTS, {"body": GOOD}).status == 400


def test_data_center_takes_wiki_text_on_version_2_only(api):
    answer = api("POST", WIKI_COMMENTS, {"body": "{panel}x{panel}"}, headers=DATACENTER)
    assert answer.status == 201
    assert answer.json["body"] == "{panel}x{panel}"
    assert answer.json["author"]["name"] == "svc.bridge"
    assert "jsdPublic" not in answer.json
    assert api("POST", COMMENTS, {"body": GOOD}, headers=DATACENTER).status == 404
    basic = {"Authorization": known.basic(known.JIRA_DATACENTER_USERNAME, known.JIRA_DATACENTER_PASSWORD)}
    assert api("GET", "/rest/api/2/myself", headers=basic).json["key"] == "JIRAUSER10100"


def test_without_credentials_the_answer_is_401_and_no_json(api):
    for value in ("", known.bearer("x"), known.basic(known.JIRA_CLOUD_USERNAME, "x")):
        answer = api("POST", COMMENTS, {"body": GOOD}, headers={"Authorization": value})
        assert answer.status == 401
        assert answer.headers["content-type"].startswith("text/plain")


def test_comments_are_listed_in_order_and_pages_and_properties_only_on_demand(api):
    ids = [
        api("POST", WIKI_COMMENTS, {"body": f"{n}", "properties": [{"key": "k", "value": n}]}).json["id"]
        for n in range(3)
    ]
    newest = api("GET", f"{COMMENTS}?orderBy=-created&startAt=1&maxResults=1&expand=properties").json
    assert (newest["startAt"], newest["maxResults"], newest["total"]) == (1, 1, 3)
    assert [comment["id"] for comment in newest["comments"]] == [ids[1]]
    assert newest["comments"][0]["properties"] == [{"key": "k", "value": 1}]
    assert newest["comments"][0]["body"] == document(paragraph(text("1")))
    oldest = api("GET", f"{WIKI_COMMENTS}?orderBy=%2Bcreated").json["comments"]
    assert [comment["body"] for comment in oldest] == ["0", "1", "2"]
    assert "properties" not in oldest[0]
    assert api("GET", f"{COMMENTS}?orderBy=updated").status == 400
    assert api("GET", f"{COMMENTS}?startAt=x").status == 400


def test_comments_are_found_by_id_and_deleted(api):
    id_ = api("POST", WIKI_COMMENTS, {"body": "x"}).json["id"]
    listed = api("POST", "/rest/api/3/comment/list?expand=properties", {"ids": [int(id_), 1]}).json
    assert [comment["id"] for comment in listed["values"]] == [id_]
    assert api("POST", "/rest/api/3/comment/list", {"ids": [id_]}).status == 400
    assert api("DELETE", f"{COMMENTS}/{id_}").status == 204
    assert api("GET", f"{COMMENTS}/{id_}").status == 404
    assert api("DELETE", f"{COMMENTS}/{id_}").status == 404


def test_a_property_can_be_read_set_and_removed_and_decides_who_sees_the_comment(api, jira):
    id_ = api("POST", WIKI_COMMENTS, {"body": "x", "properties": [INTERNAL]}).json["id"]
    base = f"/rest/api/3/comment/{id_}/properties"
    assert api("GET", base).json == {"keys": [{"key": "sd.public.comment"}]}
    assert api("PUT", f"{base}/mine", {"a": 1}).status == 201
    assert api("PUT", f"{base}/mine", {"a": 2}).status == 200
    assert api("GET", f"{base}/mine").json == {"key": "mine", "value": {"a": 2}}
    assert api("DELETE", f"{base}/sd.public.comment").status == 204
    assert api("DELETE", f"{base}/sd.public.comment").status == 404
    assert jira.comments()[0]["internal"] is False


def test_an_issue_that_is_gone_or_closed_or_full_takes_no_comment(api, jira, issue):
    assert api("POST", COMMENTS.replace("101", "999"), {"body": GOOD}).status == 404
    jira.call("PUT", "issues", {"key": "SUP-101", "fields": {}, "open_for_comments": False})
    assert api("POST", COMMENTS, {"body": GOOD}).status == 400
    jira.call("PUT", "issues", {"key": "SUP-101", "fields": {}})
    jira.behave(max_comments=0)
    assert api("POST", COMMENTS, {"body": GOOD}).status == 413
    jira.call("DELETE", "issues/SUP-101")
    assert api("POST", COMMENTS, {"body": GOOD}).status == 404


def test_a_site_that_drops_the_internal_property_says_so_in_its_answer(api, jira):
    jira.behave(drops_internal=True)
    assert api("POST", COMMENTS, {"body": GOOD, "properties": [INTERNAL]}).json["jsdPublic"] is True


def test_the_service_desk_route_takes_body_and_public_and_no_other_key(api, jira):
    path = "/rest/servicedeskapi/request/SUP-101/comment"
    answer = api("POST", path, {"body": "note", "public": False})
    assert (answer.status, answer.json["public"]) == (201, False)
    assert jira.comments()[0]["internal"] is True
    refused = api("POST", path, {"body": "note", "public": False, "properties": []})
    assert refused.status == 400
    assert set(refused.json) == {"errorMessage", "i18nErrorMessage"}
    jira.call("PUT", "issues", {"key": "OPS-1", "fields": {}, "service_desk": False})
    assert api("POST", path.replace("SUP-101", "OPS-1"), {"body": "x"}).status == 404


def test_account_server_issue_and_permissions_can_be_asked(api):
    assert api("GET", "/rest/api/3/myself").json["emailAddress"] == known.JIRA_CLOUD_USERNAME
    assert api("GET", "/rest/api/3/serverInfo").json["deploymentType"] == "Cloud"
    assert api("GET", "/rest/api/2/serverInfo", headers=DATACENTER).json["deploymentType"] == "Server"
    assert api("GET", "/rest/api/3/issue/SUP-101?fields=summary").json["fields"] == {"summary": "A summary"}
    allowed = api("GET", "/rest/api/3/mypermissions?permissions=ADD_COMMENTS&issueKey=SUP-101").json
    assert allowed["permissions"]["ADD_COMMENTS"]["havePermission"] is True
    assert api("GET", "/rest/api/3/mypermissions").status == 400
    assert api("GET", "/rest/api/3/mypermissions?permissions=FLY").status == 400


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────────────────


def send(jira, receiver, *, kind="issue_updated", flavour="cloud", **more):
    target = {"url": receiver.url, "flavour": flavour, "retry_waits": [0.02] * 5} | more.pop("target", {})
    jira.webhook(kind=kind, key="SUP-101", target=target, wait=True, **more)
    return [(headers, body) for _, headers, body in receiver.seen]


CHANGE = {"field": "status", "before": "Open", "after": "Approved"}


def test_a_cloud_webhook_is_signed_over_its_raw_body(jira, issue, receiver):
    ((headers, body),) = send(jira, receiver, changes=[CHANGE], fields={"status": {"name": "Approved"}})
    expected = hmac.new(known.JIRA_WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-hub-signature"] == f"sha256={expected}"
    assert headers["x-atlassian-webhook-identifier"]
    assert "x-atlassian-webhook-retry" not in headers
    event = json.loads(body)
    assert event["webhookEvent"] == "jira:issue_updated"
    assert event["issue"]["fields"]["status"]["name"] == "Approved"
    assert event["changelog"]["items"][0]["toString"] == "Approved"
    assert "emailAddress" not in event["user"]


def test_cloud_tries_again_with_the_same_identifier_and_a_count(jira, issue, receiver):
    receiver.statuses = [503, 429, 200]
    seen = send(jira, receiver)
    assert len({headers["x-atlassian-webhook-identifier"] for headers, _ in seen}) == 1
    assert len({body for _, body in seen}) == 1
    assert [headers.get("x-atlassian-webhook-retry") for headers, _ in seen] == [None, "1", "2"]
    assert [attempt["status"] for attempt in jira.deliveries()] == [503, 429, 200]


def test_cloud_gives_up_after_five_retries(jira, issue, receiver):
    receiver.statuses = [500] * 9
    assert len(send(jira, receiver)) == 6


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 422])
def test_other_refusals_lose_the_event(jira, issue, receiver, status):
    receiver.statuses = [status]
    assert len(send(jira, receiver)) == 1


def test_a_receiver_that_is_not_there_is_tried_again(jira, issue):
    target = {"url": "http://127.0.0.1:9/x", "retry_waits": [0.01]}
    jira.webhook(kind="issue_created", key="SUP-101", target=target, wait=True)
    assert [attempt["error"] for attempt in jira.deliveries()] == ["ConnectionRefusedError"] * 2


def test_duplicates_come_at_once_with_one_identifier(jira, issue, receiver):
    seen = send(jira, receiver, copies=5)
    assert len(seen) == 5
    assert len({headers["x-atlassian-webhook-identifier"] for headers, _ in seen}) == 1


def test_data_center_has_no_identifier_and_one_try(jira, issue, receiver):
    receiver.statuses = [503]
    ((headers, body),) = send(jira, receiver, flavour="datacenter", kind="comment_created", comment="hello")
    assert not [name for name in headers if name.startswith("x-atlassian")]
    assert headers["x-hub-signature"].startswith("sha256=")
    event = json.loads(body)
    assert "issue" not in event
    assert f"/issue/{issue['id']}/comment/" in event["comment"]["self"]


def test_automation_sends_the_bare_issue_with_a_static_token(jira, issue, receiver):
    token = {"secret": known.JIRA_AUTOMATION_TOKEN}
    ((headers, body),) = send(jira, receiver, flavour="automation", target=token)
    assert headers["authorization"] == f"Bearer {known.JIRA_AUTOMATION_TOKEN}"
    event = json.loads(body)
    assert event["id"] == int(issue["id"])
    assert not {"webhookEvent", "timestamp"} & set(event)


def test_automation_can_wrap_the_issue_and_name_its_header(jira, issue, receiver):
    target = {"secret": "s" * 24, "token_header": "X-Webhook-Secret"}
    ((headers, body),) = send(jira, receiver, flavour="automation_jira_format", target=target)
    assert headers["x-webhook-secret"] == "s" * 24
    assert set(json.loads(body)) == {"issue"}


def test_our_own_comment_causes_two_webhooks_by_our_account(api, jira, receiver):
    jira.register(url=receiver.url)
    api("POST", COMMENTS, {"body": GOOD})
    wait_for(lambda: len(receiver.seen) == 2)
    events = {event["webhookEvent"]: event for event in (json.loads(body) for _, _, body in receiver.seen)}
    assert set(events) == {"comment_created", "jira:issue_updated"}
    assert "user" not in events["comment_created"]
    assert events["comment_created"]["comment"]["author"]["accountId"] == "712020:bridge"
    assert events["jira:issue_updated"]["user"]["accountId"] == "712020:bridge"
    assert events["jira:issue_updated"]["issue_event_type_name"] == "issue_commented"
    identifiers = {headers["x-atlassian-webhook-identifier"] for _, headers, _ in receiver.seen}
    assert len(identifiers) == 2


def test_a_comment_that_a_fault_kept_from_being_carried_out_is_not_stored(api, jira):
    jira.fault("status", status=503)
    assert api("POST", COMMENTS, {"body": GOOD}).status == 503
    assert jira.comments() == []
    jira.fault("reset_after_read")
    with pytest.raises(ConnectionResetError):
        api("POST", COMMENTS, {"body": GOOD})
    assert len(jira.comments()) == 1


# ── changes over REST ────────────────────────────────────────────────────────────────────────────────────

ISSUE = "/rest/api/3/issue/SUP-101"


def transitions(api, headers=CLOUD, issue=ISSUE):
    offered = api("GET", f"{issue}/transitions", headers=headers).json["transitions"]
    return {each["to"]["name"]: each for each in offered}


def test_a_transition_is_made_by_its_id_which_differs_from_status_to_status(api, jira):
    first = transitions(api)["In Progress"]["id"]
    assert api("POST", f"{ISSUE}/transitions", {"transition": {"id": first}}).status == 204
    shown = api("GET", f"{ISSUE}?fields=status").json["fields"]["status"]
    assert (shown["name"], shown["statusCategory"]["key"]) == ("In Progress", "indeterminate")
    again = api("POST", f"{ISSUE}/transitions", {"transition": {"id": first}})
    assert (again.status, "not valid" in again.json["errorMessages"][0]) == (400, True)
    assert transitions(api)["Done"]["id"] != first
    (change,) = api("GET", f"{ISSUE}/changelog").json["values"]
    assert (change["author"]["accountId"], change["items"][0]["toString"]) == ("712020:bridge", "In Progress")


def test_a_screen_that_asks_for_a_field_refuses_its_transition(api, jira):
    jira.behave(screens_ask=True)
    closing = transitions(api)["Closed"]
    assert closing["hasScreen"] is True
    refused = api("POST", f"{ISSUE}/transitions", {"transition": {"id": closing["id"]}})
    assert (refused.status, refused.json["errors"]) == (
        400,
        {"resolution": "Please select a valid resolution."},
    )


@pytest.mark.parametrize(
    ("headers", "version", "key", "known_as"),
    [(CLOUD, 3, "accountId", "712020:bo"), (DATACENTER, 2, "name", "bo")],
)
def test_an_assignee_is_named_as_the_deployment_names_people(api, headers, version, key, known_as):
    issue = f"/rest/api/{version}/issue/SUP-101"
    assert api("PUT", f"{issue}/assignee", {key: known_as}, headers=headers).status == 204
    assert api("GET", issue, headers=headers).json["fields"]["assignee"][key] == known_as
    refused = api("PUT", f"{issue}/assignee", {key: "nobody"}, headers=headers)
    assert (refused.status, "assignee" in refused.json["errors"]) == (400, True)


def test_labels_are_added_once_unless_they_are_not_on_the_screen(api, jira):
    for _ in range(2):
        assert api("PUT", ISSUE, {"update": {"labels": [{"add": "bridge"}]}}).status == 204
    assert api("GET", ISSUE).json["fields"]["labels"] == ["bridge"]
    assert api("PUT", ISSUE, {"update": {"labels": [{"add": "two words"}]}}).status == 400
    jira.behave(labels_off_screen=True)
    assert "appropriate screen" in str(api("PUT", ISSUE, {"update": {"labels": [{"add": "x"}]}}).json)


def test_a_change_over_rest_is_told_to_every_target_with_its_author(api, jira):
    jira.register(url="http://127.0.0.1:1/hooks/jira", retry_waits=[])
    api("PUT", f"{ISSUE}/assignee", {"accountId": "712020:bo"})
    (sent,) = wait_for(jira.deliveries)
    event = json.loads(sent["body"])
    assert (event["webhookEvent"], event["user"]["accountId"]) == ("jira:issue_updated", "712020:bridge")
    assert event["changelog"]["items"][0]["field"] == "assignee"


def test_statuses_and_users_are_told(api):
    assert "In Progress" in [each["name"] for each in api("GET", "/rest/api/3/status").json]
    assert api("GET", "/rest/api/3/user?accountId=712020:bo").json["displayName"] == "Bo Approver"
    assert api("GET", "/rest/api/3/user?accountId=nobody").status == 404


# ── reading back ─────────────────────────────────────────────────────────────────────────────────────────


BO = {"accountId": "712020:bo", "displayName": "Bo Approver"}
DONE = {"field": "status", "before": "Open", "after": "Done"}


def change(jira, **more):
    order = {"key": "SUP-101", "fields": {"status": {"name": "Done"}}, "changes": [DONE], "actor": BO}
    return jira.call("POST", "changes", order | more)["change_id"]


def test_cloud_shows_the_newest_changes_with_the_issue_and_the_oldest_first_page_by_page(api, jira):
    numbers = [change(jira) for _ in range(101)]
    log = api("GET", "/rest/api/2/issue/SUP-101?expand=changelog").json["changelog"]
    assert (log["total"], len(log["histories"])) == (101, 100)
    assert [entry["id"] for entry in log["histories"]] == numbers[:0:-1]
    page = api("GET", "/rest/api/3/issue/SUP-101/changelog?startAt=0&maxResults=2").json
    assert [entry["id"] for entry in page["values"]] == numbers[:2]
    assert page["isLast"] is False
    assert page["values"][0]["author"] == BO
    assert page["values"][0]["items"][0]["toString"] == "Done"


@pytest.mark.parametrize(
    ("fields", "comment", "summary"),
    [
        ("*all", True, True),
        ("*all,-comment", False, True),
        ("-comment", False, True),
        ("summary", False, True),
    ],
)
def test_an_issue_is_shown_with_its_comments_unless_they_are_excluded(api, fields, comment, summary):
    api("POST", WIKI_COMMENTS, {"body": "please"})
    shown = api("GET", f"/rest/api/2/issue/SUP-101?fields={fields}").json["fields"]
    assert ("comment" in shown, "summary" in shown) == (comment, summary)


def test_data_center_shows_every_change_with_the_issue_and_has_no_pages(api, jira):
    numbers = [change(jira) for _ in range(101)]
    log = api("GET", "/rest/api/2/issue/SUP-101?expand=changelog", headers=DATACENTER).json["changelog"]
    assert [entry["id"] for entry in log["histories"]] == numbers
    assert api("GET", "/rest/api/2/issue/SUP-101/changelog", headers=DATACENTER).status == 404


def test_the_changelog_is_shown_only_where_it_is_asked_for(api):
    assert "changelog" not in api("GET", "/rest/api/2/issue/SUP-101").json


def test_a_webhook_and_the_changelog_name_a_change_alike(api, jira, receiver):
    target = {"url": receiver.url}
    sent = jira.webhook(kind="issue_updated", key="SUP-101", target=target, changes=[DONE], wait=True)
    log = api("GET", "/rest/api/2/issue/SUP-101?expand=changelog").json["changelog"]
    assert [entry["id"] for entry in log["histories"]] == [sent["change_id"]]


@pytest.mark.parametrize(
    ("status", "category"), [("Open", "new"), ("Doing", "indeterminate"), ("Done", "done")]
)
def test_a_status_says_its_category(api, jira, status, category):
    jira.call("POST", "changes", {"key": "SUP-101", "fields": {"status": {"name": status}}})
    fields = api("GET", "/rest/api/2/issue/SUP-101").json["fields"]
    assert fields["status"]["statusCategory"]["key"] == category


def test_cloud_searches_with_tokens_and_has_lost_the_old_search(api, jira):
    for number in range(3):
        fields = {"project": {"key": "OPS"}, "updated": f"2026-05-0{number + 1}T00:00:00.000+0000"}
        jira.call("PUT", "issues", {"key": f"OPS-{number}", "fields": fields})
    path = "/rest/api/3/search/jql?maxResults=2&fields=updated&jql=project+%3D+OPS+ORDER+BY+updated+DESC"
    first = api("GET", path).json
    assert [issue["key"] for issue in first["issues"]] == ["OPS-2", "OPS-1"]
    assert set(first["issues"][0]["fields"]) == {"updated"}
    last = api("GET", f"{path}&nextPageToken={first['nextPageToken']}").json
    assert [issue["key"] for issue in last["issues"]] == ["OPS-0"]
    assert "nextPageToken" not in last
    assert api("GET", path.replace("/jql?", "?")).status == 410
    assert api("GET", "/rest/api/3/search/jql").status == 400
    assert api("GET", "/rest/api/3/search/jql?jql=assignee+%3D+me").status == 400
    assert api("GET", f"{path}&nextPageToken=x").status == 400


def test_data_center_searches_with_offsets(api):
    path = "/rest/api/2/search?startAt=0&maxResults=1&jql=updated+%3E%3D+%222020-01-01%22"
    page = api("GET", path, headers=DATACENTER).json
    assert (page["total"], page["startAt"], len(page["issues"])) == (1, 0, 1)
    assert api("GET", "/rest/api/2/search/jql?jql=project+%3D+X", headers=DATACENTER).status == 404


def test_groups_have_a_route_of_their_own_on_cloud_and_stand_in_the_user_on_data_center(api, jira):
    bo = {"name": "bo", "key": "JIRAUSER10002", "displayName": "Bo Approver"}
    jira.call("PUT", "people", {"person": BO, "groups": ["approvers"]})
    jira.call("PUT", "people", {"person": bo, "groups": ["approvers"]})
    (group,) = api("GET", "/rest/api/3/user/groups?accountId=712020:bo").json
    assert group["name"] == "approvers"
    assert api("GET", "/rest/api/3/user/groups?accountId=nobody").status == 404
    plain = api("GET", "/rest/api/2/user?username=bo", headers=DATACENTER).json
    assert plain["groups"] == {"size": 1, "items": []}
    full = api("GET", "/rest/api/2/user?key=JIRAUSER10002&expand=groups", headers=DATACENTER).json
    assert [group["name"] for group in full["groups"]["items"]] == ["approvers"]
    assert api("GET", "/rest/api/2/user?username=x", headers=DATACENTER).status == 404


def test_an_approval_is_decided_by_those_who_were_asked_and_only_once(api, jira):
    ada = {"accountId": "712020:ada", "displayName": "Ada"}
    asked = jira.call("POST", "approvals", {"key": "SUP-101", "approvers": [BO, ada], "needed": 2})
    path, decide = "/rest/servicedeskapi/request/SUP-101/approval", f"approvals/{asked['id']}"
    jira.call("POST", decide, {"approver": "712020:bo", "decision": "approved"})
    (approval,) = api("GET", path).json["values"]
    assert approval["finalDecision"] == "pending"
    assert "completedDate" not in approval
    jira.call("POST", decide, {"approver": "712020:ada", "decision": "declined"})
    (approval,) = api("GET", path).json["values"]
    assert approval["finalDecision"] == "declined"
    assert [one["approverDecision"] for one in approval["approvers"]] == ["approved", "declined"]
    assert approval["completedDate"]["epochMillis"]
    for approver in ("712020:bo", "712020:eve"):
        with pytest.raises(SandboxError, match="409"):
            jira.call("POST", decide, {"approver": approver, "decision": "approved"})
