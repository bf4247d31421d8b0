"""What was accepted may only get narrower: the rules of now hold beside those of then."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.errors import Reason
from bridge.mapping.evaluate import evaluate
from bridge.mapping.language import MappingSet
from bridge.mapping.reading import LoadContext
from bridge.mapping.withdrawing import narrowed
from bridge.models import (
    Device,
    DeviceUid,
    Layer,
    Limit,
    LimitKind,
    Person,
    Plan,
    Problem,
    SendAgain,
    TicketEvent,
)

Load = Callable[..., MappingSet]
MakeEvent = Callable[..., TicketEvent]

DEVICES = tuple(Device(uid=DeviceUid(f"{number:032}"), name=f"WS-ABC-{number:05}") for number in range(3))
APPROVAL = "    approval: {above: 2, field: status, becomes: Approved, expires: 4h}\n"
OWNED = "      owner: person\n      domain: CORP\n      used_within: 7d\n"
NEVER = "      never: ['WS-VIP-.*']\n"


def accepted(loaded: MappingSet, event: MakeEvent) -> Plan:
    happened = event(person=Person(name="Ada Example", login="ada"))
    (decision,) = evaluate(happened, loaded, received_at=datetime(2026, 5, 1, tzinfo=UTC)).decisions
    assert isinstance(decision.result, Plan)
    return decision.result


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (("", ""), ("mode: live", "mode: announce"), "is not live any more"),
        (("", ""), ("names: 'WS-[A-Z]{3}", "names: 'XX-[A-Z]{3}"), "only for devices that match"),
        (("", ""), ("max_devices: 5", "max_devices: 2"), "3 devices, and 2 are allowed now"),
        (
            ("", ""),
            ("one_of: [silent, prompt, force]\n        default: silent", "one_of: [no]"),
            "'Mode'",
        ),
        (("", ""), ("max_devices: 5", "max_devices: 5\n    approval: required"), "needs approval now"),
        (("", ""), ("max_devices: 5", "max_devices: 5\n    approval: {above: 2}"), "needs approval now"),
        (("", ""), ("    mode: live\n", "    mode: live\n    approval: {}\n"), "needs approval now"),
        (("    mode: live\n", f"    mode: live\n{APPROVAL}"), ("status", "state"), "has changed since"),
        (("    mode: live\n", f"    mode: live\n{APPROVAL}"), ("expires: 4h", "expires: 1h"), "has changed"),
        (
            ("    mode: live\n", f"    mode: live\n{APPROVAL}"),
            ("4h", "4h, not_by: [assignee]"),
            "has changed",
        ),
        (("    mode: live\n", f"    mode: live\n{APPROVAL}"), ("4h", "4h, by_group: Leads"), "has changed"),
        (("", ""), (NEVER, NEVER + OWNED), "only for devices of the ticket's person now"),
        ((NEVER, NEVER + OWNED), ("used_within: 7d", "used_within: 1d"), "narrower"),
        ((NEVER, NEVER + OWNED), ("domain: CORP", "domain: LAB"), "narrower"),
    ],
)
def test_a_plan_that_the_rules_of_now_would_not_make_is_not_sent(
    load_texts: Load,
    event: MakeEvent,
    mapping: str,
    catalogue: str,
    before: tuple[str, str],
    after: tuple[str, str],
    said: str,
) -> None:
    texts = [text.replace(*before) if before[0] else text for text in (mapping, catalogue)]
    assert any(after[0] in text for text in texts)
    changed = [text.replace(*after) for text in texts]
    plan = accepted(load_texts(texts[0], actions=texts[1]), event)
    problem = narrowed(plan, DEVICES, load_texts(changed[0], actions=changed[1]))
    assert isinstance(problem, Problem)
    assert problem.reason is Reason.WITHDRAWN
    assert said in problem.detail


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    mode: live\n", "    mode: live\n    comment: {visibility: public}\n"),
        ("max_devices: 5", "max_devices: 9"),
        ("expires: 4h", "expires: 9h"),
        ("above: 2", "above: 9"),
        ("approval: {above: 2", "approval: {above: 1"),
        ("not_by: [assignee]", "not_by: [assignee, person]"),
        ("used_within: 7d", "used_within: 9d"),
    ],
)
def test_a_plan_keeps_its_own_bounds_where_the_rules_became_wider(
    load_texts: Load, event: MakeEvent, mapping: str, catalogue: str, before: str, after: str
) -> None:
    texts = [
        mapping + APPROVAL.replace("expires", "not_by: [assignee], expires"),
        catalogue.replace(NEVER, NEVER + OWNED),
    ]
    assert any(before in text for text in texts)
    changed = [text.replace(before, after) for text in texts]
    plan = accepted(load_texts(texts[0], actions=texts[1]), event)
    assert narrowed(plan, DEVICES, load_texts(changed[0], actions=changed[1])) == plan


def test_l1_the_limits_of_now_hold_beside_those_of_then(
    load_texts: Load, event: MakeEvent, mapping: str, context: LoadContext
) -> None:
    def per_hour(layer: Layer, most: int) -> Limit:
        return Limit(kind=LimitKind.PER_HOUR, layer=layer, most=most, window=timedelta(hours=1))

    then = replace(context, limits=(per_hour(Layer.BRIDGE, 100),))
    plan = accepted(load_texts(mapping + "    limits: {per_hour: 20}\n", context=then), event)
    now = replace(context, limits=(per_hour(Layer.BRIDGE, 50),))
    both = narrowed(plan, DEVICES, load_texts(mapping + "    limits: {per_hour: 5}\n", context=now))
    assert isinstance(both, Plan)
    assert both == replace(
        plan,
        limits=(
            per_hour(Layer.BRIDGE, 100),
            per_hour(Layer.MAPPING, 20),
            per_hour(Layer.BRIDGE, 50),
            per_hour(Layer.MAPPING, 5),
        ),
    )


def test_l1_a_setting_of_the_bridge_that_became_tighter_holds_without_a_change_of_the_files(
    load_texts: Load, event: MakeEvent, mapping: str, context: LoadContext
) -> None:
    plan = accepted(load_texts(mapping), event)
    own = Limit(kind=LimitKind.PER_DAY, layer=Layer.BRIDGE, most=3, window=timedelta(days=1))
    now = load_texts(mapping, context=replace(context, limits=(own,)))
    assert now.hash == plan.mapping_set
    assert narrowed(plan, DEVICES, now) == replace(plan, limits=(own,))


def test_settings_that_became_tighter_bound_age_and_devices_without_a_change_of_the_files(
    load_texts: Load, event: MakeEvent, mapping: str, context: LoadContext
) -> None:
    plan = accepted(load_texts(mapping), event)
    shorter = load_texts(mapping, context=replace(context, max_age=timedelta(hours=1)))
    assert narrowed(plan, DEVICES, shorter) == replace(plan, max_age=timedelta(hours=1))
    fewer = narrowed(plan, DEVICES, load_texts(mapping, context=replace(context, max_devices=2)))
    assert isinstance(fewer, Problem)
    assert "3 devices, and 2 are allowed now" in fewer.detail


def test_the_fence_of_now_holds_for_a_device_whose_name_is_not_known(
    load_texts: Load, event: MakeEvent, mapping: str, catalogue: str
) -> None:
    free = catalogue.replace(r"names: 'WS-[A-Z]{3}-\d{5}'", "names: '.*'").replace(NEVER, "")
    assert "never" not in free
    plan = accepted(load_texts(mapping, actions=free), event)
    problem = narrowed(plan, (replace(DEVICES[0], name=None),), load_texts(mapping, actions=catalogue))
    assert isinstance(problem, Problem)
    assert "its name is not known" in problem.detail


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ("all", "where_found", False),
        ("all", "[lab]", False),
        ("where_found", "[lab]", False),
        ("[lab]", "where_found", False),
        ("[lab, emea]", "[lab]", False),
        ("[lab]", "[Lab, emea]", True),
        ("[lab]", "all", True),
        ("where_found", "all", True),
    ],
)
def test_s10_a_plan_reaches_no_engine_that_its_action_does_not_choose_now(
    load_texts: Load, event: MakeEvent, mapping: str, catalogue: str, before: str, after: str, allowed: bool
) -> None:
    then, now = (
        catalogue.replace("    max_devices: 5\n", f"    max_devices: 5\n    engines: {engines}\n")
        for engines in (before, after)
    )
    plan = accepted(load_texts(mapping, actions=then), event)
    found = narrowed(plan, DEVICES, load_texts(mapping, actions=now))
    assert found == plan if allowed else isinstance(found, Problem)


def test_a_plan_is_sent_again_no_more_often_and_no_sooner_than_both_rules_allow(
    load_texts: Load, event: MakeEvent, mapping: str, catalogue: str
) -> None:
    repeatable = catalogue.replace("    max_devices: 5\n", "    max_devices: 5\n    repeatable: true\n")
    often = mapping + "    send_again: {times: 3, wait: 10m}\n"
    plan = accepted(load_texts(often, actions=repeatable), event)
    later = mapping + "    send_again: {times: 1, wait: 20m}\n"
    fewer = narrowed(plan, DEVICES, load_texts(later, actions=repeatable))
    assert fewer == replace(plan, send_again=SendAgain(times=1, wait=timedelta(minutes=20)))
    none = narrowed(plan, DEVICES, load_texts(mapping, actions=catalogue))
    assert none == replace(plan, repeatable=False, send_again=None)
