"""What keeps a mapping within bounds reaches its plan: limits, approval, whose device, and what follows."""

# ruff: noqa: E501, ISC004 - each row of the tables is one message, whole, so that it can be searched for
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.errors import ConfigurationError, Reason
from bridge.ledger import codec
from bridge.mapping import schemas
from bridge.mapping.bounds import tightest
from bridge.mapping.evaluate import evaluate
from bridge.mapping.language import MappingSet
from bridge.mapping.reading import LoadContext
from bridge.models import (
    ApprovalRule,
    DeviceKey,
    DeviceUser,
    Layer,
    Limit,
    LimitKind,
    Mode,
    Outcome,
    Person,
    Plan,
    Problem,
    RunState,
    SendAgain,
    SourceName,
    TicketEvent,
    Unplannable,
    WriteBack,
)
from bridge.policy import needs_approval

Load = Callable[..., MappingSet]
MakeEvent = Callable[..., TicketEvent]

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ADA = Person(id="u-1", name="Ada Example", login="ada")
BO = Person(id="u-2", name="Bo Example")


def of_action(catalogue: str, text: str) -> str:
    """Add keys to the first action of the catalogue."""
    return catalogue.replace("    max_devices: 5\n", f"    max_devices: 5\n    {text}\n")


def plan_of(loaded: MappingSet, event: TicketEvent) -> Plan:
    decision = evaluate(event, loaded, received_at=NOW).decisions[0]
    assert decision.outcome is Outcome.FIRED, decision
    assert isinstance(decision.result, Plan)
    return decision.result


def problem_of(loaded: MappingSet, event: TicketEvent) -> Problem:
    result = evaluate(event, loaded, received_at=NOW).decisions[0].result
    assert isinstance(result, Unplannable)
    return result.problem


def limit(kind: LimitKind, layer: Layer, most: int, window: timedelta) -> Limit:
    return Limit(kind=kind, layer=layer, most=most, window=window)


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────


def test_l1_the_limits_of_every_layer_stand_in_the_plan(
    load_texts: Load, event: MakeEvent, mapping: str, catalogue: str, context: LoadContext
) -> None:
    own = limit(LimitKind.PER_HOUR, Layer.BRIDGE, 100, HOUR)
    loaded = load_texts(
        mapping + "    limits: {per_hour: 20, cooldown: 4h}\n",
        actions=of_action(
            catalogue, "limits: {per_hour: 50, per_day: 200, devices_per_day: 80, cooldown: 1h}"
        ),
        context=replace(context, limits=(own,)),
    )
    assert plan_of(loaded, event()).limits == (
        own,
        limit(LimitKind.PER_HOUR, Layer.ACTION, 50, HOUR),
        limit(LimitKind.PER_DAY, Layer.ACTION, 200, DAY),
        limit(LimitKind.DEVICES_PER_DAY, Layer.ACTION, 80, DAY),
        limit(LimitKind.COOLDOWN, Layer.ACTION, 1, HOUR),
        limit(LimitKind.PER_HOUR, Layer.MAPPING, 20, HOUR),
        limit(LimitKind.COOLDOWN, Layer.MAPPING, 1, 4 * HOUR),
    )
    assert loaded.mappings[0].mode is Mode.LIVE


def test_of_several_limits_of_a_kind_the_smallest_is_the_tightest_and_of_cooldowns_the_longest() -> None:
    limits = (
        limit(LimitKind.PER_HOUR, Layer.BRIDGE, 100, HOUR),
        limit(LimitKind.COOLDOWN, Layer.ACTION, 1, HOUR),
        limit(LimitKind.PER_HOUR, Layer.MAPPING, 20, HOUR),
        limit(LimitKind.COOLDOWN, Layer.MAPPING, 1, 4 * HOUR),
    )
    assert tightest(limits) == (limits[2], limits[3])


def test_limits_of_the_file_hold_where_the_mapping_says_nothing_of_that_kind(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    text = mapping.replace("mappings:", "defaults: {limits: {per_hour: 5, per_day: 9}}\nmappings:")
    plan = plan_of(load_texts(text + "    limits: {per_hour: 7}\n"), event())
    assert plan.limits == (
        limit(LimitKind.PER_HOUR, Layer.MAPPING, 7, HOUR),
        limit(LimitKind.PER_DAY, Layer.MAPPING, 9, DAY),
    )


@pytest.mark.parametrize(
    ("action", "own", "most", "whose"),
    [
        ("repeatable: false", "9", 5, Layer.ACTION),
        ("limits: {max_devices: 3}", "9", 3, Layer.ACTION),
        ("limits: {max_devices: 9}", "9", 5, Layer.ACTION),
        ("limits: {max_devices: 9}", "2", 2, Layer.MAPPING),
    ],
)
def test_the_smallest_max_devices_holds_and_it_is_known_whose_it_is(
    load_texts: Load, mapping: str, catalogue: str, action: str, own: str, most: int, whose: Layer
) -> None:
    text = mapping + f"    limits: {{max_devices: {own}}}\n"
    rule = load_texts(text, actions=of_action(catalogue, action)).mappings[0]
    assert (rule.max_devices, rule.max_devices_of) == (most, whose)


# ── approval ─────────────────────────────────────────────────────────────────────────────────────────────

TICKET_WAY = (
    "approval: {field: status, becomes: Approved, not_by: [reporter, person], by_group: Leads, expires: 4h}"
)


@pytest.mark.parametrize(
    ("action", "own", "needed"),
    [
        ("approval: none", "", {1: False, 5: False}),
        ("approval: required", "", {1: True, 5: True}),
        ("approval: {above: 2}", "", {1: False, 2: False, 3: True}),
        ("approval: none", "approval: {}", {1: True}),
        ("approval: none", "approval: {above: 3}", {3: False, 4: True}),
        ("approval: {above: 2}", "approval: {above: 4}", {2: False, 3: True}),
        ("approval: {above: 2}", "approval: {above: 1}", {1: False, 2: True}),
        ("approval: required", "approval: {above: 4}", {1: True}),
        ("approval: {above: 2}", TICKET_WAY, {1: True}),
    ],
)
def test_l3_the_strictest_of_catalogue_and_mapping_says_when_approval_is_needed(
    load_texts: Load,
    event: MakeEvent,
    mapping: str,
    catalogue: str,
    action: str,
    own: str,
    needed: dict[int, bool],
) -> None:
    loaded = load_texts(f"{mapping}    {own}\n", actions=of_action(catalogue, action))
    plan = plan_of(loaded, event())
    assert {devices: needs_approval(plan, devices) for devices in needed} == needed


def test_l3_person_and_actor_never_approve_whatever_the_mapping_says(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    assert plan_of(load_texts(f"{mapping}    {TICKET_WAY}\n"), event()).approval == ApprovalRule(
        above=0,
        expires=timedelta(hours=4),
        field="status",
        becomes="Approved",
        not_by=("person", "actor", "reporter"),
        by_group="Leads",
    )


def test_what_only_the_catalogue_asks_for_is_given_by_the_command_alone_and_expires_in_a_day(
    load_texts: Load, event: MakeEvent, mapping: str, catalogue: str
) -> None:
    loaded = load_texts(mapping, actions=of_action(catalogue, "approval: required"))
    assert plan_of(loaded, event()).approval == ApprovalRule(above=0, expires=DAY)


def test_the_ticket_systems_own_approvals_are_named_by_system(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    rule = plan_of(load_texts(mapping + "    approval: {system: true}\n"), event()).approval
    assert rule is not None
    assert (rule.system, rule.field) == (True, None)


def test_too_many_devices_need_approval_where_the_mapping_says_so_up_to_the_hard_limits(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    text = mapping.replace("fields.devices", "fields.devices\n      if_too_many: approval")
    loaded = load_texts(text + "    limits: {max_devices: 2}\n")
    names = [f"WS-ABC-{number:05}" for number in range(6)]
    plan = plan_of(loaded, event(fields={"devices": names[:5]}))
    assert (plan.max_devices, len(plan.devices)) == (5, 5)
    assert [needs_approval(plan, devices) for devices in (2, 3)] == [False, True]
    assert problem_of(loaded, event(fields={"devices": names})).reason is Reason.TOO_MANY_DEVICES


def test_l3_a_plan_names_who_asked_for_it(load_texts: Load, event: MakeEvent, mapping: str) -> None:
    loaded = load_texts(mapping)
    assert plan_of(loaded, event(person=ADA, actor=BO)).requesters == (ADA, BO)
    assert plan_of(loaded, event(person=ADA, actor=ADA)).requesters == (ADA,)
    assert plan_of(loaded, event(person=ADA, actor=Person())).requesters == (ADA,)


def test_l3_whoever_made_the_change_is_somebody_where_it_is_not_known_who(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    loaded = load_texts(mapping)
    assert plan_of(loaded, event(person=ADA, actor=None)).requesters == (ADA, Person())


# ── whose device ─────────────────────────────────────────────────────────────────────────────────────────


def by_user(mapping: str, more: str = "") -> str:
    return mapping.replace("from: fields.devices", f"from: ticket.person.login\n      by: user{more}")


def test_the_devices_of_the_tickets_person_are_asked_for_by_login(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    loaded = load_texts(by_user(mapping, "\n      domain: CORP\n      used_within: 3d"))
    plan = plan_of(loaded, event(person=ADA))
    assert (plan.by, plan.devices) == (DeviceKey.USER, ("ada",))
    assert plan.user == DeviceUser(login="ada", domain="CORP", used_within=timedelta(days=3))


def test_a_device_counts_as_used_lately_for_seven_days_unless_said_otherwise(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    plan = plan_of(load_texts(by_user(mapping)), event(person=ADA))
    assert plan.user == DeviceUser(login="ada", domain=None, used_within=timedelta(days=7))


@pytest.mark.parametrize(
    "login",
    [
        "ada'",
        'ada"',
        "ada)",
        "a da",
        "ada%",
        "ada*",
        "CORP\\ada",
        "ada@corp.example",
        "-ada",
        "ädä",
        "a" * 64,
        "ada\nx",
    ],
)
def test_a_login_that_could_mean_more_than_an_account_is_refused(
    load_texts: Load, event: MakeEvent, mapping: str, login: str
) -> None:
    problem = problem_of(load_texts(by_user(mapping)), event(person=Person(login=login)))
    assert problem.reason is Reason.DEVICE_REFUSED


def test_a_ticket_without_a_login_has_no_device_by_user(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    problem = problem_of(load_texts(by_user(mapping)), event(person=Person(name="Ada Example")))
    assert (problem.reason, problem.detail) == (
        Reason.NO_DEVICE,
        "the ticket names no account at ticket.person.login",
    )


def fenced(catalogue: str, more: str = "") -> str:
    return catalogue.replace(
        "      never: ['WS-VIP-.*']\n", f"      never: ['WS-VIP-.*']\n      owner: person\n{more}"
    )


def test_an_action_for_the_persons_own_devices_binds_named_devices_to_the_person(
    load_texts: Load, event: MakeEvent, mapping: str, catalogue: str
) -> None:
    actions = fenced(catalogue, "      domain: CORP\n      used_within: 2d\n")
    plan = plan_of(load_texts(mapping, actions=actions), event(person=ADA))
    assert (plan.by, plan.devices) == (DeviceKey.NAME, ("WS-ABC-12345",))
    assert plan.user == DeviceUser(login="ada", domain="CORP", used_within=timedelta(days=2))


@pytest.mark.parametrize(
    "person", [Person(), Person(name="Ada Example", email="ada@example.com"), Person(login="a b")]
)
def test_where_the_ticket_does_not_say_who_no_device_is_theirs(
    load_texts: Load, event: MakeEvent, mapping: str, catalogue: str, person: Person
) -> None:
    loaded = load_texts(mapping, actions=fenced(catalogue))
    assert problem_of(loaded, event(person=person)).reason is Reason.NOT_THEIR_DEVICE


@pytest.mark.parametrize(
    ("own", "within"), [("", 2), ("\n      used_within: 1d", 1), ("\n      used_within: 9d", 2)]
)
def test_a_mapping_cannot_widen_whose_devices_the_catalogue_allows(
    load_texts: Load, event: MakeEvent, mapping: str, catalogue: str, own: str, within: int
) -> None:
    actions = fenced(catalogue, "      domain: CORP\n      used_within: 2d\n")
    plan = plan_of(load_texts(by_user(mapping, own), actions=actions), event(person=ADA))
    assert plan.user == DeviceUser(login="ada", domain="CORP", used_within=timedelta(days=within))


def test_a_login_that_reads_like_a_device_is_not_taken_for_it(
    load_texts: Load, event: MakeEvent, mapping: str, catalogue: str
) -> None:
    named = mapping.replace("id: repair", "id: named")
    found = evaluate(
        event(person=Person(login="WS-ABC-12345")),
        load_texts(by_user(mapping), named),
        received_at=NOW,
    ).decisions
    assert [one.outcome for one in found] == [Outcome.FIRED, Outcome.FIRED]


# ── what follows an outcome ──────────────────────────────────────────────────────────────────────────────


def test_second_sends_and_changes_of_the_ticket_stand_in_the_plan(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    text = mapping + (
        "    send_again: {times: 3, wait: 30m}\n"
        "    after:\n"
        "      unknown: {state: Escalated, assign_to: 5b10, label: check-nexthink}\n"
        "      refused: {label: refused}\n"
    )
    plan = plan_of(load_texts(text), event())
    assert plan.send_again == SendAgain(times=3, wait=timedelta(minutes=30))
    assert plan.after == (
        WriteBack(outcome=RunState.UNKNOWN, state="Escalated", assign_to="5b10", label="check-nexthink"),
        WriteBack(outcome=RunState.REFUSED, label="refused"),
    )


def test_no_text_of_a_ticket_enters_what_is_written_back(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    text = mapping + "    after: {unknown: {state: $person}}\n"
    plan = plan_of(load_texts(text), event(person=ADA))
    assert plan.after == (WriteBack(outcome=RunState.UNKNOWN, state="$person"),)


def test_a_plan_with_every_bound_comes_back_from_the_ledger_as_it_was(
    load_texts: Load, event: MakeEvent, mapping: str, catalogue: str
) -> None:
    text = by_user(mapping) + (
        "    limits: {per_hour: 5, cooldown: 90s}\n"
        f"    {TICKET_WAY}\n"
        "    send_again: {times: 3, wait: 30m}\n"
        "    after: {unknown: {state: Escalated}, held: {label: waits}}\n"
    )
    plan = plan_of(load_texts(text, actions=of_action(catalogue, "approval: required")), event(person=ADA))
    assert codec.PLAN.validate_json(codec.to_text(codec.PLAN, plan)) == plan


# ── nothing that is written for safety is without effect ─────────────────────────────────────────────────

BASE = {
    "limits": {"max_devices": "4", "max_age": "9h", "per_hour": "9", "per_day": "9", "devices_per_day": "9", "cooldown": "9h"},
    "approval": {
        "above": "4", "field": "status", "becomes": "Yes", "system": "false", "not_by": "[assignee]",
        "by_group": "Some", "expires": "9h",
    },
    "send_again": {"times": "4", "wait": "1h"},
}  # fmt: skip
OTHER = {
    "limits": {"max_devices": "3", "max_age": "8h", "per_hour": "8", "per_day": "8", "devices_per_day": "8", "cooldown": "8h"},
    "approval": {
        "above": "3", "field": "priority", "becomes": "Approved", "system": "true", "not_by": "[reporter]",
        "by_group": "Others", "expires": "8h",
    },
    "send_again": {"times": "3", "wait": "2h"},
}  # fmt: skip
KEYS = [(group, key) for group, keys in OTHER.items() for key in keys]


def test_l2_the_keys_below_are_all_that_the_language_knows() -> None:
    known = json.loads(schemas.text(schemas.MAPPINGS))["$defs"]
    assert {group: set(known[group]["properties"]) for group in OTHER} == {
        group: set(keys) for group, keys in OTHER.items()
    }


@pytest.mark.parametrize(("group", "key"), KEYS)
def test_l2_each_safety_key_of_a_mapping_changes_its_plan(
    load_texts: Load, event: MakeEvent, mapping: str, group: str, key: str
) -> None:
    def made(values: dict[str, dict[str, str]]) -> Plan:
        text = "".join(
            f"    {name}: {{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}\n"
            for name, keys in values.items()
        )
        return plan_of(load_texts(mapping + text), event())

    changed = {**BASE, group: {**BASE[group], key: OTHER[group][key]}}
    assert replace(made(changed), mapping_set="") != replace(made(BASE), mapping_set="")


@pytest.mark.parametrize(
    "text",
    [
        "limits: {max_devices: 2}",
        "limits: {per_hour: 2}",
        "limits: {per_day: 2}",
        "limits: {devices_per_day: 2}",
        "limits: {cooldown: 2h}",
        "approval: required",
        "approval: {above: 2}",
    ],
)
def test_l2_each_safety_key_of_an_action_changes_the_plan(
    load_texts: Load, event: MakeEvent, mapping: str, catalogue: str, text: str
) -> None:
    bounded = plan_of(load_texts(mapping, actions=of_action(catalogue, text)), event())
    assert replace(bounded, mapping_set="") != replace(plan_of(load_texts(mapping), event()), mapping_set="")


# ── what is wrong is said ────────────────────────────────────────────────────────────────────────────────

# What stands in place of "mode: live", and the one problem that it makes.
FAULTS = [
    ("limits: {per_hour: 0}", "12:24: 'per_hour' must be 1 or more, not 0"),
    ("limits: {per_hor: 1}", "12:14: unknown key 'per_hor' (did you mean 'per_hour'?)"),
    ("limits: {cooldown: 4}", "12:24: '4' is not a duration such as 90s, 30m, 4h or 2d"),
    ("approval: required", "12:15: 'approval' must be a group of keys, but is 'required' (write {} where every run needs it, or a group such as {above: 5}; leave it out where none does)"),
    ("approval: {field: status}", "12:15: 'field' needs 'becomes' beside it (add 'becomes' or remove 'field')"),
    ("approval: {becomes: X}", "12:15: 'becomes' needs 'field' beside it (add 'field' or remove 'becomes')"),
    ("approval: {not_by: [persn]}", "12:25: this entry cannot be 'persn' (did you mean 'person'?)"),
    ("approval: {expires: soon}", "12:25: 'soon' is not a duration such as 90s, 30m, 4h or 2d"),
    ("approval: {above: -1}", "12:23: 'above' must be 0 or more, not -1"),
    ("approval: {field: change.status.to, becomes: X}", "12:23: 'change.status.to' is a path where the name of a field is needed (write status)"),
    ("send_again: {times: 6, wait: 30m}", "12:25: 'times' must be 5 or less, not 6"),
    ("send_again: {times: 1}", "12:17: 'send_again' lacks the key 'wait' (add it)"),
    ("send_again: {times: 1, wait: 24h}", "12:34: after a wait of 24h the run is older than the greatest age that holds here, so it is never sent again (shorten it, or raise 'max_age')"),
    ("after: {}", "12:12: 'after' is empty (add an entry)"),
    ("after: {answerd: {state: X}}", "12:13: unknown key 'answerd' (did you mean 'answered'?)"),
    ("after: {answered: {}}", "12:23: 'answered' is empty (add an entry)"),
    ("after: {answered: {labl: x}}", "12:24: unknown key 'labl' (did you mean 'label'?)"),
    ("after: {answered: {label: two words}}", "12:31: 'two words' is not a label (no spaces, 255 characters at most)"),
    ("after: {answered: {assign_group: Desk}}", "12:24: 'assign_group' cannot be changed: Jira has no assignment group (use 'assign_to' or 'label')"),
]  # fmt: skip


def problems(load: Load, *mappings: str, **more: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as refused:
        load(*mappings, **more)
    return refused.value.problems


@pytest.mark.parametrize(("bad", "problem"), FAULTS, ids=[problem for _, problem in FAULTS])
def test_each_problem_has_its_place_and_the_way_out(
    load_texts: Load, mapping: str, bad: str, problem: str
) -> None:
    found = problems(load_texts, mapping.replace("mode: live", bad))
    assert found == (f"mappings/m1.yaml:{problem}",)


DEVICE_FAULTS = [
    ("from: fields.devices\n      by: user", "11:13: 'by: user' asks for the devices of the ticket's person (write ticket.person.login)"),
    ("from: [ticket.person.login, actor.name]\n      by: user", "11:13: 'by: user' asks for the devices of the ticket's person (write ticket.person.login)"),
    ("from: ticket.person.login\n      by: user\n      split: ','", "13:7: 'split' is only for texts that hold devices; ticket.person.login is one account (remove it)"),
    ("from: ticket.person.login\n      by: user\n      domain: 'A B'", "13:15: 'A B' is not a domain such as CORP (letters, digits, '.', '_' and '-', 63 at most)"),
    ("from: fields.devices\n      domain: CORP", "12:7: 'domain' is only for by: user (remove it, or write by: user)"),
    ("from: fields.devices\n      used_within: 1d", "12:7: 'used_within' is only for by: user (remove it, or write by: user)"),
    ("from: fields.devices\n      if_too_many: approval", "12:7: 'if_too_many: approval' needs the mapping's own 'max_devices' (add it to 'limits')"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "problem"), DEVICE_FAULTS, ids=[problem for _, problem in DEVICE_FAULTS])
def test_each_problem_of_the_devices_has_its_place_and_the_way_out(
    load_texts: Load, mapping: str, bad: str, problem: str
) -> None:
    found = problems(load_texts, mapping.replace("from: fields.devices", bad))
    assert found == (f"mappings/m1.yaml:{problem}",)


def test_too_many_says_nothing_where_every_run_needs_approval(load_texts: Load, mapping: str) -> None:
    text = mapping.replace("fields.devices", "fields.devices\n      if_too_many: approval")
    more = "    limits: {max_devices: 2}\n    approval: {system: true}\n"
    assert problems(load_texts, text + more) == (
        "mappings/m1.yaml:12:7: 'if_too_many: approval' says nothing where every run needs approval "
        "(add 'above: 2' to 'approval', or remove 'if_too_many')",
    )
    loaded = load_texts(text + more.replace("{system", "{above: 2, system"))
    assert loaded.mappings[0].approval is not None
    assert loaded.mappings[0].approval.above == 2


def test_a_label_is_an_error_for_servicenow_and_a_group_is_not(load_texts: Load, mapping: str) -> None:
    text = mapping.replace("source: jira", "source: snow").replace("ticket.project", "ticket.type")
    assert problems(load_texts, text + "    after: {unknown: {label: x}}\n") == (
        "mappings/m1.yaml:13:23: 'label' cannot be changed: ServiceNow has no documented way to write tags "
        "(use 'assign_group')",
    )
    rule = load_texts(text + "    after: {unknown: {assign_group: Desk}}\n").mappings[0]
    assert rule.after == (WriteBack(outcome=RunState.UNKNOWN, assign_group="Desk"),)


def test_a_mapping_cannot_ask_for_accounts_of_another_domain_than_the_catalogue(
    load_texts: Load, mapping: str, catalogue: str
) -> None:
    actions = fenced(catalogue, "      domain: CORP\n")
    assert load_texts(by_user(mapping, "\n      domain: corp"), actions=actions).mappings
    assert problems(load_texts, by_user(mapping, "\n      domain: LAB"), actions=actions) == (
        "mappings/m1.yaml:13:15: action 'repair-office' is only for accounts of 'CORP' "
        "(write that, or remove 'domain')",
    )


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("limits: {}", "11:13: 'limits' is empty (add an entry)"),
        (
            "limits: {max_age: 1h}",
            "11:14: unknown key 'max_age' (known: cooldown, devices_per_day, max_devices, per_day, per_hour)",
        ),
        ("approval: maybe", "11:15: 'approval' cannot be 'maybe' (known: none, required)"),
        ("approval: {abov: 1}", "11:16: unknown key 'abov' (did you mean 'above'?)"),
    ],
)
def test_each_problem_of_an_action_has_its_place_and_the_way_out(
    load_texts: Load, catalogue: str, bad: str, problem: str
) -> None:
    found = problems(load_texts, "version: 1\n", actions=of_action(catalogue, bad))
    assert found == (f"mappings/actions.yaml:{problem}",)


def test_a_domain_of_the_fence_needs_an_owner(load_texts: Load, catalogue: str) -> None:
    actions = fenced(catalogue, "      domain: CORP\n").replace("      owner: person\n", "")
    assert problems(load_texts, "version: 1\n", actions=actions) == (
        "mappings/actions.yaml:8:7: 'domain' needs 'owner' beside it (add 'owner' or remove 'domain')",
    )


# ── tickets that tell of no history ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("good", "bad", "spot", "path"),
    [
        ("field: ticket.project", "field: change.status.to", "7:16", "change.status.to"),
        ("from: fields.devices", "from: change.devices.to", "11:13", "change.devices.to"),
    ],
)
def test_a_change_cannot_be_asked_for_where_the_tickets_tell_of_none(
    load_texts: Load,
    mapping: str,
    context: LoadContext,
    good: str,
    bad: str,
    spot: str,
    path: str,
) -> None:
    silent = replace(context, without_history=frozenset({SourceName("jira")}))
    text = mapping.replace(good, bad)
    assert load_texts(text).mappings
    assert problems(load_texts, text, context=silent) == (
        f"mappings/m1.yaml:{spot}: '{path}' cannot be known: source 'jira' tells of no history "
        "(ask how the ticket is now, as by ticket.status, or have TRUST or HISTORY of the source set)",
    )


def test_nobody_can_approve_by_a_field_where_who_changed_it_cannot_be_read(
    load_texts: Load, mapping: str, context: LoadContext
) -> None:
    silent = replace(context, history_unread=frozenset({SourceName("jira")}))
    text = mapping + "    approval: {field: status, becomes: Approved}\n"
    assert problems(load_texts, text, context=silent) == (
        "mappings/m1.yaml:13:23: who changed 'status' cannot be read: source 'jira' tells of no history "
        "(have HISTORY of the source set, use 'system', or leave it to 'bridge approve')",
    )


# ── what can never hold ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("own", "of_the_action", "told"),
    [
        ("limits: {per_hour: 20}", "", None),
        (
            "limits: {per_hour: 200}",
            "",
            "'per_hour: 200' is never reached: the bridge's is 100 (lower it, or remove it)",
        ),
        (
            "limits: {per_hour: 20}",
            "limits: {per_hour: 10}",
            "'per_hour: 20' is never reached: the action's is 10 (lower it, or remove it)",
        ),
        ("limits: {per_hour: 100}", "", None),
        (
            "limits: {cooldown: 1h}",
            "limits: {cooldown: 4h}",
            "'cooldown' has no effect: the action's is longer (remove it, or lengthen it)",
        ),
        ("limits: {cooldown: 1h}", "limits: {cooldown: 30m}", None),
        (
            "limits: {max_age: 2d}",
            "",
            "'max_age' 2d has no effect: the bridge's is shorter (shorten it, or raise BRIDGE_MAX_AGE)",
        ),
        ("limits: {max_age: 24h}", "", None),
        (
            "limits: {max_devices: 6}",
            "",
            "'max_devices: 6' has no effect: the action's is 5 (lower it, or remove it)",
        ),
        ("limits: {max_devices: 5}", "", None),
        ("approval: {above: 4}", "", None),
        (
            "approval: {above: 5}",
            "",
            "approval above 5 device(s) is never asked for: a run may have 5 at most (lower it)",
        ),
        ("approval: {}", "", None),
        (
            "",
            "approval: {above: 5}",
            "approval above 5 device(s) is never asked for: a run may have 5 at most (lower it)",
        ),
        (
            "",
            "limits: {per_hour: 101}",
            "'per_hour: 101' is never reached: the bridge's is 100 (lower it, or remove it)",
        ),
    ],
)
def test_a_bound_that_can_never_hold_is_told_and_no_problem(
    load_texts: Load,
    mapping: str,
    catalogue: str,
    context: LoadContext,
    own: str,
    of_the_action: str,
    told: str | None,
) -> None:
    loaded = load_texts(
        mapping + (f"    {own}\n" if own else ""),
        actions=of_action(catalogue, of_the_action) if of_the_action else catalogue,
        context=replace(context, limits=(limit(LimitKind.PER_HOUR, Layer.BRIDGE, 100, HOUR),)),
    )
    found = [warning for warning in loaded.warnings if "takes any text" not in warning]
    assert [warning.partition(": ")[2] for warning in found] == ([] if told is None else [told])
    assert all(
        warning.startswith("mappings/m1.yaml:" if own else "mappings/actions.yaml:11:") for warning in found
    )


def test_if_too_many_that_never_asks_is_told(load_texts: Load, mapping: str) -> None:
    text = mapping + "    limits: {max_devices: 5}\n"
    text = text.replace("    devices:\n", "    devices:\n      if_too_many: approval\n")
    told = "approval above 5 device(s) is never asked for"
    assert any(told in warning for warning in load_texts(text).warnings)


def test_every_whole_number_of_the_language_has_a_least_and_a_greatest_value() -> None:
    def whole_numbers(schema: Any) -> Any:
        if isinstance(schema, dict):
            if schema.get("type") == "integer":
                yield schema
            schema = list(schema.values())
        for below in schema if isinstance(schema, list) else []:
            yield from whole_numbers(below)

    for name in (schemas.ACTIONS, schemas.MAPPINGS):
        found = list(whole_numbers(json.loads(schemas.text(name))))
        assert found
        assert all(0 <= one["minimum"] <= one["maximum"] <= 1_000_000 for one in found)
