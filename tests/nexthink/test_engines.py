"""The list of Engines, and the fence around where credentials for queries may go."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import Reason
from bridge.models import Engine, EngineUid, HttpResponse, NoResponse, PortalName
from bridge.nexthink import LookupFailure, PortalConfig
from bridge.nexthink.engines import allowed, list_request, nxql_url, read_list

Make = Callable[..., Any]


def listed(body: Any, status: int = 200) -> tuple[Engine, ...] | LookupFailure:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_list(HttpResponse(status=status, body=raw))


def test_the_list_is_asked_for_with_the_portals_account(portal: Make) -> None:
    request = list_request(portal())
    assert (request.method, request.url) == ("GET", "https://portal.example.com/api/configuration/v1/engines")
    assert "Authorization" in dict(request.headers)
    assert request.body is None


def test_both_spellings_of_the_uid_are_read_and_only_connected_is_connected() -> None:
    entries = [
        {"databaseUID": "A" * 32, "name": "One", "address": "192.0.2.1", "status": "CONNECTED", "port": 999},
        {"databaseUid": "b" * 32, "name": "Two", "address": "192.0.2.2", "status": "CONNECTING"},
        {"databaseUID": "c" * 32},
    ]
    assert listed(entries) == (
        Engine(uid=EngineUid("a" * 32), name="One", address="192.0.2.1", connected=True),
        Engine(uid=EngineUid("b" * 32), name="Two", address="192.0.2.2", connected=False),
        Engine(uid=EngineUid("c" * 32), name="c" * 32, address="", connected=False),
    )


@pytest.mark.parametrize("entry", [{}, {"databaseUID": "short"}, {"databaseUID": None}, "x", None])
def test_s10_one_unreadable_entry_makes_the_list_no_answer(entry: Any) -> None:
    failure = listed([{"databaseUID": "a" * 32, "status": "CONNECTED"}, entry])
    assert isinstance(failure, LookupFailure)
    assert failure.reason is Reason.ANSWER_UNREADABLE


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (301, Reason.REDIRECTED),
        (401, Reason.UNAUTHORIZED),
        (403, Reason.FORBIDDEN),
        (404, Reason.NOT_FOUND),
        (418, Reason.REJECTED),
        (429, Reason.RATE_LIMITED),
        (500, Reason.SERVER_ERROR),
        (503, Reason.SERVER_ERROR),
    ],
)
def test_a_list_that_was_not_given_says_why(status: int, reason: Reason) -> None:
    failure = listed(b"<html>", status)
    assert isinstance(failure, LookupFailure)
    assert (failure.reason, failure.status) == (reason, status)


def test_a_list_that_never_came_says_why() -> None:
    failure = read_list(NoResponse(sent=True, reason=Reason.DEADLINE, detail="TimeoutError"))
    assert isinstance(failure, LookupFailure)
    assert failure.reason is Reason.DEADLINE


@given(body=st.binary(max_size=100))
def test_no_list_makes_it_raise(body: bytes) -> None:
    assert isinstance(listed(body), tuple | LookupFailure)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("a.engines.example.com", "https://a.engines.example.com:1671/2/query"),
        ("exact.example.com", "https://exact.example.com:1671/2/query"),
        ("EXACT.example.com", "https://EXACT.example.com:1671/2/query"),
        ("192.0.2.17", "https://192.0.2.17:1671/2/query"),
        ("2001:db8::1", "https://[2001:db8::1]:1671/2/query"),
    ],
)
def test_an_address_inside_the_fence_is_asked(address: str, url: str, portal: Make, engine: Make) -> None:
    assert allowed(portal(), engine("a", address=address))
    assert nxql_url(portal(), engine("a", address=address)) == url


@pytest.mark.parametrize(
    "address",
    [
        "",
        " ",
        "evil.example.net",
        "engines.example.com",
        "xexact.example.com",
        "exact.example.com.evil.net",
        "a.engines.example.com@evil.net",
        "evil.net#.engines.example.com",
        "evil.net/.engines.example.com",
        "evil.net?.engines.example.com",
        "evil.net\\.engines.example.com",
        "evil.net:443/.engines.example.com",
        "a.engines.example.com:22",
        "a.engines.example.com.",
        ".engines.example.com",
        "a..engines.example.com",
        "a.engines.example.com\n",
        "a.engines.example.com\x00",
        "ａ.engines.example.com",
        "a%2e.engines.example.com",
        "198.51.100.1",
        "192.0.2",
        "192.0.513",
        "3221225985",
        "0xc0000201",
        "0300.0.2.1",
        "192.0.2.1:80",
        "[2001:db8::1]",
        "2001:db8::1%eth0",
        "::ffff:192.0.2.1",
        "2001:db9::1",
        "user:pass@192.0.2.1",
    ],
)
def test_an_address_outside_the_fence_or_dressed_up_is_refused(
    address: str, portal: Make, engine: Make
) -> None:
    outside = engine("a", address=address)
    assert not allowed(portal(), outside)
    with pytest.raises(ValueError, match="hosts that may be asked"):
        nxql_url(portal(), outside)


def test_a_template_with_an_address_needs_a_fence(portal: Make, engine: Make) -> None:
    assert not allowed(portal(engine_hosts=()), engine("a"))


def test_a_template_with_a_name_takes_only_a_label(portal: Make, engine: Make) -> None:
    named = portal(nxql_url="https://{name}.example.com/2/query", engine_hosts=())
    assert nxql_url(named, engine("a")) == "https://EngineA.example.com/2/query"
    for name in ("evil.net/", "a.b", "a@b", "a:b", "", "a b", "-a", "a" * 64, "{address}"):
        assert not allowed(named, engine("a", name=name))


def test_the_fence_holds_for_names_too(portal: Make, engine: Make) -> None:
    fenced = portal(nxql_url="https://{name}.example.com/2/query", engine_hosts=("engineb.example.com",))
    assert allowed(fenced, engine("b"))
    assert not allowed(fenced, engine("a"))


def test_without_a_template_nobody_is_asked(portal: Make, engine: Make) -> None:
    assert not allowed(portal(nxql_url=None), engine("a"))


@given(address=st.text(max_size=60), name=st.text(max_size=60))
def test_whatever_the_list_says_the_password_goes_only_inside_the_fence(address: str, name: str) -> None:
    config = PortalConfig(
        name=PortalName("p"), base_url="https://p.example.com", username="u", password="p",
        nxql_url="https://{address}:1671/2/query", engine_hosts=(".engines.example.com",),
    )  # fmt: skip
    for each in (address, address + ".engines.example.com"):
        engine = Engine(uid=EngineUid("a" * 32), name=name, address=each, connected=True)
        if allowed(config, engine):
            rest = nxql_url(config, engine).removeprefix("https://")
            assert rest.lower().endswith(".engines.example.com:1671/2/query")
            assert not set(rest.removesuffix(":1671/2/query")) & set("@/\\?#: \t\r\n")
