"""What the policy rules: the clock, then age, pauses, approval and limits, in this order."""

from datetime import timedelta

import pytest

from bridge import policy
from bridge.errors import Reason
from bridge.models import (
    Approval,
    ApprovalRule,
    ApprovalState,
    Device,
    DeviceUid,
    EngineUid,
    Layer,
    Limit,
    LimitKind,
    Part,
    Pause,
    PauseScope,
    RunId,
    SourceName,
)
from bridge.policy import Spent, Usage, Verdict

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ENGINE = EngineUid("e" * 32)
PART = Part(number=1, devices=(Device(uid=DeviceUid("0" * 32), name="WS-ABC-12345"),), engines=(ENGINE,))


@pytest.fixture
def usage(clock):
    """Make a usage; every field may be given."""

    def make(**given):
        values = {
            "now": clock.now,
            "made_at": clock.now,
            "source": SourceName("jira"),
            "pauses": (),
            "parts": (PART,),
            "engine_names": ((ENGINE, "engine-1"),),
        }
        return Usage(**{**values, **given})

    return make


@pytest.fixture
def make_pause(clock):
    def make(scope, value="", **given):
        values = {
            "id": 1,
            "reason": Reason.BY_OPERATOR,
            "author": "ann",
            "detail": None,
            "at": clock.now,
            "expires_at": None,
            "run": None,
        }
        return Pause(scope=scope, value=value, **{**values, **given})

    return make


def ruled(plan, usage):
    ruling = policy.admit(plan, usage)
    return ruling.verdict, ruling.reason


# ── age and clock ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (timedelta(), (Verdict.GO, None)),
        (DAY, (Verdict.GO, None)),
        (DAY + timedelta(seconds=1), (Verdict.EXPIRE, Reason.TOO_OLD)),
        # A sender whose clock is ahead of ours is not punished.
        (timedelta(minutes=-6), (Verdict.GO, None)),
    ],
)
def test_a_plan_is_admitted_by_its_age(make_plan, usage, clock, age, expected):
    seen = usage(now=clock.now + age, made_at=clock.now + min(age, timedelta()))
    assert ruled(make_plan(max_age=DAY), seen) == expected


def test_too_old_goes_before_paused_so_that_no_release_fires_old_work(make_plan, usage, make_pause, clock):
    seen = usage(now=clock.now + 2 * DAY, pauses=(make_pause(PauseScope.EVERYTHING),))
    assert ruled(make_plan(), seen) == (Verdict.EXPIRE, Reason.TOO_OLD)


def test_a_clock_that_was_set_back_holds_until_it_is_where_it_was(make_plan, usage, clock):
    ruling = policy.admit(make_plan(), usage(now=clock.now - HOUR))
    assert (ruling.verdict, ruling.reason, ruling.until) == (
        Verdict.HOLD,
        Reason.CLOCK_WENT_BACK,
        clock.now,
    )


# ── pauses ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("scope", "value", "stops"),
    [
        (PauseScope.EVERYTHING, "", True),
        (PauseScope.SOURCE, "jira", True),
        (PauseScope.SOURCE, "servicenow", False),
        (PauseScope.MAPPING, "office", True),
        (PauseScope.MAPPING, "offic", False),
        (PauseScope.ACTION, "repair-office", True),
        (PauseScope.PORTAL, "main", True),
        (PauseScope.PORTAL, "emea", False),
        (PauseScope.ENGINE, "e" * 32, True),
        (PauseScope.ENGINE, "ENGINE-1", True),
        (PauseScope.ENGINE, "engine-2", False),
        (PauseScope.DEVICES, "ws-abc-.*", True),
        (PauseScope.DEVICES, "WS-ABC", False),
    ],
)
def test_a_pause_stops_its_scope_and_nothing_else(make_plan, usage, make_pause, scope, value, stops):
    expected = (Verdict.HOLD, Reason.PAUSED) if stops else (Verdict.GO, None)
    assert ruled(make_plan(), usage(pauses=(make_pause(scope, value),))) == expected


def test_what_cannot_be_told_apart_counts_as_paused(make_plan, usage, make_pause):
    everywhere = Part(number=1, devices=PART.devices, engines=None)
    nameless = Part(number=1, devices=(Device(uid=DeviceUid("1" * 32), name=None),), engines=(ENGINE,))
    engine, devices = make_pause(PauseScope.ENGINE, "engine-2"), make_pause(PauseScope.DEVICES, "X")
    assert ruled(make_plan(), usage(pauses=(engine,), parts=(everywhere,)))[0] is Verdict.HOLD
    assert ruled(make_plan(), usage(pauses=(engine,), engine_names=()))[0] is Verdict.HOLD
    assert ruled(make_plan(), usage(pauses=(devices,), parts=(nameless,)))[0] is Verdict.HOLD


def test_before_the_devices_are_known_only_what_needs_none_is_decided(make_plan, usage, make_pause):
    plan = make_plan(approval=ApprovalRule(above=0, expires=DAY))
    assert (
        ruled(plan, usage(parts=None, pauses=(make_pause(PauseScope.ENGINE, "engine-1"),)))[0] is Verdict.GO
    )
    assert ruled(plan, usage(parts=None, pauses=(make_pause(PauseScope.PORTAL, "main"),)))[0] is Verdict.HOLD


def test_s6_what_a_portal_answered_is_told_apart_from_what_a_person_paused(make_plan, usage, make_pause):
    pause = make_pause(PauseScope.PORTAL, "main", reason=Reason.UNAUTHORIZED)
    assert ruled(make_plan(), usage(pauses=(pause,))) == (Verdict.HOLD, Reason.PORTAL_PAUSED)


def test_the_pause_that_lasts_longest_says_when_to_look_again(make_plan, usage, make_pause, clock):
    short = make_pause(PauseScope.EVERYTHING, expires_at=clock.now + HOUR)
    endless = make_pause(PauseScope.MAPPING, "office")
    assert policy.admit(make_plan(), usage(pauses=(short,))).until == clock.now + HOUR
    assert policy.admit(make_plan(), usage(pauses=(short, endless))).until is None


# ── approval ─────────────────────────────────────────────────────────────────────────────────────────────


def approval_for(plan, clock, **given):
    values = {
        "run": RunId("r1"),
        "plan_hash": policy.plan_hash(plan, (PART,)),
        "state": ApprovalState.APPROVED,
        "asked_at": clock.now,
        "expires_at": clock.now + HOUR,
        "decided_at": None,
        "decided_by": None,
    }
    return Approval(**{**values, **given})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (Verdict.GO, None)),
        ({"state": ApprovalState.ASKED}, (Verdict.HOLD, Reason.AWAITING_APPROVAL)),
        ({"state": ApprovalState.DECLINED}, (Verdict.CANCEL, Reason.NOT_APPROVED)),
        ({"plan_hash": "0" * 64}, (Verdict.CANCEL, Reason.PLAN_CHANGED)),
    ],
)
def test_l3_only_what_was_approved_is_sent(make_plan, usage, clock, given, expected):
    plan = make_plan(approval=ApprovalRule(above=0, expires=HOUR))
    seen = usage(approval=approval_for(plan, clock, **given), read_at=clock.now)
    assert ruled(plan, seen) == expected


@pytest.mark.parametrize(("ago", "verdict"), [(None, Verdict.READ), (30, Verdict.GO), (31, Verdict.READ)])
def test_an_approved_run_goes_only_while_its_ticket_was_read_lately(make_plan, usage, clock, ago, verdict):
    plan = make_plan(approval=ApprovalRule(above=0, expires=HOUR))
    read_at = None if ago is None else clock.now - timedelta(seconds=ago)
    seen = usage(approval=approval_for(plan, clock), read_at=read_at)
    assert policy.admit(plan, seen).verdict is verdict


@pytest.mark.parametrize("state", [ApprovalState.ASKED, ApprovalState.APPROVED])
def test_l3_an_approval_expires(make_plan, usage, clock, state):
    plan = make_plan(approval=ApprovalRule(above=0, expires=HOUR))
    seen = usage(approval=approval_for(plan, clock, state=state), now=clock.now + HOUR)
    assert ruled(plan, seen) == (Verdict.EXPIRE, Reason.NOT_APPROVED)


def test_l3_without_a_question_there_is_no_answer(make_plan, usage):
    assert ruled(make_plan(approval=ApprovalRule(above=0, expires=HOUR)), usage())[0] is Verdict.ASK
    assert ruled(make_plan(approval=ApprovalRule(above=1, expires=HOUR)), usage())[0] is Verdict.GO


def test_the_hash_of_a_plan_is_the_same_for_the_same_targets_however_they_are_split(make_plan):
    one, two = (Device(uid=DeviceUid(digit * 32), name=None) for digit in "12")
    together = (Part(number=1, devices=(one, two), engines=(ENGINE,)),)
    apart = (
        Part(number=1, devices=(two,), engines=(ENGINE,)),
        Part(number=2, devices=(one,), engines=(ENGINE,)),
    )
    plan = make_plan()
    assert policy.plan_hash(plan, together) == policy.plan_hash(plan, apart)
    assert policy.plan_hash(plan, together) != policy.plan_hash(plan, together[:0])
    assert policy.plan_hash(plan, together) != policy.plan_hash(make_plan(params=(("A", "b"),)), together)


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────


def limit(kind=LimitKind.PER_HOUR, most=1, window=HOUR, layer=Layer.MAPPING):
    return Limit(kind=kind, layer=layer, most=most, window=window)


def test_l1_the_limit_that_frees_last_holds(make_plan, usage, clock):
    soon, late = Spent(limit=limit(), frees_at=clock.now + HOUR), limit(LimitKind.COOLDOWN, window=DAY)
    seen = usage(spent=(soon, Spent(limit=late, frees_at=clock.now + DAY)))
    ruling = policy.admit(make_plan(), seen)
    assert (ruling.verdict, ruling.reason) == (Verdict.HOLD, Reason.OVER_LIMIT)
    assert (ruling.until, ruling.limit) == (clock.now + DAY, late)


def test_l1_a_person_may_waive_limits_and_nothing_else(make_plan, usage, make_pause, clock):
    full = (Spent(limit=limit(), frees_at=clock.now + HOUR),)
    assert ruled(make_plan(), usage(spent=full, waived=True)) == (Verdict.GO, None)
    paused = usage(spent=full, waived=True, pauses=(make_pause(PauseScope.EVERYTHING),))
    assert ruled(make_plan(), paused) == (Verdict.HOLD, Reason.PAUSED)


def test_l1_what_no_waiting_frees_is_refused(make_plan, usage):
    two = Part(
        number=1, devices=tuple(Device(uid=DeviceUid(digit * 32), name=None) for digit in "12"), engines=None
    )
    plan = make_plan(limits=(limit(LimitKind.DEVICES_PER_DAY, window=DAY),))
    assert ruled(plan, usage(parts=(two,))) == (Verdict.REFUSE, Reason.TOO_MANY_DEVICES)
