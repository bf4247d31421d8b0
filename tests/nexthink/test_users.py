"""Whose device: what enters the question about an account, and which rows of its answer are believed."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import Reason
from bridge.models import DeviceUser, Engine, EngineUid, FoundDevice, HttpResponse, PortalName
from bridge.nexthink import LookupFailure, PortalConfig
from bridge.nexthink.nxql import ROW_LIMIT
from bridge.nexthink.users import account_of, read_used_devices, user_query

Make = Callable[..., Any]
NOW = datetime(2026, 1, 8, 12, 0, tzinfo=UTC)
ENGINE = Engine(uid=EngineUid("a" * 32), name="A", address="192.0.2.1", connected=True)
PORTAL = PortalConfig(
    name=PortalName("p"),
    base_url="https://p.example.com",
    username="u",
    password="p",
    nxql_url="https://{address}:1671/2/query",
    engine_hosts=("192.0.2.0/24",),
)


def user(login: str | None = "ada", domain: str | None = "CORP", days: float = 7) -> DeviceUser:
    return DeviceUser(login=login, domain=domain, used_within=timedelta(days=days))


def query(portal: PortalConfig = PORTAL, **given: Any) -> str:
    body = user_query(portal, ENGINE, user(**given)).body
    assert body is not None
    return dict(parse_qsl(body.decode("ascii"), strict_parsing=True))["query"]


def row(**fields: Any) -> dict[str, Any]:
    return {
        "device_uid": "1" * 32,
        "name": "WS-1",
        "last_logged_on_user": "ada@CORP",
        "last_logon_time": "2026-01-07T09:00:00",
        **fields,
    }


def read(*rows: Any, portal: PortalConfig = PORTAL, **given: Any) -> tuple[FoundDevice, ...] | LookupFailure:
    response = HttpResponse(status=200, body=json.dumps(rows).encode())
    return read_used_devices(portal, response, user=user(**given), engine=ENGINE, now=NOW)


# ── the question ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_query_is_the_portals_text_around_the_account() -> None:
    device = '(from device (where device (eq last_logged_on_user (string "ada@CORP"))))'
    fields = "(device_uid name last_logged_on_user last_logon_time)"
    assert query() == f"(select {fields} {device} (limit 100))"
    assert '(string "ada")' in query(domain=None)


def test_the_days_of_a_query_are_rounded_up() -> None:
    portal = PortalConfig(
        **{
            **{name: getattr(PORTAL, name) for name in PORTAL.__slots__},
            "nxql_user_query": '(select (name) (between now-{days}d now) "{user}" (limit 100))',
        }
    )
    assert "now-7d now" in query(portal)
    assert "now-1d now" in query(portal, days=0.1)
    assert "now-3d now" in query(portal, days=2.5)


@pytest.mark.parametrize(
    ("login", "domain"),
    [
        (None, "CORP"),
        ("", "CORP"),
        ("CORP\\ada", None),
        ("ada lovelace", "CORP"),
        ("ada*", "CORP"),
        ("ada?", "CORP"),
        ('ada"', "CORP"),
        ("ada)", "CORP"),
        ("ada%1", "CORP"),
        ("ada\n", "CORP"),
        ("-ada", "CORP"),
        ("ada", "CO RP"),
        ("ada", 'CORP")))) (update'),
        ("ada", ""),
        ("ada@x", "CORP"),
        ("ádа", "CORP"),
        ("a" * 64, "CORP"),
        ("{user}", "CORP"),
        ("{days}", "CORP"),
    ],
)
def test_an_account_that_may_not_enter_is_refused(login: str | None, domain: str | None) -> None:
    assert account_of(user(login, domain)) is None
    with pytest.raises(ValueError, match="account"):
        user_query(PORTAL, ENGINE, user(login, domain))


@given(login=st.text(max_size=80), domain=st.none() | st.text(max_size=80))
def test_nothing_but_a_checked_account_ever_enters_a_query(login: str, domain: str | None) -> None:
    if account_of(user(login, domain)) is None:
        return
    text = query(login=login, domain=domain)
    assert text.count('"') == 2
    assert text.count("(") == text.count(")") == 7
    assert not set(text.partition('"')[2].partition('"')[0]) & set("\"'()%*?\\ {}")


# ── the answer ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_row_names_the_account_case_ignored_and_its_last_use_is_told_in_utc() -> None:
    (found,) = read(row(last_logged_on_user="ADA@corp"))
    assert isinstance(found, FoundDevice)
    assert (found.name, found.uid, found.user) == ("WS-1", "1" * 32, "ada@CORP")
    assert found.last_seen == "2026-01-07T09:00:00+00:00"


@pytest.mark.parametrize("other", ["bob@CORP", "ada", "ada@OTHER", "adam@CORP", ""])
def test_rows_of_another_account_are_dropped(other: str) -> None:
    assert read(row(last_logged_on_user=other)) == ()


def test_a_use_that_is_too_long_ago_does_not_count() -> None:
    assert read(row(last_logon_time="2026-01-01T11:59:59")) == ()
    assert len(read(row(last_logon_time="2026-01-01T12:00:00"))) == 1  # type: ignore[arg-type]  # a tuple
    assert read(row(last_logon_time="2026-01-08T11:00:00"), days=1 / 48) == ()
    assert read(row(last_logon_time=None)) == read(row(last_logon_time="")) == ()


def test_times_without_a_zone_are_in_that_of_the_portal(portal: Make) -> None:
    zurich = portal(nxql_time_zone=ZoneInfo("Europe/Zurich"))
    (found,) = read(row(last_logon_time="2026-01-07T09:00:00"), portal=zurich)
    assert isinstance(found, FoundDevice)
    assert found.last_seen == "2026-01-07T08:00:00+00:00"
    (zoned,) = read(row(last_logon_time="2026-01-07T09:00:00+05:00"), portal=zurich)
    assert isinstance(zoned, FoundDevice)
    assert zoned.last_seen == "2026-01-07T04:00:00+00:00"
    (counted,) = read(row(last_logon_time=1767776400))
    assert isinstance(counted, FoundDevice)
    assert counted.last_seen == "2026-01-07T09:00:00+00:00"


@pytest.mark.parametrize(
    "bad",
    [
        {},
        [],
        {"device_uid": "1" * 32, "name": "WS-1"},
        row(device_uid="1" * 31),
        row(name=""),
        row(last_logon_time="yesterday"),
        row(last_logon_time=["2026-01-07T09:00:00"]),
        row(last_logon_time=True),
        row(last_logon_time=10**30),
        row(last_logon_time="2026-02-01T00:00:00"),
    ],
)
def test_s10_a_row_that_cannot_be_read_makes_the_answer_none_at_all(bad: Any) -> None:
    failure = read(row(), bad)
    assert isinstance(failure, LookupFailure)
    assert (failure.reason, failure.engine) == (Reason.ANSWER_UNREADABLE, ENGINE.uid)


def test_s10_an_answer_that_may_be_cut_is_no_answer() -> None:
    assert isinstance(read(*[row()] * ROW_LIMIT), LookupFailure)


def test_what_an_answer_calls_its_fields_is_a_setting(portal: Make) -> None:
    fields = ("device/device_uid", "device/name", "user/name", "activity_stop_time")
    own = portal(nxql_user_fields=fields)
    values = ("1" * 32, "WS-1", "ada@CORP", "2026-01-07T09:00:00")
    assert len(read(dict(zip(fields, values, strict=True)), portal=own)) == 1  # type: ignore[arg-type]  # a tuple
    assert isinstance(read(row(), portal=own), LookupFailure)


@given(body=st.binary(max_size=100))
def test_no_answer_makes_it_raise(body: bytes) -> None:
    response = HttpResponse(status=200, body=body)
    read_used_devices(PORTAL, response, user=user(), engine=ENGINE, now=NOW)


@given(value=st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.floats())
def test_no_time_makes_it_raise(value: Any) -> None:
    read(row(last_logon_time=value))
