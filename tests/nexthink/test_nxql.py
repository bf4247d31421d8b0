"""The injection rule in its five parts, and which rows of an answer are believed."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import Reason
from bridge.models import Engine, EngineUid, FoundDevice, HttpResponse, NoResponse, PortalName
from bridge.nexthink import LookupFailure, NameCase, PortalConfig
from bridge.nexthink.nxql import (
    ROW_LIMIT,
    device_query,
    is_askable,
    read_device,
    read_devices,
    uid_query,
)

Make = Callable[..., Any]
ENGINE = Engine(uid=EngineUid("a" * 32), name="A", address="192.0.2.1", connected=True)
PORTAL = PortalConfig(
    name=PortalName("p"),
    base_url="https://p.example.com",
    username="u",
    password="p",
    nxql_url="https://{address}:1671/2/query",
    engine_hosts=("192.0.2.0/24",),
)


def form(body: bytes | None) -> list[tuple[str, str]]:
    assert body is not None
    return parse_qsl(body.decode("ascii"), strict_parsing=True)


def rows(body: Any, name: str = "WS-1", status: int = 200) -> tuple[FoundDevice, ...] | LookupFailure:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_devices(HttpResponse(status=status, body=raw), name=name, engine=ENGINE)


def row(name: str = "WS-1", uid: str = "1" * 32, last_seen: Any = "2026-01-01T00:00:00") -> dict[str, Any]:
    return {"device_uid": uid, "name": name, "last_seen": last_seen}


def test_the_query_is_the_fixed_text_around_the_name() -> None:
    request = device_query(PORTAL, ENGINE, "WS-ABC-1")
    assert (request.method, request.url) == ("POST", "https://192.0.2.1:1671/2/query")
    assert dict(request.headers)["Content-Type"] == "application/x-www-form-urlencoded"
    device = '(from device (where device (eq name (string "WS-ABC-1"))))'
    assert form(request.body) == [
        ("query", f"(select (device_uid name last_seen) {device} (limit 100))"),
        ("platform", "windows"),
        ("platform", "mac_os"),
        ("format", "json"),
    ]


@pytest.mark.parametrize(
    ("case", "written"), [(NameCase.AS_IS, "Ws-1"), (NameCase.UPPER, "WS-1"), (NameCase.LOWER, "ws-1")]
)
def test_the_case_of_names_is_a_setting(case: NameCase, written: str, portal: Make, engine: Make) -> None:
    request = device_query(portal(name_case=case), engine("a"), "Ws-1")
    assert f'(string "{written}")' in dict(form(request.body))["query"]


def test_queries_have_an_account_of_their_own_where_one_is_given(portal: Make, engine: Make) -> None:
    shared = device_query(portal(), engine("a"), "WS-1")
    own = device_query(portal(nxql_username="reader", nxql_password="x"), engine("a"), "WS-1")
    assert dict(shared.headers)["Authorization"] != dict(own.headers)["Authorization"]
    assert "reader" not in repr(own)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        'a"',
        "a'",
        "a)",
        "(a",
        "a\\",
        "a*",
        "a?",
        "a%1",
        "a\n",
        "a\x00",
        "-a",
        ".a",
        "_a",
        "ä",
        "a" * 64,
        'x")))) (update (set',
        "Ａ1",
        "a;b",
        "a/b",
    ],
)
def test_a_name_that_may_not_enter_is_refused(name: str) -> None:
    assert not is_askable(name)
    with pytest.raises(ValueError, match="device name"):
        device_query(PORTAL, ENGINE, name)


@given(name=st.text(max_size=80))
def test_nothing_but_a_checked_name_ever_enters_a_query(name: str) -> None:
    if not is_askable(name):
        return
    query = dict(form(device_query(PORTAL, ENGINE, name).body))["query"]
    assert query.count('"') == 2
    assert query.count("(") == query.count(")") == 7
    assert "update" not in query.replace(name, "")


@given(name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", fullmatch=True))
def test_every_ordinary_name_may_enter(name: str) -> None:
    if name.isascii():
        assert is_askable(name)


def test_a_uid_is_looked_up_with_the_portals_query(portal: Make, engine: Make) -> None:
    request = uid_query(portal(), engine("a"), "AB" * 16)
    assert f"(eq device_uid (md5 {'ab' * 16}))" in dict(form(request.body))["query"]
    own = portal(nxql_uid_query='(select (device_uid name last_seen) (from device "{uid}"))')
    assert f'"{"ab" * 16}"' in dict(form(uid_query(own, engine("a"), "ab" * 16).body))["query"]


@given(device=st.text(max_size=40))
def test_nothing_but_32_hex_digits_is_looked_up_as_a_uid(device: str) -> None:
    if re2.fullmatch("[0-9a-fA-F]{32}", device.encode("utf-8", "replace").decode()) is None:
        with pytest.raises(ValueError, match="device UID"):
            uid_query(PORTAL, ENGINE, device)


def test_rows_of_another_name_are_dropped_and_case_is_ignored() -> None:
    found = rows([row("ws-1"), row("WS-10", "2" * 32), row("WS-1", "3" * 32, None)])
    assert isinstance(found, tuple)
    assert [(each.name, each.uid, each.last_seen, each.engine) for each in found] == [
        ("ws-1", "1" * 32, "2026-01-01T00:00:00", "a" * 32),
        ("WS-1", "3" * 32, None, "a" * 32),
    ]


def test_rows_of_another_uid_are_dropped() -> None:
    body = json.dumps([row("X", "1" * 32), row("Y", "2" * 32)]).encode()
    found = read_device(HttpResponse(status=200, body=body), device="2" * 32, engine=ENGINE)
    assert isinstance(found, tuple)
    assert [each.name for each in found] == ["Y"]


def test_no_row_is_an_answer() -> None:
    assert rows([]) == ()


def test_a_time_may_be_a_number() -> None:
    found = rows([row(last_seen=1767225600)])
    assert isinstance(found, tuple)
    assert found[0].last_seen == "1767225600"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><error_message>no</error_message></html>",
        b"{}",
        b"null",
        [1],
        [{}],
        [row(uid="1" * 31)],
        [row(uid="1-" * 16)],
        [row(name="")],
        [{"device_uid": ["1" * 32], "name": "WS-1"}],
    ],
)
def test_s10_an_answer_that_cannot_be_read_is_no_answer(body: Any) -> None:
    failure = rows(body)
    assert isinstance(failure, LookupFailure)
    assert (failure.reason, failure.engine) == (Reason.ANSWER_UNREADABLE, ENGINE.uid)


def test_s10_an_answer_that_may_be_cut_is_no_answer() -> None:
    assert isinstance(rows([row()] * (ROW_LIMIT - 1)), tuple)
    assert isinstance(rows([row()] * ROW_LIMIT), LookupFailure)


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_an_error_page_is_a_failure_of_that_engine(status: int) -> None:
    failure = rows(b"<html><error_message>x</error_message></html>", status=status)
    assert isinstance(failure, LookupFailure)
    assert (failure.engine, failure.status) == (ENGINE.uid, status)


def test_no_answer_is_a_failure_of_that_engine() -> None:
    none = NoResponse(sent=False, reason=Reason.TLS_FAILED, detail="SSLError")
    failure = read_devices(none, name="WS-1", engine=ENGINE)
    assert isinstance(failure, LookupFailure)
    assert (failure.engine, failure.reason) == (ENGINE.uid, Reason.TLS_FAILED)


@given(body=st.binary(max_size=100))
def test_no_answer_makes_it_raise(body: bytes) -> None:
    assert isinstance(rows(body), tuple | LookupFailure)
