"""What fires and what would be sent: conditions with three values, devices, parameters, portals, conflicts."""

# ruff: noqa: E501, ISC004 - each row of the tables is one message, whole, so that it can be searched for
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.errors import Reason
from bridge.mapping.conditions import sentence
from bridge.mapping.evaluate import MISSES_KEPT, evaluate, explain
from bridge.mapping.language import MappingSet
from bridge.models import (
    Change,
    Decision,
    DeviceKey,
    EventKind,
    Mode,
    Outcome,
    Person,
    Plan,
    TicketEvent,
    Unplannable,
)

Load = Callable[..., MappingSet]
MakeEvent = Callable[..., TicketEvent]
NOW = datetime(2026, 5, 2, tzinfo=UTC)


def decisions(event: TicketEvent, loaded: MappingSet) -> tuple[Decision, ...]:
    return evaluate(event, loaded, received_at=NOW).decisions


def only(event: TicketEvent, loaded: MappingSet) -> Decision:
    (decision,) = decisions(event, loaded)
    return decision


def plan_of(event: TicketEvent, loaded: MappingSet) -> Plan:
    result = only(event, loaded).result
    assert isinstance(result, Plan)
    return result


def problem_of(event: TicketEvent, loaded: MappingSet) -> tuple[Reason, str]:
    decision = only(event, loaded)
    assert decision.outcome is Outcome.UNPLANNABLE
    assert isinstance(decision.result, Unplannable)
    return decision.result.problem.reason, decision.result.problem.detail


def with_when(mapping: str, when: str) -> str:
    head, _, rest = mapping.partition("    when:\n")
    return head + f"    when: [{when}]\n" + rest[rest.index("    action:") :]


FIELDS = {
    "select": {"value": "Yes"},
    "number": 5,
    "flag": True,
    "text": "Please repair WS-ABC-12345",
    "nothing": None,
    "blank": "",
    "no_entries": [],
    "options": [{"value": "a"}, {"value": "b"}],
    "unnamed": [{"other": "a"}, {"other": "b"}],
    "blanks": ["", None],
    "nested": [{"inner": []}, {"inner": []}],
    "rows": [{"name": "x", "v": "1"}, {"name": "y", "v": "2"}],
    "devices": ["WS-ABC-12345"],
    "with space": "yes",
}

# A condition, whether it holds (None: neither), and what is said of it.
CONDITIONS = [
    ("{field: ticket.priority, equals: '2'}", False, "ticket.priority is '2 - High', the mapping wants '2'"),
    ("{field: ticket.priority, equals: 2 - High}", True, "ticket.priority is '2 - High', the mapping wants '2 - High'"),
    ("{field: ticket.priority, equals: 2 - HIGH}", False, "ticket.priority is '2 - High', the mapping wants '2 - HIGH'"),
    ("{field: ticket.priority, in: [a, 2 - High]}", True, "ticket.priority is '2 - High', the mapping wants one of 'a', '2 - High'"),
    ("{field: ticket.priority, contains: High}", True, "ticket.priority is '2 - High', the mapping wants 'High' in it"),
    ("{field: ticket.priority, matches: '^2'}", True, "ticket.priority is '2 - High', the mapping wants a match of ^2"),
    ("{field: ticket.status, equals: Open}", None, "ticket.status is missing, the mapping wants 'Open'"),
    ("{field: ticket.status, exists: false}", True, "ticket.status is missing, the mapping wants none"),
    ("{field: ticket.status, exists: true}", False, "ticket.status is missing, the mapping wants a value"),
    ("{field: ticket.labels, contains: auto}", True, "ticket.labels is a list of 'auto', 'office', the mapping wants 'auto' in it"),
    ("{field: ticket.labels, contains: aut}", False, "ticket.labels is a list of 'auto', 'office', the mapping wants 'aut' in it"),
    ("{field: ticket.labels, equals: auto}", None, "ticket.labels is a list of 'auto', 'office', the mapping wants 'auto'"),
    ("{field: 'ticket.labels[0]', equals: auto}", True, "ticket.labels[0] is 'auto', the mapping wants 'auto'"),
    ("{field: fields.select.value, equals: 'Yes'}", True, "fields.select.value is 'Yes', the mapping wants 'Yes'"),
    ("{field: fields.select, equals: 'Yes'}", None, "fields.select is a group of fields, the mapping wants 'Yes'"),
    ("{field: fields.number, equals: 5}", True, "fields.number is '5', the mapping wants '5'"),
    ("{field: fields.flag, equals: true}", True, "fields.flag is 'true', the mapping wants 'true'"),
    ("{field: fields.nothing, equals: x}", None, "fields.nothing is missing, the mapping wants 'x'"),
    ("{field: fields.blank, equals: x}", None, "fields.blank is missing, the mapping wants 'x'"),
    ("{field: fields.absent.deep, equals: x}", None, "fields.absent.deep is missing, the mapping wants 'x'"),
    ("{field: fields.no_entries, contains: x}", False, "fields.no_entries is an empty list, the mapping wants 'x' in it"),
    ("{field: 'fields.no_entries[].value', contains: x}", False, "fields.no_entries[].value is an empty list, the mapping wants 'x' in it"),
    ("{field: 'fields.unnamed[].value', contains: x}", None, "fields.unnamed[].value is missing, the mapping wants 'x' in it"),
    ("{field: fields.blanks, contains: x}", None, "fields.blanks is missing, the mapping wants 'x' in it"),
    ("{field: 'fields.nested[].inner[].v', contains: x}", False, "fields.nested[].inner[].v is an empty list, the mapping wants 'x' in it"),
    ("{field: 'fields.nested[].outer[].v', contains: x}", None, "fields.nested[].outer[].v is missing, the mapping wants 'x' in it"),
    ("{field: 'fields.options[].value', contains: b}", True, "fields.options[].value is a list of 'a', 'b', the mapping wants 'b' in it"),
    ("{field: 'fields.options[].value', matches: '^B$'}", False, "fields.options[].value is a list of 'a', 'b', the mapping wants a match of ^B$"),
    ("{field: fields.options, contains: b}", None, "fields.options is a list of 'a group of fields', 'a group of fields', the mapping wants 'b' in it"),
    ("{field: \"fields.rows[?name=='y'].v\", contains: 2}", True, "fields.rows[?name=='y'].v is a list of '2', the mapping wants '2' in it"),
    ("{field: \"fields.rows[?name=='z'].v\", contains: 2}", None, "fields.rows[?name=='z'].v is missing, the mapping wants '2' in it"),
    ("{field: 'fields.\"with space\"', equals: 'yes'}", True, "fields.\"with space\" is 'yes', the mapping wants 'yes'"),
    ("{field: change.status.to, equals: Approved}", True, "change.status.to is 'Approved', the mapping wants 'Approved'"),
    ("{field: change.status, changed: true}", True, "change.status is changed, the mapping wants it changed"),
    ("{field: change.priority, changed: true}", False, "change.priority is not changed, the mapping wants it changed"),
    ("{field: change.priority.to, equals: x}", None, "change.priority.to is missing, the mapping wants 'x'"),
    ("{field: change.priority, exists: false}", True, "change.priority is missing, the mapping wants none"),
    ("{field: actor.name, equals: Bo}", True, "actor.name is 'Bo', the mapping wants 'Bo'"),
    ("{field: payload.deep.name, equals: x}", True, "payload.deep.name is 'x', the mapping wants 'x'"),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "held", "said"), CONDITIONS, ids=[said for _, _, said in CONDITIONS])
@pytest.mark.parametrize("negated", [False, True])
def test_a_condition_holds_or_not_or_neither_and_says_why(
    load_texts: Load,
    event: MakeEvent,
    mapping: str,
    condition: str,
    held: bool | None,
    said: str,
    *,
    negated: bool,
) -> None:
    when = f"{{not: {condition}}}" if negated else condition
    happened = event(
        priority="2 - High",
        labels=("auto", "office"),
        fields=FIELDS,
        actor=Person(name="Bo"),
        payload={"deep": {"name": "x"}},
    )
    decision = only(happened, load_texts(with_when(mapping, when)))
    (trace,) = decision.trace
    inner = trace.parts[0] if negated else trace
    assert (inner.held, sentence(inner)) == (held, said)
    if negated:
        assert trace.held is (None if held is None else not held)
    assert (decision.outcome is Outcome.FIRED) is (trace.held is True)


TRUE = "{field: ticket.project, equals: SUP}"
FALSE = "{field: ticket.project, equals: OPS}"
NEITHER = "{field: ticket.status, equals: Open}"


@pytest.mark.parametrize(
    ("join", "parts", "held"),
    [
        ("all", [TRUE, TRUE], True),
        ("all", [TRUE, NEITHER], None),
        ("all", [FALSE, NEITHER], False),
        ("any", [FALSE, TRUE, NEITHER], True),
        ("any", [FALSE, NEITHER], None),
        ("any", [FALSE, FALSE], False),
    ],
)
def test_all_and_any_know_three_values(
    load_texts: Load, event: MakeEvent, mapping: str, join: str, parts: list[str], held: bool | None
) -> None:
    loaded = load_texts(with_when(mapping, f"{{{join}: [{', '.join(parts)}]}}"))
    assert only(event(), loaded).trace[0].held is held


@pytest.mark.parametrize("asked", ["changed: false", "changed: true", "exists: false"])
def test_an_update_that_names_no_changes_says_nothing_about_them(
    load_texts: Load, event: MakeEvent, mapping: str, asked: str
) -> None:
    loaded = load_texts(with_when(mapping, f"{{field: change.status, {asked}}}"))
    assert only(event(changes=()), loaded).trace[0].held is None
    assert only(event(changes=(), kind=EventKind.CREATED), loaded).trace[0].held is (asked != "changed: true")


def test_other_sources_and_events_are_not_looked_at(load_texts: Load, event: MakeEvent, mapping: str) -> None:
    loaded = load_texts(mapping)
    assert decisions(event(source="snow"), loaded) == ()
    assert decisions(event(kind=EventKind.COMMENTED), loaded) == ()


def test_a_plan_holds_everything_that_would_be_sent(load_texts: Load, event: MakeEvent, mapping: str) -> None:
    text = mapping + (
        "    params: {Asked by: {from: ticket.person.name}, KB: {value: KB0012345}}\n"
        "    comment: {visibility: public, intro: '$action on $count: $devices for $person ($ticket), 5$$'}\n"
        "    limits: {max_age: 30m, max_devices: 3}\n"
    )
    loaded = load_texts(text)
    plan = plan_of(event(fields={"devices": [" WS-ABC-12345 ", "ws-abc-12345", "WS-ABC-00001"]}), loaded)
    assert plan.devices == ("WS-ABC-12345", "WS-ABC-00001")
    assert plan.params == (("Mode", "silent"), ("KB", "KB0012345"), ("Asked by", "Ada Example"))
    assert plan.style.intro == (
        "Repair Microsoft Office on 2: WS-ABC-12345, WS-ABC-00001 for Ada Example (SUP-7), 5$"
    )
    assert (plan.max_age, plan.max_devices, plan.mode) == (timedelta(minutes=30), 3, Mode.LIVE)
    assert (plan.portal, plan.remote_action_uid) == ("main", "07844969-1889-4de3-9026-020af94be855")
    assert (plan.mapping_set, plan.asked_by) == (loaded.hash, "Ada Example")
    assert plan.occurred_at == datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_the_time_of_receipt_stands_in_for_an_unknown_time(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    assert plan_of(event(occurred_at=None), load_texts(mapping)).occurred_at == NOW


@pytest.mark.parametrize(
    ("rule", "value", "devices"),
    [
        ("from: fields.d", "WS-ABC-12345", ("WS-ABC-12345",)),
        (
            "from: fields.d\n      split: ','",
            "WS-ABC-00002, WS-ABC-00001,,",
            ("WS-ABC-00002", "WS-ABC-00001"),
        ),
        ("from: 'fields.d[].n'", [{"n": "WS-ABC-00001"}, {"x": 1}, {"n": ""}], ("WS-ABC-00001",)),
        ("from: [fields.absent, fields.d]", "WS-ABC-00001", ("WS-ABC-00001",)),
        (
            "from: fields.d\n      extract: 'WS-[A-Z]{3}-\\d{5}'",
            "WS-ABC-00001, (WS-ABC-00002). XWS-ABC-00003 OLD-WS-ABC-00004 WS-ABC-000055 WS-ABC-00006-B "
            "WS-ABC-00007.example.com äWS-ABC-00008 WS-ABC-00009.",
            ("WS-ABC-00001", "WS-ABC-00002", "WS-ABC-00009"),
        ),
        (
            "from: fields.d\n      by: uid",
            "ABCDEF0123456789abcdef0123456789",
            ("abcdef0123456789abcdef0123456789",),
        ),
    ],
)
def test_devices_are_found_where_the_mapping_says(
    load_texts: Load, event: MakeEvent, mapping: str, rule: str, value: Any, devices: tuple[str, ...]
) -> None:
    loaded = load_texts(mapping.replace("from: fields.devices", rule))
    plan = plan_of(event(fields={"d": value}), loaded)
    assert plan.devices == devices
    assert plan.by is (DeviceKey.UID if "uid" in rule else DeviceKey.NAME)


@pytest.mark.parametrize(
    ("rule", "value", "reason", "said"),
    [
        ("", "SRV-1", Reason.DEVICE_REFUSED, r"'SRV-1' is refused: the action is only for devices that match WS-[A-Z]{3}-\d{5}"),
        ("", "ws-vip-00001", Reason.DEVICE_REFUSED, "'ws-vip-00001' is refused: the action is never for devices that match WS-VIP-.*"),
        ("", "WS-ABC-12345\nWS", Reason.DEVICE_REFUSED, "'WS-ABC-12345 WS' is refused: it has the control character U+000A"),
        ("", "WS-ABC-1\u202e2345", Reason.DEVICE_REFUSED, "'WS-ABC-1\u202e2345' is refused: it has the control character U+202E"),
        ("", "WS ABC", Reason.DEVICE_REFUSED, "'WS ABC' is refused: it is not a device name (letters, digits, '_', '.' and '-', 63 at most)"),
        ("", "0" * 32, Reason.DEVICE_REFUSED, f"'{'0' * 32}' is refused: it looks like a sys_id (send the display value)"),
        ("\n      by: uid", "WS-ABC-12345", Reason.DEVICE_REFUSED, "'WS-ABC-12345' is refused: it is not a device UID of 32 hex digits"),
        ("", {"a": "WS-ABC-12345"}, Reason.DEVICE_REFUSED, "fields.devices has a group of fields where a device name is needed (name a field in it)"),
        ("", "x" * 100_001, Reason.DEVICE_REFUSED, "fields.devices is longer than 100000 characters"),
        ("", [f"WS-ABC-{n:05}" for n in range(6)], Reason.TOO_MANY_DEVICES, "the ticket names more than 5 devices, which is the limit here"),
        ("", [], Reason.NO_DEVICE, "the ticket names no device at fields.devices"),
        ("", " ", Reason.NO_DEVICE, "the ticket names no device at fields.devices"),
        ("", None, Reason.NO_DEVICE, "the ticket names no device at fields.devices"),
    ],
)  # fmt: skip
def test_a_device_that_is_refused_stops_the_run_and_says_why(
    load_texts: Load, event: MakeEvent, mapping: str, rule: str, value: Any, reason: Reason, said: str
) -> None:
    loaded = load_texts(mapping.replace("fields.devices", f"fields.devices{rule}"))
    assert problem_of(event(fields={"devices": value}), loaded) == (reason, said)


def test_a_ticket_without_devices_may_be_ignored(load_texts: Load, event: MakeEvent, mapping: str) -> None:
    loaded = load_texts(mapping.replace("fields.devices", "fields.devices\n      if_none: ignore"))
    decision = only(event(fields={}), loaded)
    assert (decision.outcome, decision.result) == (Outcome.IGNORED, None)


@pytest.mark.parametrize(
    ("param", "priority", "sent"),
    [
        ("{from: ticket.priority, map: {High: prompt}}", "High", "prompt"),
        ("{from: ticket.priority, map: {High: prompt}, other: force}", "Low", "force"),
        ("{from: ticket.priority, map: {High: prompt}, other: force, default: prompt}", None, "prompt"),
        ("{from: ticket.priority, map: {High: prompt}, other: force}", None, "silent"),
        ("{from: ticket.priority}", "force", "force"),
        ("{value: force}", "x", "force"),
    ],
)
def test_a_parameter_comes_from_value_map_other_or_default(
    load_texts: Load, event: MakeEvent, mapping: str, param: str, priority: str | None, sent: str
) -> None:
    loaded = load_texts(mapping + f"    params: {{Mode: {param}}}\n")
    assert plan_of(event(priority=priority), loaded).params == (("Mode", sent),)


@pytest.mark.parametrize(
    ("param", "value", "said"),
    [
        ("Mode: {from: fields.v, map: {High: prompt}}", "Low", "the mapping has no 'Mode' for the value 'Low' of fields.v"),
        ("Mode: {from: fields.v}", "loud", "the value 'loud' is not allowed for 'Mode': it is none of silent, prompt, force"),
        ("KB: {from: fields.v}", "KB1", r"the value 'KB1' is not allowed for 'KB': it does not match KB\d{7}"),
        ("KB: {from: fields.v}", "KB0012345 & calc", r"the value 'KB0012345 & calc' is not allowed for 'KB': it does not match KB\d{7}"),
        ("Asked by: {from: fields.v}", "a;b", "the value 'a;b' is not allowed for 'Asked by': it is not a name"),
        ("Asked by: {from: fields.v}", "a\nb", "the value 'a b' is not allowed for 'Asked by': it has the control character U+000A"),
        ("Asked by: {from: fields.v}", "a" * 1001, f"the value '{'a' * 79}…' is not allowed for 'Asked by': it is longer than 1000 characters"),
        ("Mode: {from: fields.v}", {"a": 1}, "fields.v has a group of fields where one value is needed for 'Mode'"),
        ("Mode: {from: fields.v}", ["a", "b"], "fields.v has 2 values where one value is needed for 'Mode'"),
    ],
)  # fmt: skip
def test_a_value_that_is_refused_names_the_parameter(
    load_texts: Load, event: MakeEvent, mapping: str, param: str, value: Any, said: str
) -> None:
    loaded = load_texts(mapping + f"    params: {{{param}}}\n")
    happened = event(fields={"devices": "WS-ABC-12345", "v": value})
    assert problem_of(happened, loaded) == (Reason.VALUE_REFUSED, said)


def test_a_required_value_that_is_missing_names_the_field(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    text = mapping.replace("repair-office", "clear-cache")
    loaded = load_texts(text + "    portal: us\n    params: {Level: {from: fields.level}}\n")
    assert problem_of(event(), loaded) == (
        Reason.VALUE_MISSING,
        "the ticket has no value at fields.level for 'Level', which the action needs",
    )


@pytest.mark.parametrize(
    ("shape", "good", "bad"),
    [
        (
            "name",
            [
                "Ada Example",
                "O'Brien-Łuczak, J.",
                "Jean-Luc d’Arc",
                "Zoe\u0301-Ann",
                "山田 太郎",
                "svc_a.b",
                "x" * 100,
            ],
            [
                *(
                    "a;b",
                    "$x",
                    "a" * 101,
                    "a`b",
                    "<b>",
                    "' (Stop-Computer) '",
                    "-Force",
                    "Ada -Force",
                    "a (b)",
                ),
                *(
                    "Ada  Example",
                    " Ada",
                    "Ada ",
                    "'Ada'",
                    "Ada' x",
                    "a'-b",
                    "Ada –Force",
                    ". a",
                    "a--b",
                    "‘a’",
                ),
            ],
        ),
        ("number", ["5", "-5", "5.25", "+0"], ["5e3", "٥", "", "1,5", "5 ", "."]),
        ("host", ["ws-1", "a.example.com", "A" * 63], ["-a", "a b", "A" * 64, "ä"]),
        (
            "date",
            ["2026-01-31", "2026-01-31 14:05", "2026-01-31T14:05:00Z"],
            ["2026-02-30", "31.01.2026", "2026"],
        ),
        ("anything", ["a;b | c", "x" * 1000], ["x" * 1001, "a\x00"]),
    ],
)
def test_a_shape_lets_through_only_what_it_says(
    load_texts: Load,
    event: MakeEvent,
    mapping: str,
    catalogue: str,
    shape: str,
    good: list[str],
    bad: list[str],
) -> None:
    actions = catalogue.replace("Note: {}", f"Note: {{shape: {shape}}}")
    loaded = load_texts(mapping + "    params: {Note: {from: fields.v}}\n", actions=actions)
    for value in good:
        plan = plan_of(event(fields={"devices": "WS-ABC-12345", "v": value}), loaded)
        assert dict(plan.params)["Note"] == value
    for value in filter(None, bad):
        reason, _ = problem_of(event(fields={"devices": "WS-ABC-12345", "v": value}), loaded)
        assert reason is Reason.VALUE_REFUSED, value


@pytest.mark.parametrize(
    ("param", "text", "refused"),
    [
        ("shape: anything", "-Force", True),
        ("shape: anything", " –Force", True),
        ("pattern: '.*'", "-Force", True),
        ("shape: number", "-5", False),
        ("one_of: ['-1', '1']", "-1", False),
        ("shape: anything", "a -Force", False),
    ],
)
def test_a_ticket_s_text_cannot_be_taken_for_an_option(
    load_texts: Load, event: MakeEvent, mapping: str, catalogue: str, param: str, text: str, refused: bool
) -> None:
    actions = catalogue.replace("Note: {}", f"Note: {{{param}}}")
    loaded = load_texts(mapping + "    params: {Note: {from: fields.v}}\n", actions=actions)
    happened = event(fields={"devices": "WS-ABC-12345", "v": text})
    if refused:
        reason, said = problem_of(happened, loaded)
        assert reason is Reason.VALUE_REFUSED
        assert said.endswith("it begins with a dash, as an option of a command does")
    else:
        assert dict(plan_of(happened, loaded).params)["Note"] == text


def test_a_value_that_the_mapping_writes_may_begin_with_a_dash(
    load_texts: Load, event: MakeEvent, mapping: str, catalogue: str
) -> None:
    actions = catalogue.replace("Note: {}", "Note: {shape: anything}")
    loaded = load_texts(
        mapping + "    params: {Note: {from: fields.v, map: {high: '-x'}}}\n", actions=actions
    )
    happened = event(fields={"devices": "WS-ABC-12345", "v": "high"})
    assert dict(plan_of(happened, loaded).params)["Note"] == "-x"


def test_a_portal_is_chosen_by_a_value_of_the_ticket(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    text = mapping.replace("repair-office", "clear-cache") + (
        "    params: {Level: {value: 5}}\n    portal: {from: fields.place, map: {Paris: main, Boston: us}}\n"
    )
    loaded = load_texts(text)
    plan = plan_of(event(fields={"devices": "a", "place": "Boston"}), loaded)
    assert (plan.portal, plan.remote_action_uid) == ("us", "07844969-1889-4de3-9026-020af94be857")
    assert plan.engines == ("engine-1",)
    for place, said in ((None, "no value"), ("Rome", "'Rome'"), (["Paris", "Boston"], "no single value")):
        assert problem_of(event(fields={"devices": "a", "place": place}), loaded) == (
            Reason.NO_PORTAL,
            f"fields.place has {said}, for which the mapping names no portal",
        )


def test_the_same_action_twice_for_a_device_is_one_run(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    loaded = load_texts(mapping, mapping.replace("id: repair", "id: second"))
    first, second = decisions(event(), loaded)
    assert (first.outcome, second.outcome, second.result) == (Outcome.FIRED, Outcome.IGNORED, None)
    assert sentence(second.trace[-1]) == (
        "'repair' runs the same on 1 of its devices, one run for a device is enough"
    )


def test_a_mapping_keeps_the_devices_that_another_does_not_have(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    other = mapping.replace("id: repair", "id: second").replace("fields.devices", "fields.more")
    loaded = load_texts(mapping, other + "    comment: {intro: '$count'}\n")
    happened = event(fields={"devices": "WS-ABC-12345", "more": ["ws-abc-12345", "WS-ABC-00002"]})
    _, second = decisions(happened, loaded)
    assert isinstance(second.result, Plan)
    assert (second.result.devices, second.result.style.intro) == (("WS-ABC-00002",), "1")


@pytest.mark.parametrize(
    "other",
    [
        ("mode: live", "mode: live\n    params: {Mode: {value: force}}"),
        ("mode: live", "mode: announce"),
        ("mode: live", "mode: live\n    approval: {expires: 2h}"),
    ],
    ids=["params", "mode", "approval"],
)
def test_a_device_that_two_mappings_treat_differently_gets_neither(
    load_texts: Load, event: MakeEvent, mapping: str, other: tuple[str, str]
) -> None:
    loaded = load_texts(mapping, mapping.replace("id: repair", "id: second").replace(*other))
    said = "the mappings 'repair' and 'second' send 'repair-office' to the same device in different ways"
    for decision in decisions(event(), loaded):
        assert isinstance(decision.result, Unplannable)
        assert (decision.result.problem.reason, decision.result.problem.detail) == (Reason.CONFLICT, said)


def test_no_mapping_leaves_a_device_to_one_that_cannot_run(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    """`first` contradicts `third`, so `second`, which agrees with `first` elsewhere, runs there itself."""
    first = mapping.replace("id: repair", "id: first").replace("fields.devices", "[fields.a, fields.b]")
    second = mapping.replace("id: repair", "id: second").replace("fields.devices", "fields.a")
    third = mapping.replace("id: repair", "id: third").replace("fields.devices", "fields.b")
    loaded = load_texts(first, second, third + "    params: {Mode: {value: force}}\n")
    found = decisions(event(fields={"a": "WS-ABC-00001", "b": "WS-ABC-00002"}), loaded)
    assert [one.outcome for one in found] == [Outcome.UNPLANNABLE, Outcome.FIRED, Outcome.UNPLANNABLE]


def test_a_thousand_misses_leave_a_short_trace_and_the_nearest(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    head, _, entry = mapping.partition("mappings:\n")
    far = [
        entry.replace("id: repair", f"id: m{n}").replace("equals: SUP", "equals: OPS") for n in range(1000)
    ]
    near = entry.replace("id: repair", "id: near").replace(
        "equals: SUP", "equals: SUP\n      - field: ticket.status\n        equals: Open"
    )
    found = decisions(event(), load_texts(head + "mappings:\n" + "".join(far) + near))
    assert len(found) == MISSES_KEPT
    assert found[0].mapping == "near"
    assert sum(len(decision.trace) for decision in found) == MISSES_KEPT + 1


def test_the_nearest_is_what_fewest_conditions_kept_from_firing_then_what_most_held_of(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    whens = {
        "long": (TRUE, TRUE, FALSE, FALSE),
        "one": (FALSE,),
        "more": (FALSE, TRUE),
    }
    texts = [
        with_when(mapping.replace("id: repair", f"id: {name}"), ", ".join(when))
        for name, when in whens.items()
    ]
    loaded = load_texts(*texts)
    for found in (decisions(event(), loaded), explain(event(), loaded, received_at=NOW)):
        assert [decision.mapping for decision in found] == ["more", "one", "long"]


def test_explain_shows_every_condition_of_every_mapping_near_misses_first(
    load_texts: Load, event: MakeEvent, mapping: str
) -> None:
    far = with_when(mapping.replace("id: repair", "id: far"), f"{FALSE}, {FALSE}, {TRUE}")
    near = with_when(mapping.replace("id: repair", "id: near"), f"{FALSE}, {TRUE}, {TRUE}")
    elsewhere = mapping.replace("id: repair", "id: elsewhere").replace("[created, updated]", "[commented]")
    found = explain(event(), load_texts(far, near, elsewhere, mapping), received_at=NOW)
    assert [decision.mapping for decision in found] == ["repair", "near", "elsewhere", "far"]
    assert [len(decision.trace) for decision in found] == [1, 5, 3, 5]
    assert sentence(found[2].trace[1]) == "the ticket was updated, the mapping wants commented"


def test_the_changes_of_an_event_are_seen_by_name(load_texts: Load, event: MakeEvent, mapping: str) -> None:
    loaded = load_texts(with_when(mapping, "{field: 'change.\"Story Points\".from', equals: 3}"))
    changes = (Change(name="Story Points", before=3, after=5),)
    assert only(event(changes=changes), loaded).outcome is Outcome.FIRED
