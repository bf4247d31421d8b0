"""The Act request on the wire, and the tables of what every answer proves."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.comments.wording import ENGINE_WORDS, ERROR_WORDS
from bridge.errors import Reason
from bridge.models import (
    CallResult,
    CallState,
    Device,
    DeviceUid,
    EngineCode,
    EngineUid,
    HttpResponse,
    NoResponse,
    Part,
    PortalName,
)
from bridge.nexthink import ParamsEncoding, PortalConfig
from bridge.nexthink.act import decipher, run_request

A, B = "a" * 32, "b" * 32
PORTAL = PortalConfig(name=PortalName("main"), base_url="https://p.example.com", username="u", password="p")
PART = Part(
    number=1, devices=(Device(uid=DeviceUid("1" * 32), name=None),), engines=(EngineUid(A), EngineUid(B))
)

Make = Callable[..., Any]


def sent(portal: PortalConfig, part: Part, params: tuple[tuple[str, str], ...] = ()) -> Any:
    request = run_request(
        portal, request_uid="r1-1-1", remote_action_uid="guid", part=part, timeout_seconds=60, params=params
    )
    assert request.body is not None
    return json.loads(request.body)


def answer(body: Any, status: int = 200, *headers: tuple[str, str]) -> HttpResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status=status, headers=headers, body=raw)


def judged(
    response: HttpResponse | NoResponse, portal: PortalConfig = PORTAL, part: Part = PART
) -> CallResult:
    return decipher(portal, response, part, {EngineUid(A): "EngineA"})


# ── the request ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_request_has_every_field_of_the_contract(portal: Make, part: Make) -> None:
    request = run_request(
        portal(),
        request_uid="r1-1-1",
        remote_action_uid="07844969-1889-4de3-9026-020af94be855",
        part=part("ab"),
        timeout_seconds=90,
        params=(("Mode", "silent"), ("KB", "KB0012345")),
    )
    assert (request.method, request.url) == ("POST", "https://portal.example.com/api/remoteaction/v2/run")
    headers = dict(request.headers)
    assert headers["Content-Type"] == "application/json"
    assert (
        base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode("utf-8") == "bridge:pässword"
    )
    assert request.body is not None
    assert json.loads(request.body) == {
        "requestUid": "r1-1-1",
        "remoteActionUid": "07844969-1889-4de3-9026-020af94be855",
        "deviceUids": ["1" * 32],
        "engineDatabaseUids": [A, B],
        "timeoutSeconds": 90,
        "params": {"Mode": "silent", "KB": "KB0012345"},
    }


def test_all_engines_and_no_params_are_left_out(portal: Make, part: Make) -> None:
    assert sent(portal(), part()).keys() == {"requestUid", "remoteActionUid", "deviceUids", "timeoutSeconds"}


def test_params_may_be_a_list(portal: Make, part: Make) -> None:
    content = sent(portal(params_encoding=ParamsEncoding.LIST), part(), (("Mode", "é"),))
    assert content["params"] == [{"name": "Mode", "value": "é"}]


def test_s10_an_empty_list_of_engines_is_never_serialised(portal: Make, part: Make) -> None:
    with pytest.raises(ValueError, match="never an empty list"):
        sent(portal(), replace(part(), engines=()))
    with pytest.raises(ValueError, match="device"):
        sent(portal(), replace(part(), devices=()))


def test_a_password_is_in_no_repr(portal: Make, part: Make) -> None:
    request = run_request(
        portal(), request_uid="r", remote_action_uid="g", part=part(), timeout_seconds=1, params=()
    )
    assert "pässword" not in repr(portal())
    assert "Basic" not in repr(request)


# ── position (S2) ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("reason", list(Reason))
def test_s2_position_alone_decides_without_an_answer(reason: Reason) -> None:
    assert judged(NoResponse(sent=False, reason=reason, detail="x")).state is CallState.NOT_SENT
    assert judged(NoResponse(sent=True, reason=reason, detail="x")).state is CallState.UNKNOWN


# ── the table of engine codes ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "code", ["ok", "timeout", "engine_error", "not_connected", "excluded", "no_permission"]
)
def test_every_engine_code_becomes_a_typed_outcome_with_words(code: str) -> None:
    result = judged(
        answer([{"databaseUid": A, "code": code, "message": "m"}, {"databaseUid": B, "code": "ok"}])
    )
    first, second = result.outcomes
    assert result.state is CallState.ANSWERED
    assert (first.engine, first.name, first.code, first.code_text) == (A, "EngineA", EngineCode(code), code)
    assert (first.message, second.message, second.name) == ("m", "", None)
    assert ENGINE_WORDS[first.code].result


@pytest.mark.parametrize("code", ["OK", "unrecognised", "queued", "ok "])
def test_a_code_never_seen_is_unrecognised_and_kept(code: str) -> None:
    (first, _) = judged(answer([{"databaseUid": A, "code": code}, {"databaseUid": B, "code": "ok"}])).outcomes
    if code.strip() == "ok":
        assert first.code is EngineCode.OK  # white space around it is not another code
    else:
        assert (first.code, first.code_text) == (EngineCode.UNRECOGNISED, code)


def test_an_engine_that_was_targeted_and_is_silent_has_a_row_without_a_code() -> None:
    result = judged(answer([{"databaseUid": A, "code": "ok"}]))
    assert [(outcome.engine, outcome.code, outcome.code_text) for outcome in result.outcomes] == [
        (A, EngineCode.OK, "ok"),
        (B, EngineCode.UNRECOGNISED, ""),
    ]


def test_with_all_engines_nobody_is_missed() -> None:
    result = judged(answer([{"databaseUid": A, "code": "ok"}]), part=replace(PART, engines=None))
    assert len(result.outcomes) == 1


def test_an_engine_that_answers_twice_has_one_row_and_neither_answer_is_believed() -> None:
    twice = [{"databaseUid": A, "code": "ok"}, {"databaseUid": A.upper(), "code": "engine_error"}]
    (outcome,) = judged(answer(twice), part=replace(PART, engines=(EngineUid(A),))).outcomes
    assert (outcome.code, outcome.code_text) == (EngineCode.UNRECOGNISED, "ok and engine_error")


def test_an_entry_that_cannot_be_read_does_not_hide_the_others() -> None:
    mixed = [{"databaseUid": A, "code": "ok"}, {"databaseUID": B, "code": "ok"}, 7, {"code": ["ok"]}]
    result = judged(answer(mixed))
    assert [(each.engine, each.code) for each in result.outcomes] == [
        (A, EngineCode.OK),
        (B, EngineCode.OK),
        ("", EngineCode.UNRECOGNISED),
    ]


def test_what_engines_say_is_stripped_of_what_no_database_holds() -> None:
    said = [{"databaseUid": A, "code": "engine_error", "message": "a\x00b\ud800\r\nc" + "x" * 9000}]
    (outcome, _) = judged(answer(said)).outcomes
    assert outcome.message.startswith("a b c")
    assert len(outcome.message) <= 2000
    outcome.message.encode("utf-8")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"  ", b"[]", b"<html>ok</html>", b"{}", b"[1,2]", b"[{}]", b'[{"code": ""}]', b'"ok"', b"null",
        b"\xff\xfe[", b"[" * 100_000, b"9" * 5_000, b'{"code": "NO_PERMISSION", "error": "x"}',
        b'[{"code": "engine_error", "code": "ok"}]', b'[{"code": "ok", "took": NaN}]',
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [200, 201, 204])
def test_s5_a_success_that_cannot_be_read_is_unknown(body: bytes, status: int) -> None:
    result = judged(answer(body, status))
    assert (result.state, result.reason, result.outcomes) == (CallState.UNKNOWN, Reason.ANSWER_UNREADABLE, ())


# ── the table of error codes ─────────────────────────────────────────────────────────────────────────────

CONTRACT = {
    "INVALID_REQUEST_JSON": 400,
    "INVALID_REQUEST_CONTENT": 400,
    "CONTENT_TYPE": 400,
    "ENCODING": 400,
    "NO_REMOTE_ACTION_UID": 400,
    "NO_DEVICES": 400,
    "TOO_MANY_DEVICES": 400,
    "INVALID_ACTION_UID": 400,
    "INVALID_DEVICE_UID": 400,
    "UNKNOWN_OR_DISABLED_REMOTE_ACTION": 400,
    "NO_MANUAL_EXECUTION": 400,
    "NO_PERMISSION": 403,
    "NO_ENGINES_TO_TARGET": 403,
    "INTERNAL_ERROR": 500,
}


def test_the_contracts_error_codes_are_the_ones_that_have_words() -> None:
    assert ERROR_WORDS.keys() == CONTRACT.keys()


@pytest.mark.parametrize(("code", "status"), CONTRACT.items())
def test_every_error_code_becomes_a_typed_outcome(code: str, status: int) -> None:
    result = judged(answer({"code": code, "error": "because"}, status))
    assert (result.error_code, result.error_text, result.status) == (code, "because", status)
    if code == "INTERNAL_ERROR":
        assert (result.state, result.reason) == (CallState.UNKNOWN, Reason.SERVER_ERROR)
    else:
        assert result.state is CallState.REFUSED
        special = {"NO_PERMISSION": Reason.NO_PERMISSION, "NO_ENGINES_TO_TARGET": Reason.NO_ENGINES_TO_TARGET}
        assert result.reason is special.get(code, Reason.REJECTED)


def test_s5_an_internal_error_proves_nothing_even_as_a_4xx() -> None:
    assert judged(answer({"code": "INTERNAL_ERROR", "error": "x"}, 400)).state is CallState.UNKNOWN


def test_s5_an_error_code_of_a_later_version_is_refused_all_the_same() -> None:
    result = judged(answer({"code": "ACTION_RETIRED", "error": "x"}, 400))
    assert (result.state, result.error_code) == (CallState.REFUSED, "ACTION_RETIRED")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<h1>Forbidden</h1>",
        {"error": "x"},
        {"code": "X1"},
        {"code": 400, "error": "x"},
        {"code": "bad request", "error": "x"},
        {"code": "NO_PERMISSION", "message": "x"},
        [],
    ],
)
def test_s5_a_4xx_without_the_contracts_object_is_unknown(body: Any) -> None:
    for status in (400, 403, 409, 418, 451):
        assert judged(answer(body, status)).state is CallState.UNKNOWN


# ── the table of statuses ────────────────────────────────────────────────────────────────────────────────

STATUSES = {
    101: (CallState.UNKNOWN, Reason.ANSWER_UNREADABLE),
    301: (CallState.UNKNOWN, Reason.REDIRECTED),
    302: (CallState.UNKNOWN, Reason.REDIRECTED),
    307: (CallState.UNKNOWN, Reason.REDIRECTED),
    400: (CallState.UNKNOWN, Reason.ANSWER_UNREADABLE),
    401: (CallState.REFUSED, Reason.UNAUTHORIZED),
    403: (CallState.UNKNOWN, Reason.ANSWER_UNREADABLE),
    404: (CallState.REFUSED, Reason.NOT_FOUND),
    405: (CallState.REFUSED, Reason.REJECTED),
    408: (CallState.UNKNOWN, Reason.ANSWER_UNREADABLE),
    413: (CallState.REFUSED, Reason.REJECTED),
    429: (CallState.REFUSED, Reason.RATE_LIMITED),
    499: (CallState.UNKNOWN, Reason.ANSWER_UNREADABLE),
    500: (CallState.UNKNOWN, Reason.SERVER_ERROR),
    502: (CallState.UNKNOWN, Reason.SERVER_ERROR),
    503: (CallState.UNKNOWN, Reason.SERVER_ERROR),
    504: (CallState.UNKNOWN, Reason.SERVER_ERROR),
    599: (CallState.UNKNOWN, Reason.SERVER_ERROR),
}


@pytest.mark.parametrize("body", [b"", b"<html><h1>proxy</h1></html>", b"{}"])
@pytest.mark.parametrize(("status", "expected"), STATUSES.items())
def test_s5_a_status_alone(status: int, expected: tuple[CallState, Reason], body: bytes) -> None:
    result = judged(answer(body, status))
    assert (result.state, result.reason) == expected
    assert (result.retry_after is not None) == (status == 429)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ((), 60),
        ((("retry-after", "7"),), 7),
        ((("retry-after", "soon"),), 60),
        ((("retry-after", "-5"),), 60),
        ((("retry-after", "Wed, 01 Jan 2025 00:02:00 GMT"), ("date", "Wed, 01 Jan 2025 00:00:30 GMT")), 90),
        ((("retry-after", "Wed, 01 Jan 2025 00:02:00 GMT"),), 60),
        ((("retry-after", "999999999999"),), 3600),
    ],
)
def test_s5_429_is_refused_now_and_says_when_again(headers: tuple[tuple[str, str], ...], wait: int) -> None:
    result = judged(answer(b"", 429, *headers))
    assert result.retry_after == timedelta(seconds=wait)


def test_s5_a_declared_proxy_503_was_not_sent() -> None:
    declared = replace(PORTAL, proxy_503_not_sent=True)
    result = judged(answer(b"<html>", 503, ("retry-after", "5")), declared)
    assert (result.state, result.retry_after) == (CallState.NOT_SENT, timedelta(seconds=5))
    assert judged(answer(b"<html>", 502), declared).state is CallState.UNKNOWN


def test_s5_a_503_with_nexthinks_own_object_did_not_come_from_the_proxy() -> None:
    declared = replace(PORTAL, proxy_503_not_sent=True)
    result = judged(answer({"code": "INTERNAL_ERROR", "error": "x"}, 503), declared)
    assert result.state is CallState.UNKNOWN


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["databaseUid", "code", "message", "error", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(
    status=st.integers(100, 999),
    body=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()),
)
def test_no_answer_makes_it_raise_and_only_proof_refuses(status: int, body: bytes) -> None:
    result = judged(answer(body, status))
    if result.state is CallState.REFUSED:
        assert status in (401, 404, 405, 413, 429) or (400 <= status < 500 and result.error_code is not None)
    elif result.state is CallState.ANSWERED:
        assert 200 <= status < 300
        assert any(outcome.code_text or outcome.engine for outcome in result.outcomes)
    else:
        assert result.state is CallState.UNKNOWN
    json.dumps([outcome.message for outcome in result.outcomes], ensure_ascii=False).encode("utf-8")
