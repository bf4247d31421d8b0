"""The simulated ServiceNow keeps the Table API's rules and its traps, and signs like the shipped rule."""

import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.sandbox import credentials as known
from bridge.sandbox.client import wait_for
from bridge.sandbox.scenario import servicenow_columns

AUTH = {"Authorization": known.basic(known.SERVICENOW_USERNAME, known.SERVICENOW_PASSWORD)}
JOURNAL = "/api/now/table/sys_journal_field"


@pytest.fixture
def record(servicenow):
    return put(servicenow, "INC0010001")


def put(servicenow, number):
    columns = servicenow_columns(
        number=number, device="WS-ABC-12345", state=("1", "New"), summary="A summary", table="incident"
    )
    return servicenow.call("PUT", "records", {"table": "incident", "columns": columns})


@pytest.fixture
def api(request_, servicenow):
    def call(method, path, body=None, **headers):
        return request_(servicenow.url, method, path, body=body, headers=AUTH | headers)

    return call


@pytest.fixture
def path(record):
    return f"/api/now/table/incident/{record['sys_id']}"


# ── Table API ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_work_note_goes_to_the_journal_and_reads_back_empty(api, path, record, servicenow):
    answer = api(
        "PATCH", f"{path}?sysparm_fields=sys_id,number,sys_mod_count,nonsense", {"work_notes": "bridge-1"}
    )
    assert answer.status == 200
    assert answer.json == {
        "result": {"sys_id": record["sys_id"], "number": "INC0010001", "sys_mod_count": "1"}
    }
    assert api("GET", f"{path}?sysparm_fields=work_notes").json == {"result": {"work_notes": ""}}
    shown = api("GET", f"{path}?sysparm_fields=work_notes&sysparm_display_value=true").json
    assert "bridge-1" in shown["result"]["work_notes"]
    (comment,) = servicenow.comments()
    assert (comment["ticket"], comment["field"], comment["text"]) == ("INC0010001", "work_notes", "bridge-1")
    assert comment["author"] == known.SERVICENOW_USERNAME


def test_one_patch_is_one_step_of_the_count(api, path):
    api("PATCH", path, {"work_notes": "a", "comments": "b", "state": 2})
    result = api("GET", path).json["result"]
    assert (result["sys_mod_count"], result["state"]) == ("1", "2")
    assert result["sys_updated_by"] == known.SERVICENOW_USERNAME


@pytest.mark.parametrize("headers", [{"Accept": "*/*"}, {"Accept": ""}, {"Content-Type": "text/plain"}])
def test_a_patch_without_both_headers_is_400(api, path, servicenow, headers):
    answer = api("PATCH", path, {"work_notes": "x"}, **headers)
    assert answer.status == 400
    assert answer.json["status"] == "failure"
    assert servicenow.comments() == []


def test_the_error_object_is_the_documented_one(api, path):
    missing = api("GET", "/api/now/table/incident/" + "0" * 32)
    assert missing.status == 404
    assert missing.json["error"]["message"] == "No Record found"
    assert api("GET", "/api/now/table/u_nothing").status == 400
    assert api("PATCH", path, b"{").status == 400
    unsigned = api("GET", path, Authorization="")
    assert (unsigned.status, unsigned.json["error"]["message"]) == (401, "User Not Authenticated")


@pytest.mark.parametrize(
    "headers",
    [
        AUTH,
        {"Authorization": known.bearer(known.SERVICENOW_TOKEN)},
        {"Authorization": "", "x-sn-apikey": known.SERVICENOW_API_KEY},
    ],
)
def test_basic_bearer_and_api_key_sign_in(api, path, headers):
    assert api("GET", path, **headers).status == 200


def test_a_write_that_acl_or_data_policy_forbids_is_403(api, path, servicenow):
    assert api("PATCH", path, {"state": "6"}).status == 403
    assert api("PATCH", path, {"state": "6", "close_code": "Solved", "close_notes": "x"}).status == 200
    servicenow.behave(writes_forbidden=True)
    assert api("PATCH", path, {"work_notes": "x"}).status == 403
    assert servicenow.comments() == []


def test_names_are_written_as_people_see_them_and_a_wrong_one_leaves_an_empty_reference(api, path):
    query = "sysparm_fields=state,assignment_group,assigned_to,active&sysparm_display_value=all"

    def write(fields, named="true"):
        answer = api("PATCH", f"{path}?{query}&sysparm_input_display_value={named}", fields)
        assert answer.status == 200
        return {name: (each["value"], each["display_value"]) for name, each in answer.json["result"].items()}

    seen = write({"state": "On Hold", "assignment_group": "Endpoint on call", "assigned_to": "Ada Example"})
    assert seen["state"] == ("3", "On Hold")
    assert seen["assigned_to"] == ("5a5ab0b1c0a8016500000000000000a1", "Ada Example")
    assert seen["assignment_group"][1] == "Endpoint on call"
    assert write({"state": "2", "assignment_group": seen["assignment_group"][0]}, named="false") == {
        **seen,
        "state": ("2", "In Progress"),
    }
    assert write({"assignment_group": "Nobody's group"})["assignment_group"] == ("", "")
    closed = {"state": "Closed", "close_code": "Solved", "close_notes": "x"}
    assert write(closed)["active"] == ("false", "false")


def test_groups_users_and_choices_are_listed(api):
    def listed(table, query):
        return api("GET", f"/api/now/table/{table}?sysparm_query={query}").json["result"]

    assert [row["name"] for row in listed("sys_user_group", "name=Service%20Desk")] == ["Service Desk"]
    assert [row["user_name"] for row in listed("sys_user", "name=Ada%20Example")] == ["ada"]
    (row,) = listed("sys_choice", "name=incident^element=state^label=On%20Hold")
    assert (row["value"], row["inactive"]) == ("3", "false")


def test_values_are_shown_in_three_ways(api, path):
    def cmdb_ci(query):
        return api("GET", f"{path}?sysparm_fields=cmdb_ci,priority&{query}").json["result"]

    plain = cmdb_ci("sysparm_display_value=false")
    assert plain["priority"] == "2"
    assert plain["cmdb_ci"]["value"] == "affd3c8437201000deeabfc8bcbe5dc3"
    assert cmdb_ci("sysparm_exclude_reference_link=true")["cmdb_ci"] == "affd3c8437201000deeabfc8bcbe5dc3"
    display = cmdb_ci("sysparm_display_value=true&sysparm_exclude_reference_link=true")
    assert display == {"cmdb_ci": "WS-ABC-12345", "priority": "2 - High"}
    both = cmdb_ci("sysparm_display_value=all")
    assert both["priority"] == {"display_value": "2 - High", "value": "2"}


def test_the_bridge_finds_its_own_account(api):
    query = "/api/now/table/sys_user?sysparm_query=user_name=svc.bridge&sysparm_fields=sys_id,user_name"
    assert [user["user_name"] for user in api("GET", query).json["result"]] == ["svc.bridge"]


# ── the traps of the journal ─────────────────────────────────────────────────────────────────────────────


def journal(api, query):
    return [entry["value"] for entry in api("GET", f"{JOURNAL}?sysparm_query={query}").json["result"]]


def test_a_marker_is_found_newest_first(api, path, record):
    for text in ("bridge-1 first", "nothing", "bridge-1 second"):
        api("PATCH", path, {"work_notes": text})
    query = f"element_id={record['sys_id']}^element=work_notes^valueLIKEbridge-1^ORDERBYDESCsys_created_on"
    assert journal(api, query) == ["bridge-1 second", "bridge-1 first"]
    assert len(api("GET", f"{JOURNAL}?sysparm_query={query}&sysparm_limit=1").json["result"]) == 1


def test_an_invalid_query_part_is_ignored_and_a_strangers_row_comes_back(api, path, servicenow):
    other = put(servicenow, "INC0010002")
    api("PATCH", path, {"work_notes": "bridge-1"})
    query = f"elementid={other['sys_id']}^valueLIKEbridge-1"
    assert journal(api, query) == ["bridge-1"]
    assert journal(api, f"element_id={other['sys_id']}^valueLIKEbridge-1") == []


def test_a_journal_hidden_by_an_acl_is_200_and_empty(api, path, record, servicenow):
    api("PATCH", path, {"work_notes": "bridge-1"})
    servicenow.behave(journal_hidden=True)
    assert journal(api, f"element_id={record['sys_id']}") == []
    shown = api("GET", f"{path}?sysparm_display_value=true").json["result"]
    assert "bridge-1" in shown["work_notes"]


def test_a_deleted_record_keeps_its_journal(api, path, record, servicenow):
    api("PATCH", path, {"work_notes": "bridge-1"})
    servicenow.call("DELETE", f"records/incident/{record['sys_id']}")
    assert api("PATCH", path, {"work_notes": "x"}).status == 404
    assert journal(api, f"element_id={record['sys_id']}") == ["bridge-1"]


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────────────────


def send(servicenow, receiver, **more):
    target = {"url": receiver.url, "rule": "approved"} | more.pop("target", {})
    servicenow.webhook(table="incident", number="INC0010001", target=target, wait=True, **more)
    return [(headers, body) for _, headers, body in receiver.seen]


STATE = {"state": {"value": "2", "display": "In Progress"}}


def test_the_rule_signs_by_standard_webhooks_and_sends_both_values(servicenow, record, receiver):
    ((headers, body),) = send(servicenow, receiver, columns=STATE)
    Webhook(known.SERVICENOW_WEBHOOK_SECRET).verify(body, headers)
    assert headers["webhook-id"] == f"incident:{record['sys_id']}:1:approved"
    event = json.loads(body)
    assert (event["operation"], event["sys_mod_count"], event["updated_by"]) == ("update", "1", "bo.agent")
    assert event["record"]["cmdb_ci"]["display_value"] == "WS-ABC-12345"
    assert event["changes"] == [
        {
            "field": "state",
            "from": {"value": "1", "display_value": "New"},
            "to": {"value": "2", "display_value": "In Progress"},
        }
    ]
    body.decode("ascii")


def test_a_message_that_stood_in_the_queue_too_long_is_outside_the_window(servicenow, record, receiver):
    ((headers, body),) = send(servicenow, receiver, columns=STATE, seconds_ago=301)
    assert int(headers["webhook-timestamp"]) < datetime.now(UTC).timestamp() - 300
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(known.SERVICENOW_WEBHOOK_SECRET).verify(body, headers)


def test_the_rule_sends_at_most_once_whatever_the_answer(servicenow, record, receiver):
    receiver.statuses = [503]
    assert len(send(servicenow, receiver, columns=STATE)) == 1


def test_an_insert_and_a_persons_comment_are_told_as_such(servicenow, record, receiver):
    send(servicenow, receiver, operation="insert")
    send(servicenow, receiver, columns={"comments": {"value": "it is me"}})
    first, second = (json.loads(body) for _, _, body in receiver.seen)
    assert (first["operation"], first["changes"], first["sys_mod_count"]) == ("insert", [], "0")
    assert second["comment"]["field"] == "comments"
    assert second["comment"]["text"].endswith(" - bo.agent (Additional comments)\nit is me\n\n")


@pytest.mark.parametrize(
    ("target", "name", "value"),
    [
        ({"scheme": "token", "secret": "s" * 24}, "authorization", "Bearer " + "s" * 24),
        ({"scheme": "token", "secret": "s" * 24, "token_header": "X-Token"}, "x-token", "s" * 24),
        ({"scheme": "basic", "secret": "ada:pass"}, "authorization", known.basic("ada", "pass")),
    ],
)
def test_a_rule_may_prove_itself_otherwise(servicenow, record, receiver, target, name, value):
    ((headers, _),) = send(servicenow, receiver, columns=STATE, target=target)
    assert headers[name] == value
    assert "webhook-signature" not in headers


def test_our_own_note_runs_the_rule_unless_it_is_guarded(api, path, servicenow, receiver):
    servicenow.register(url=receiver.url, rule="guarded", guarded=True)
    servicenow.register(url=receiver.url, rule="open")
    api("PATCH", path, {"work_notes": "bridge-1"})
    wait_for(lambda: receiver.seen)
    ((_, _, body),) = receiver.seen
    event = json.loads(body)
    assert (event["rule"], event["updated_by"]) == ("open", known.SERVICENOW_USERNAME)
    assert event["comment"]["field"] == "work_notes"
    assert event["comment"]["text"].endswith("\nbridge-1\n\n")


# ── reading back ─────────────────────────────────────────────────────────────────────────────────────────


def rows(api, table, query="", **parameters):
    asked = urlencode({"sysparm_query": query, "sysparm_exclude_reference_link": "true", **parameters})
    return api("GET", f"/api/now/table/{table}?{asked}").json["result"]


def change(servicenow, value="2", display="In Progress", **more):
    columns = {"state": {"value": value, "display": display}}
    order = {"table": "incident", "number": "INC0010001", "columns": columns, "by": "bo.agent"}
    return servicenow.call("POST", "changes", order | more)


def test_a_change_stands_in_the_audit_as_it_is_stored_and_in_the_history_as_it_was_shown_too(
    api, servicenow, record
):
    change(servicenow)
    (audit,) = rows(api, "sys_audit", f"documentkey={record['sys_id']}")
    assert (audit["fieldname"], audit["oldvalue"], audit["newvalue"]) == ("state", "1", "2")
    assert (audit["user"], audit["record_checkpoint"]) == ("bo.agent", "1")
    names = "field,new,new_value,update,user.user_name"
    (line,) = rows(api, "sys_history_line", f"set.id={record['sys_id']}", sysparm_fields=names)
    assert line == {
        "field": "state",
        "new": "In Progress",
        "new_value": "2",
        "update": "1",
        "user.user_name": "bo.agent",
    }


def test_an_unseen_history_has_no_lines_and_hidden_tables_look_empty(api, servicenow, record):
    servicenow.behave(history_unseen=True)
    change(servicenow)
    assert rows(api, "sys_history_line") == []
    assert len(rows(api, "sys_audit")) == 1
    servicenow.behave(hidden_tables=["sys_audit", "sys_user"])
    assert rows(api, "sys_audit") == []
    path = f"/api/now/table/incident/{record['sys_id']}?sysparm_fields=assigned_to.user_name"
    assert api("GET", path).json["result"] == {"assigned_to.user_name": ""}


def test_a_bridge_write_stands_in_the_audit_too(api, path, servicenow):
    api("PATCH", path, {"priority": "1"})
    assert [(row["fieldname"], row["user"]) for row in rows(api, "sys_audit")] == [
        ("priority", known.SERVICENOW_USERNAME)
    ]


def test_queries_compare_times_know_lists_and_join_with_or(api, servicenow, record):
    put(servicenow, "INC0010002")
    put(servicenow, "INC0010003")

    def numbers(query):
        return [row["number"] for row in rows(api, "incident", query)]

    assert numbers("numberININC0010001,INC0010003") == ["INC0010001", "INC0010003"]
    assert numbers("number=INC0010001^ORnumber=INC0010002^ORDERBYDESCnumber") == ["INC0010002", "INC0010001"]
    assert numbers("sys_updated_on>=2999-01-01 00:00:00") == []
    assert len(numbers("sys_updated_on>=2020-01-01 00:00:00^sys_updated_on<=2999-01-01 00:00:00")) == 3
    assert numbers("assigned_to.user_name=bo.agent^numberLIKE3") == ["INC0010003"]
    assert len(numbers("nonsense>=1^state=1")) == 3


def test_a_change_can_be_old(api, path, servicenow):
    change(servicenow, seconds_ago=7_200)
    written = datetime.fromisoformat(api("GET", path).json["result"]["sys_updated_on"] + "+00:00")
    assert 7_190 < (datetime.now(UTC) - written).total_seconds() < 7_300


@pytest.mark.parametrize(("state", "active"), [("6", "true"), ("7", "false")])
def test_a_closed_incident_is_not_active(api, path, servicenow, state, active):
    change(servicenow, value=state, display="x")
    assert api("GET", path).json["result"]["active"] == active


def test_members_of_groups_are_rows(api, servicenow):
    servicenow.call("PUT", "people", {"user_name": "cleo", "name": "Cleo", "groups": ["CAB", "Desk"]})
    servicenow.call("PUT", "people", {"user_name": "cleo", "groups": ["CAB"]})
    (member,) = rows(api, "sys_user_grmember", "user.user_name=cleo", sysparm_fields="group.name")
    assert member == {"group.name": "CAB"}


def test_an_approval_is_a_row_and_decides_the_records_own_column(api, path, servicenow, record):
    order = {"table": "incident", "number": "INC0010001", "approver": "bo.agent"}
    first, second = (servicenow.call("POST", "approvals", order)["sys_id"] for _ in range(2))
    assert api("GET", path).json["result"]["approval"] == "requested"
    servicenow.call("POST", f"approvals/{first}", {"state": "approved"})
    assert api("GET", path).json["result"]["approval"] == "requested"
    servicenow.call("POST", f"approvals/{second}", {"state": "approved", "by": "ada"})
    assert api("GET", path).json["result"]["approval"] == "approved"
    names = "state,approver.user_name,sys_updated_by,sysapproval.approval"
    query = f"sysapproval={record['sys_id']}"
    told = rows(api, "sysapproval_approver", query, sysparm_fields=names)
    assert [row["sys_updated_by"] for row in told] == ["bo.agent", "ada"]
    assert {row["approver.user_name"] for row in told} == {"bo.agent"}
    assert {(row["state"], row["sysapproval.approval"]) for row in told} == {("approved", "approved")}


def test_the_kept_tables_cannot_be_written_over_rest(api, servicenow, record):
    order = {"table": "incident", "number": "INC0010001", "approver": "bo.agent"}
    asked = servicenow.call("POST", "approvals", order)["sys_id"]
    answer = api("PATCH", f"/api/now/table/sysapproval_approver/{asked}", {"state": "approved"})
    assert answer.status == 403
