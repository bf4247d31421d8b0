"""The simulated portal refuses what the contract refuses, answers every code, and counts every call."""

from dataclasses import replace
from urllib.parse import urlencode

import pytest

from bridge.sandbox import credentials as known
from bridge.sandbox.client import NexthinkControl, SandboxError
from bridge.sandbox.nexthink.act import ENGINE_CODES, ERRORS
from bridge.sandbox.nexthink.world import DISABLED, NOT_MANUAL, REPAIR_OFFICE, ParamsEncoding, default_world
from bridge.sandbox.running import Sandbox

QUERY = '(select (device_uid name last_seen) (from device (where device (eq name (string "{}")))) (limit 2))'


def test_a_valid_call_is_answered_by_every_connected_engine(run, nexthink):
    answer = run()
    assert answer.status == 200
    assert [(entry["code"], entry["message"]) for entry in answer.json] == [("ok", ""), ("ok", "")]
    report = nexthink.calls()
    assert report["by_request_uid"] == {"run-1": 1}
    assert report["calls"][0]["executed"] is True
    assert len(report["calls"][0]["dispatched"]) == 1


def test_named_engines_answer_alone(run, uid_of_engine):
    one, gone = uid_of_engine("engine-emea-2"), uid_of_engine("engine-us-1")
    answer = run(engineDatabaseUids=[one, gone, "f" * 32])
    codes = [(entry["databaseUid"], entry["code"]) for entry in answer.json]
    assert codes == [(one, "ok"), (gone, "not_connected"), ("f" * 32, "excluded")]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"remoteActionUid": ...}, "NO_REMOTE_ACTION_UID"),
        ({"remoteActionUid": "repair-office"}, "INVALID_ACTION_UID"),
        ({"remoteActionUid": "ffffffff-0000-4000-8000-000000000000"}, "UNKNOWN_OR_DISABLED_REMOTE_ACTION"),
        ({"remoteActionUid": DISABLED}, "UNKNOWN_OR_DISABLED_REMOTE_ACTION"),
        ({"remoteActionUid": NOT_MANUAL}, "NO_MANUAL_EXECUTION"),
        ({"deviceUids": ...}, "NO_DEVICES"),
        ({"deviceUids": []}, "NO_DEVICES"),
        ({"deviceUids": ["WS-ABC-12345"]}, "INVALID_DEVICE_UID"),
        ({"deviceUids": ["A" * 32]}, "INVALID_DEVICE_UID"),
        ({"deviceUids": ["0" * 32] * 501}, "TOO_MANY_DEVICES"),
        ({"deviceUids": "0" * 32}, "INVALID_REQUEST_CONTENT"),
        ({"engineDatabaseUids": []}, "INVALID_REQUEST_CONTENT"),
        ({"engineDatabaseUids": ["engine-emea-1"]}, "INVALID_REQUEST_CONTENT"),
        ({"timeoutSeconds": "60"}, "INVALID_REQUEST_CONTENT"),
        ({"timeoutSeconds": True}, "INVALID_REQUEST_CONTENT"),
        ({"requestUid": 7}, "INVALID_REQUEST_CONTENT"),
        ({"params": [{"name": "Mode", "value": "silent"}]}, "INVALID_REQUEST_CONTENT"),
        ({"params": {"Mode": 1}}, "INVALID_REQUEST_CONTENT"),
        ({"DeviceUids": ["0" * 32]}, "INVALID_REQUEST_CONTENT"),
    ],
)
def test_a_field_that_breaks_the_contract_is_refused_by_its_code(run, nexthink, fields, code):
    answer = run(**fields)
    assert answer.status == ERRORS[code][0]
    assert set(answer.json) == {"code", "error"}
    assert answer.json["code"] == code
    assert [call["executed"] for call in nexthink.calls()["calls"]] == [False]


@pytest.mark.parametrize(
    ("raw", "headers", "code"),
    [
        (b"{", {}, "INVALID_REQUEST_JSON"),
        (b"[1]", {}, "INVALID_REQUEST_CONTENT"),
        (b"{}", {"Content-Type": "text/plain"}, "CONTENT_TYPE"),
        (b"{}", {"Content-Type": "application/json; charset=latin-1"}, "ENCODING"),
        (b'{"requestUid": "\xe9"}', {}, "ENCODING"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_by_its_code(run, raw, headers, code):
    answer = run(raw=raw, headers=headers)
    assert (answer.status, answer.json["code"]) == (400, code)


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_code_can_be_asked_for(run, nexthink, code):
    nexthink.answer(error=code, times=1)
    answer = run()
    assert (answer.status, answer.json["code"]) == (ERRORS[code][0], code)
    assert run().status == 200


@pytest.mark.parametrize("code", [*ENGINE_CODES, "a_new_code"])
def test_every_engine_code_can_be_asked_for_one_engine(run, nexthink, code):
    nexthink.answer(engine="engine-emea-2", code=code, message="from [192.0.2.10:999]")
    codes = [(entry["code"], entry["message"]) for entry in run().json]
    assert codes == [("ok", ""), (code, "from [192.0.2.10:999]")]


def test_an_answer_for_one_device_leaves_others_alone(run, nexthink, uid_of_device):
    nexthink.answer(device="WS-ABC-23456", code="engine_error")
    assert {entry["code"] for entry in run().json} == {"ok"}
    assert {entry["code"] for entry in run(deviceUids=[uid_of_device("WS-ABC-23456")]).json} == {
        "engine_error"
    }


def test_a_script_without_sense_is_refused(nexthink):
    with pytest.raises(SandboxError, match="either code or error"):
        nexthink.answer(code="ok", error="NO_DEVICES")
    with pytest.raises(SandboxError, match="cod"):
        nexthink.answer(cod="ok")


def test_get_on_run_is_404(request_, nexthink):
    assert request_(nexthink.url, "GET", "/api/remoteaction/v2/run").status == 404


def test_wrong_credentials_are_401_in_html_and_nothing_runs(run, nexthink):
    for value in ("", known.basic(known.NEXTHINK_USERNAME, "wrong"), "Bearer x", "\xff"):
        answer = run(headers={"Authorization": value})
        assert (answer.status, answer.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert nexthink.calls()["executed_by_device_and_action"] == {}


def test_an_account_without_the_right_is_no_permission(run):
    viewer = known.basic(known.NEXTHINK_VIEWER_USERNAME, known.NEXTHINK_VIEWER_PASSWORD)
    answer = run(headers={"Authorization": viewer})
    assert (answer.status, answer.json["code"]) == (403, "NO_PERMISSION")


def test_params_that_the_action_does_not_know_are_ignored_in_silence(run, nexthink):
    assert run(params={"Mode": "silent", "mode": "force"}).status == 200
    assert nexthink.calls()["calls"][0]["ignored_params"] == ["mode"]


def test_a_portal_may_want_params_as_a_list(request_):
    listed = [{"name": "Mode", "value": "silent"}]
    wrong = [
        {"Mode": "silent"},
        [{"name": "Mode"}],
        [{"name": 1, "value": "x"}],
        [{"name": "Mode", "value": 1}],
    ]
    with Sandbox(world=default_world(params_encoding=ParamsEncoding.LIST)) as sandbox:

        def status(params):
            body = {"remoteActionUid": REPAIR_OFFICE, "deviceUids": ["0" * 32], "params": params}
            auth = {"Authorization": known.basic(known.NEXTHINK_USERNAME, known.NEXTHINK_PASSWORD)}
            path = "/api/remoteaction/v2/run"
            return request_(sandbox.nexthink_url, "POST", path, body=body, headers=auth).status

        assert status(listed) == 200
        assert [status(params) for params in wrong] == [400] * 4
        (call,) = [
            call for call in NexthinkControl(url=sandbox.nexthink_url).calls()["calls"] if call["executed"]
        ]
    assert call["params"] == {"Mode": "silent"}


def test_a_world_without_connected_engines_has_none_to_target(request_):
    world = replace(
        default_world(), engines=tuple(replace(e, connected=False) for e in default_world().engines)
    )
    with Sandbox(world=world) as sandbox:
        body = {"remoteActionUid": REPAIR_OFFICE, "deviceUids": ["0" * 32]}
        auth = {"Authorization": known.basic(known.NEXTHINK_USERNAME, known.NEXTHINK_PASSWORD)}
        answer = request_(sandbox.nexthink_url, "POST", "/api/remoteaction/v2/run", body=body, headers=auth)
    assert (answer.status, answer.json["code"]) == (403, "NO_ENGINES_TO_TARGET")


def test_a_repeated_call_runs_again_because_there_is_no_idempotency(run, nexthink, uid_of_device):
    run()
    run()
    report = nexthink.calls()
    assert report["by_request_uid"] == {"run-1": 2}
    assert set(report["executed_by_device_and_action"].values()) == {2}


# ── List Engines and NXQL ────────────────────────────────────────────────────────────────────────────────


def query(request_, nexthink, name, *, engine="engine-emea-1", text=None, **form):
    body = {"query": text or QUERY.format(name), "platform": "windows", "format": "json"} | form
    headers = {
        "Authorization": known.basic(known.NEXTHINK_USERNAME, known.NEXTHINK_PASSWORD),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    data = urlencode({key: value for key, value in body.items() if value}).encode()
    return request_(nexthink.url, "POST", f"/nxql/{engine}/2/query", body=data, headers=headers)


def test_list_engines_spells_the_uid_its_own_way(request_, nexthink):
    auth = {"Authorization": known.basic(known.NEXTHINK_USERNAME, known.NEXTHINK_PASSWORD)}
    answer = request_(nexthink.url, "GET", "/api/configuration/v1/engines", headers=auth)
    states = [(engine["name"], engine["status"]) for engine in answer.json]
    assert states == [
        ("engine-emea-1", "CONNECTED"),
        ("engine-emea-2", "CONNECTED"),
        ("engine-us-1", "NOT_CONNECTED"),
    ]
    assert all(len(engine["databaseUID"]) == 32 for engine in answer.json)
    assert request_(nexthink.url, "GET", "/api/configuration/v1/engines").status == 401


def test_a_name_is_found_on_the_engine_that_knows_it(request_, nexthink, uid_of_device):
    rows = query(request_, nexthink, "WS-ABC-12345").json
    assert rows == [
        {
            "device_uid": uid_of_device("WS-ABC-12345"),
            "name": "WS-ABC-12345",
            "last_seen": "2026-11-02T08:15:00",
        }
    ]
    assert query(request_, nexthink, "WS-ABC-12345", engine="engine-emea-2").json == []
    assert query(request_, nexthink, "ws-abc-12345").json == []


def test_one_device_may_be_on_two_engines_and_one_name_on_two_devices(request_, nexthink):
    def uids(name):
        engines = ("engine-emea-1", "engine-emea-2")
        return [query(request_, nexthink, name, engine=engine).json[0]["device_uid"] for engine in engines]

    assert len(set(uids("WS-ABC-34567"))) == 1
    assert len(set(uids("WS-ABC-45678"))) == 2


def test_a_uid_is_found_by_its_own_type(request_, nexthink, uid_of_device):
    uid = uid_of_device("WS-ABC-12345")
    text = QUERY.format("x").replace('name (string "x")', f'device_uid (md5 "{uid}")')
    assert query(request_, nexthink, "", text=text).json[0]["name"] == "WS-ABC-12345"
    wrong = text.replace("md5", "string")
    assert query(request_, nexthink, "", text=wrong).status == 400


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (QUERY.format('x")))) (update (set #Cat (enum "y'), 400),
        (QUERY.replace("string", "pattern").format("WS-*"), 400),
        (QUERY.format("%1"), 400),
        (QUERY.replace("(limit 2)", "").format("x"), 400),
        ('(update (set #Category (enum "x")) (from device))', 403),
        ("(select (device_uid) (from user) (limit 2))", 400),
    ],
)
def test_a_query_that_is_not_the_lookup_is_refused_with_a_page(request_, nexthink, text, status):
    answer = query(request_, nexthink, "", text=text)
    assert answer.status == status
    assert b"error_message" in answer.body


@pytest.mark.parametrize("form", [{"format": "csv"}, {"format": ""}, {"platform": ""}, {"platform": "linux"}])
def test_options_that_the_engine_does_not_know_are_refused(request_, nexthink, form):
    assert query(request_, nexthink, "WS-ABC-12345", **form).status == 400


def test_an_engine_that_is_down_and_one_that_does_not_exist_answer_pages(request_, nexthink):
    assert query(request_, nexthink, "x", engine="engine-us-1").status == 503
    assert query(request_, nexthink, "x", engine="engine-9").status == 404


LAST_USER = (
    "(select (name last_logged_on_user last_logon_time) "
    '(from device (where device (eq last_logged_on_user (string "{}")))) (limit 100))'
)


def test_an_engine_knows_the_last_logon_to_each_device_and_no_other(request_, nexthink):
    def found(user, **where):
        return query(request_, nexthink, "", text=LAST_USER.format(user), **where).json

    for user, at in (("ada@CORP", "2026-01-01T08:00:00"), ("bob@CORP", "2026-01-02T08:00:00")):
        nexthink.log_on(user, "WS-ABC-12345", engine="engine-emea-1", at=at)
    nexthink.log_on("ada@CORP", "WS-ABC-34567", engine="engine-emea-1", at="2026-01-03T08:00:00")
    assert found("ada@CORP") == [
        {
            "name": "WS-ABC-34567",
            "last_logged_on_user": "ada@CORP",
            "last_logon_time": "2026-01-03T08:00:00",
        }
    ]
    assert [row["name"] for row in found("bob@CORP")] == ["WS-ABC-12345"]
    assert found("bob@corp") == found("bob@CORP", engine="engine-emea-2") == []
    nexthink.reset()
    assert found("bob@CORP") == []


def test_a_text_field_is_compared_with_a_string(request_, nexthink):
    text = LAST_USER.format("ada").replace("string", "md5")
    assert query(request_, nexthink, "", text=text).status == 400
