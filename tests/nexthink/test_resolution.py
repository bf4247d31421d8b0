"""From names to devices, Engines and calls, once every Engine has answered."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import Reason
from bridge.models import (
    Device,
    DeviceFence,
    DeviceKey,
    DeviceUid,
    DeviceUser,
    Engine,
    EngineChoice,
    EngineUid,
    FoundDevice,
    IfSeveral,
    IfSomeMissing,
    Plan,
    Problem,
)
from bridge.nexthink.resolution import Resolved, choose, engines_to_ask, parts, without_lookup

Make = Callable[..., Any]


def breach(fence: DeviceFence, name: str) -> str | None:
    """A fence that holds every name that starts with what it says."""
    inside = fence.names is None or name.upper().startswith(fence.names)
    return None if inside else f"only {fence.names}"


def row(name: str, digit: str, letter: str, last_seen: str | None = "2026-01-01T00:00:00") -> FoundDevice:
    return FoundDevice(
        uid=DeviceUid(digit * 32), name=name, last_seen=last_seen, engine=EngineUid(letter * 32)
    )


def chosen(
    plan: Plan, engines: tuple[Engine, ...], *found: FoundDevice, asked: str | None = None
) -> Resolved | Problem:
    letters = [engine.uid for engine in engines] if asked is None else [EngineUid(one * 32) for one in asked]
    return choose(plan, found, engines, frozenset(letters), breach)


def assert_problem(result: object, reason: Reason, *words: str) -> None:
    assert isinstance(result, Problem)
    assert result.reason is reason
    for word in words:
        assert word in result.detail


def test_a_device_goes_to_the_engines_that_know_it(plan: Make, engine: Make) -> None:
    engines = (engine("a"), engine("b"), engine("c"))
    resolved = chosen(plan(), engines, row("ws-1", "1", "b"), row("ws-1", "1", "c"))
    assert resolved == Resolved(
        devices=(
            Device(uid=DeviceUid("1" * 32), name="ws-1", engines=(EngineUid("b" * 32), EngineUid("c" * 32))),
        )
    )


def test_all_engines_means_that_none_are_named(plan: Make, engine: Make) -> None:
    resolved = chosen(plan(engine_choice=EngineChoice.ALL), (engine("a"),), row("WS-1", "1", "a"))
    assert isinstance(resolved, Resolved)
    assert [part.engines for part in parts(resolved, None)] == [None]


@pytest.mark.parametrize("named", [("EngineB",), ("engineb",), ("b" * 32,), ("B" * 32, "EngineB")])
def test_named_engines_are_found_by_name_or_uid(named: tuple[str, ...], plan: Make, engine: Make) -> None:
    wanted = plan(engine_choice=EngineChoice.NAMED, engines=named)
    engines = (engine("a", connected=False), engine("b"))
    assert engines_to_ask(wanted, engines) == (engines[1],)
    resolved = chosen(wanted, engines, row("WS-1", "1", "b"), asked="b")
    assert isinstance(resolved, Resolved)
    assert resolved.devices[0].engines == (EngineUid("b" * 32),)


@pytest.mark.parametrize("named", [("EngineX",), ("EngineA", "EngineX"), ()])
def test_s10_an_unknown_engine_refuses_the_run(named: tuple[str, ...], plan: Make, engine: Make) -> None:
    wanted = plan(engine_choice=EngineChoice.NAMED, engines=named)
    assert_problem(chosen(wanted, (engine("a"),), row("WS-1", "1", "a")), Reason.ENGINE_UNKNOWN)
    assert_problem(
        without_lookup(replace(wanted, by=DeviceKey.UID, devices=("1" * 32,)), (engine("a"),)),
        Reason.ENGINE_UNKNOWN,
    )


def test_s10_a_name_of_two_engines_refuses_the_run(plan: Make, engine: Make) -> None:
    wanted = plan(engine_choice=EngineChoice.NAMED, engines=("Twin",))
    twins = (engine("a", name="Twin"), engine("b", name="TWIN"))
    assert_problem(engines_to_ask(wanted, twins), Reason.ENGINE_UNKNOWN, "several", "Twin")


def test_s10_every_engine_in_scope_must_have_answered(plan: Make, engine: Make) -> None:
    engines = (engine("a"), engine("b"))
    result = chosen(plan(), engines, row("WS-1", "1", "a"), asked="a")
    assert_problem(result, Reason.LOOKUP_FAILED, "EngineB")


def test_s10_an_engine_that_is_not_connected_is_not_in_scope(plan: Make, engine: Make) -> None:
    engines = (engine("a"), engine("b", connected=False))
    assert isinstance(chosen(plan(), engines, row("WS-1", "1", "a"), asked="a"), Resolved)
    assert_problem(engines_to_ask(plan(), (engines[1],)), Reason.LOOKUP_FAILED, "no Engine")
    named = plan(engine_choice=EngineChoice.NAMED, engines=("EngineB",))
    assert_problem(engines_to_ask(named, engines), Reason.LOOKUP_FAILED, "EngineB")


def test_a_name_that_may_not_enter_a_query_is_refused_before_any_is_asked(plan: Make, engine: Make) -> None:
    assert_problem(engines_to_ask(plan(devices=('a"b',)), (engine("a"),)), Reason.DEVICE_REFUSED)
    by_uid = plan(devices=("WS-1",), by=DeviceKey.UID)
    assert_problem(engines_to_ask(by_uid, (engine("a"),)), Reason.DEVICE_REFUSED)


def test_the_fence_holds_for_the_name_that_the_engine_returned(plan: Make, engine: Make) -> None:
    fenced = plan(devices=("1" * 32,), by=DeviceKey.UID, fence=DeviceFence(names="WS-"))
    assert isinstance(chosen(fenced, (engine("a"),), row("WS-1", "1", "a")), Resolved)
    assert_problem(
        chosen(fenced, (engine("a"),), row("SRV-1", "1", "a")), Reason.DEVICE_REFUSED, "SRV-1", "only WS-"
    )
    both = (row("WS-1", "1", "a"), row("SRV-1", "1", "b"))
    assert_problem(chosen(fenced, (engine("a"), engine("b")), *both), Reason.DEVICE_REFUSED, "SRV-1")


# ── several, missing, too many ───────────────────────────────────────────────────────────────────────────


def test_several_devices_of_one_name_stop(plan: Make, engine: Make) -> None:
    two = (row("WS-1", "1", "a"), row("WS-1", "2", "a"))
    assert_problem(chosen(plan(), (engine("a"),), *two), Reason.SEVERAL_DEVICES, "2 devices", "WS-1")


def test_one_device_on_several_engines_is_one_device(plan: Make, engine: Make) -> None:
    two = (row("WS-1", "1", "a"), row("ws-1", "1", "b"))
    resolved = chosen(plan(), (engine("a"), engine("b")), *two)
    assert isinstance(resolved, Resolved)
    assert len(resolved.devices) == 1


def test_several_devices_of_one_name_may_all_be_meant(plan: Make, engine: Make) -> None:
    two = (row("WS-1", "1", "a"), row("WS-1", "2", "a"))
    resolved = chosen(plan(if_several=IfSeveral.ALL), (engine("a"),), *two)
    assert isinstance(resolved, Resolved)
    assert [device.uid for device in resolved.devices] == ["1" * 32, "2" * 32]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("2026-01-01T00:00:00", "2026-01-01T00:00:01"),
        ("2026-01-01 09:00:00", "2026-01-01 10:00:00"),
        ("2026-01-01T12:00:00+02:00", "2026-01-01T11:00:00Z"),
        ("999999999", "1000000000"),
    ],
)
def test_the_most_recent_device_is_chosen(older: str, newer: str, plan: Make, engine: Make) -> None:
    recent = plan(if_several=IfSeveral.MOST_RECENT)
    for first, second in (("1", "2"), ("2", "1")):
        two = (row("WS-1", first, "a", older), row("WS-1", second, "a", newer))
        resolved = chosen(recent, (engine("a"),), *two)
        assert isinstance(resolved, Resolved)
        assert [device.uid for device in resolved.devices] == [second * 32]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (None, "2026-01-01T00:00:00"),
        ("2026-01-01T00:00:00", "2026-01-01T00:00:00"),
        ("yesterday", "2026-01-01T00:00:00"),
        ("2026-01-01T00:00:00", "2026-01-01T00:00:00Z"),
        ("1767225600", "2026-01-01T00:00:01"),
    ],
)
def test_what_cannot_be_compared_stops(one: str | None, other: str, plan: Make, engine: Make) -> None:
    two = (row("WS-1", "1", "a", one), row("WS-1", "2", "a", other))
    result = chosen(plan(if_several=IfSeveral.MOST_RECENT), (engine("a"),), *two)
    assert_problem(result, Reason.SEVERAL_DEVICES, "seen last")


def test_a_missing_device_stops_or_is_let_go(plan: Make, engine: Make) -> None:
    wanted = plan(devices=("WS-1", "WS-2"))
    found = row("WS-1", "1", "a")
    assert_problem(chosen(wanted, (engine("a"),), found), Reason.DEVICE_NOT_FOUND, "WS-2")
    going = replace(wanted, if_some_missing=IfSomeMissing.RUN_FOUND)
    resolved = chosen(going, (engine("a"),), found)
    assert isinstance(resolved, Resolved)
    assert (len(resolved.devices), resolved.missing) == (1, ("WS-2",))
    assert_problem(chosen(going, (engine("a"),)), Reason.DEVICE_NOT_FOUND, "WS-1, WS-2")


def test_rows_of_engines_out_of_scope_do_not_count(plan: Make, engine: Make) -> None:
    assert_problem(chosen(plan(), (engine("a"),), row("WS-1", "1", "z")), Reason.DEVICE_NOT_FOUND)


def test_the_limit_holds_after_resolving_too(plan: Make, engine: Make) -> None:
    six = [row("WS-1", digit, "a") for digit in "123456"]
    result = chosen(plan(if_several=IfSeveral.ALL), (engine("a"),), *six)
    assert_problem(result, Reason.TOO_MANY_DEVICES, "6", "5")


def test_two_names_of_one_device_are_one_device(plan: Make, engine: Make) -> None:
    resolved = chosen(plan(devices=("WS-1", "ws-1")), (engine("a"),), row("WS-1", "1", "a"))
    assert isinstance(resolved, Resolved)
    assert len(resolved.devices) == 1


# ── whose device ─────────────────────────────────────────────────────────────────────────────────────────

ADA = DeviceUser(login="ada", domain="CORP", used_within=timedelta(days=7))


def used(name: str, digit: str, letter: str, last_use: str = "2026-01-01T00:00:00+00:00") -> FoundDevice:
    return replace(row(name, digit, letter, last_use), user="ada@CORP")


def by_user(plan: Make, **given: Any) -> Plan:
    made: Plan = plan(**{"devices": ("ada",), "by": DeviceKey.USER, "user": ADA, **given})
    return made


def test_the_device_that_the_person_used_is_the_one(plan: Make, engine: Make) -> None:
    resolved = chosen(by_user(plan), (engine("a"), engine("b")), used("WS-1", "1", "b"))
    assert isinstance(resolved, Resolved)
    assert [(device.name, device.engines) for device in resolved.devices] == [("WS-1", ("b" * 32,))]


def test_several_devices_of_a_person_stop_or_the_last_used_or_all(plan: Make, engine: Make) -> None:
    two = (used("WS-1", "1", "a"), used("WS-2", "2", "a", "2026-01-02T00:00:00+00:00"))
    assert_problem(
        chosen(by_user(plan), (engine("a"),), *two), Reason.SEVERAL_DEVICES, "ada@CORP used 2 devices"
    )
    recent = chosen(by_user(plan, if_several=IfSeveral.MOST_RECENT), (engine("a"),), *two)
    assert isinstance(recent, Resolved)
    assert [device.name for device in recent.devices] == ["WS-2"]
    every = chosen(by_user(plan, if_several=IfSeveral.ALL), (engine("a"),), *two)
    assert isinstance(every, Resolved)
    assert len(every.devices) == 2


def test_a_person_without_a_device_is_told_as_such(plan: Make, engine: Make) -> None:
    assert_problem(
        chosen(by_user(plan), (engine("a"),)), Reason.DEVICE_NOT_FOUND, "ada@CORP used within 7 days"
    )


def test_the_fence_holds_a_persons_devices_too(plan: Make, engine: Make) -> None:
    fenced = by_user(plan, fence=DeviceFence(names="WS-"))
    assert_problem(chosen(fenced, (engine("a"),), used("SRV-1", "1", "a")), Reason.DEVICE_REFUSED, "SRV-1")


def test_a_named_device_must_be_one_of_the_persons(plan: Make, engine: Make) -> None:
    owned = plan(devices=("WS-1", "WS-2"), user=ADA)
    rows = (row("WS-1", "1", "a"), row("WS-2", "2", "a"))
    theirs = chosen(owned, (engine("a"),), *rows, used("WS-1", "1", "a"), used("WS-2", "2", "a"))
    assert isinstance(theirs, Resolved)
    result = chosen(owned, (engine("a"),), *rows, used("WS-1", "1", "a"))
    assert_problem(result, Reason.NOT_THEIR_DEVICE, "WS-2", "within 7 days")
    assert isinstance(result, Problem)
    assert "WS-1" not in result.detail
    assert "ada" not in result.detail
    # That another device bears the name is no proof.
    assert_problem(
        chosen(plan(user=ADA), (engine("a"),), rows[0], used("WS-1", "9", "a")), Reason.NOT_THEIR_DEVICE
    )


def test_what_is_only_known_as_a_persons_is_not_found_by_its_name(plan: Make, engine: Make) -> None:
    assert_problem(chosen(plan(user=ADA), (engine("a"),), used("WS-1", "1", "a")), Reason.DEVICE_NOT_FOUND)


@pytest.mark.parametrize("login", [None, "ada*", "CORP\\ada", ""])
def test_a_person_who_is_not_known_has_no_device(login: str | None, plan: Make, engine: Make) -> None:
    nobody = replace(ADA, login=login)
    words = "who its person is" if login is None else f"'{login}' is not the name of an account"
    assert_problem(engines_to_ask(plan(user=nobody), (engine("a"),)), Reason.NOT_THEIR_DEVICE, words)


def test_by_user_asks_for_the_one_account_that_bounds_the_plan(plan: Make, engine: Make) -> None:
    assert_problem(engines_to_ask(by_user(plan, devices=("bob",)), (engine("a"),)), Reason.DEVICE_REFUSED)
    assert_problem(engines_to_ask(by_user(plan, user=None), (engine("a"),)), Reason.DEVICE_REFUSED)


def test_whose_device_it_is_cannot_be_told_without_a_way_to_ask(plan: Make) -> None:
    for bound in (by_user(plan), plan(devices=("1" * 32,), by=DeviceKey.UID, user=ADA)):
        assert_problem(without_lookup(bound, ()), Reason.DEVICE_REFUSED, "NXQL_URL")


# ── a portal whose Engines cannot be asked ───────────────────────────────────────────────────────────────


def test_names_cannot_be_looked_up_without_a_way_to_ask(plan: Make) -> None:
    assert_problem(without_lookup(plan(), ()), Reason.DEVICE_REFUSED, "NXQL_URL")


@pytest.mark.parametrize("fence", [DeviceFence(names="WS-.*"), DeviceFence(never=("VIP",))])
def test_a_fence_that_cannot_be_checked_refuses(fence: DeviceFence, plan: Make) -> None:
    fenced = plan(devices=("1" * 32,), by=DeviceKey.UID, fence=fence)
    assert_problem(without_lookup(fenced, ()), Reason.DEVICE_REFUSED)


def test_uids_without_a_fence_are_taken_as_they_are(plan: Make) -> None:
    resolved = without_lookup(plan(devices=("AB" * 16, "ab" * 16), by=DeviceKey.UID), ())
    assert resolved == Resolved(devices=(Device(uid=DeviceUid("ab" * 16), name=None),))
    wrong = plan(devices=("WS-1",), by=DeviceKey.UID)
    assert_problem(without_lookup(wrong, ()), Reason.DEVICE_REFUSED)
    many = plan(devices=tuple(digit * 32 for digit in "123456"), by=DeviceKey.UID)
    assert_problem(without_lookup(many, ()), Reason.TOO_MANY_DEVICES)


def test_uids_go_to_the_named_engines(plan: Make, engine: Make) -> None:
    wanted = plan(
        devices=("1" * 32,), by=DeviceKey.UID, engine_choice=EngineChoice.NAMED, engines=("EngineA",)
    )
    resolved = without_lookup(wanted, (engine("a"), engine("b")))
    assert isinstance(resolved, Resolved)
    assert parts(resolved, None)[0].engines == (EngineUid("a" * 32),)


# ── parts (S7) ───────────────────────────────────────────────────────────────────────────────────────────


def test_s7_a_part_never_holds_more_than_a_call_may() -> None:
    devices = tuple(Device(uid=DeviceUid(str(n)), name=None) for n in range(5))
    made = parts(Resolved(devices=devices), 2)
    assert [(part.number, len(part.devices)) for part in made] == [(1, 2), (2, 2), (3, 1)]
    assert len(parts(Resolved(devices=devices), None)) == 1


DEVICES = st.lists(
    st.tuples(st.integers(0, 50), st.lists(st.sampled_from("abc"), unique=True).map(tuple)),
    min_size=1,
    max_size=12,
    unique_by=lambda pair: pair[0],
)


@given(devices=DEVICES, size=st.none() | st.integers(1, 4))
def test_s7_every_device_is_in_one_part_and_goes_to_its_own_engines(
    devices: list[tuple[int, tuple[str, ...]]], size: int | None
) -> None:
    given_devices = tuple(
        Device(uid=DeviceUid(str(n)), name=None, engines=tuple(EngineUid(letter) for letter in letters))
        for n, letters in devices
    )
    made = parts(Resolved(devices=given_devices), size)
    assert sorted(device.uid for part in made for device in part.devices) == sorted(
        device.uid for device in given_devices
    )
    for part in made:
        assert part.engines != ()
        assert size is None or len(part.devices) <= size
        for device in part.devices:
            assert set(part.engines or ()) == set(device.engines)
    assert [part.number for part in made] == list(range(1, len(made) + 1))


def test_a_plan_without_devices_is_a_problem(plan: Make, engine: Make) -> None:
    assert_problem(without_lookup(plan(devices=(), by=DeviceKey.UID), ()), Reason.NO_DEVICE)
    assert_problem(chosen(plan(devices=()), (engine("a"),)), Reason.NO_DEVICE)
