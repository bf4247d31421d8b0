"""What holds for every ticket and every condition, found by hypothesis."""

import json
import string
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.mapping import conditions, fences, parameters, paths
from bridge.mapping.conditions import Ask, Condition, FieldCondition, Join, JoinedCondition
from bridge.mapping.documents import Place
from bridge.mapping.evaluate import evaluate, explain
from bridge.mapping.language import MappingSet
from bridge.mapping.paths import MISSING, View
from bridge.models import Person, Plan, TicketEvent
from bridge.policy import needs_approval

NOW = datetime(2026, 5, 2, tzinfo=UTC)
MakeEvent = Callable[..., TicketEvent]
# Each example reads files, over which a busy machine may take its time.
LOADING = settings(deadline=None)

texts = st.text(st.sampled_from("aWS-VIPBC0123459 .,;\n\u202e\x00ä山"), max_size=25)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
MISSING_PATHS = (
    "fields.absent",
    "fields.absent.a",
    "fields.absent[].a",
    "fields.rows[].absent",
    "ticket.status",
)
KNOWN_PATHS = (
    "ticket.project",
    "fields.a",
    "fields.b",
    "fields.rows[].a",
    "fields.rows[?a=='x'].b",
    "fields.a.b[0]",
)


def leaves(names: tuple[str, ...]) -> st.SearchStrategy[Condition]:
    tests = st.sampled_from([Ask.EQUALS, Ask.IN, Ask.CONTAINS])
    return st.builds(
        lambda path, test, wanted: FieldCondition(path=paths.compiled(path), test=test, texts=(wanted,)),
        st.sampled_from(names),
        tests,
        texts,
    )


def trees(names: tuple[str, ...]) -> st.SearchStrategy[Condition]:
    return st.recursive(
        leaves(names),
        lambda inner: st.builds(
            lambda join, parts: JoinedCondition(
                join=join, parts=tuple(parts[:1] if join is Join.NOT else parts)
            ),
            st.sampled_from(Join),
            st.lists(inner, min_size=1, max_size=3),
        ),
        max_leaves=8,
    )


def negated(condition: Condition) -> Condition:
    return JoinedCondition(join=Join.NOT, parts=(condition,))


def view(event: MakeEvent, fields: Any) -> View:
    return View(event(fields=fields))


@given(tree=trees(MISSING_PATHS))
def test_missing_never_makes_a_condition_true_or_false_not_even_under_not(
    event: MakeEvent, tree: Condition
) -> None:
    seen = view(event, {"rows": [{"b": 1}], "absent": None})
    assert conditions.trace(tree, seen).held is None


@given(tree=trees(KNOWN_PATHS), fields=st.dictionaries(st.sampled_from(["a", "b", "rows"]), values))
def test_not_turns_true_and_false_and_keeps_neither(event: MakeEvent, tree: Condition, fields: Any) -> None:
    seen = view(event, fields)
    held = conditions.trace(tree, seen).held
    assert conditions.trace(negated(tree), seen).held is (None if held is None else not held)
    assert conditions.trace(negated(negated(tree)), seen).held is held


@given(
    parts=st.lists(trees(KNOWN_PATHS), min_size=1, max_size=3),
    fields=st.dictionaries(st.sampled_from(["a", "b"]), values),
)
def test_de_morgan_holds_for_three_values(event: MakeEvent, parts: list[Condition], fields: Any) -> None:
    seen = view(event, fields)
    neither_all = negated(JoinedCondition(join=Join.ALL, parts=tuple(parts)))
    any_not = JoinedCondition(join=Join.ANY, parts=tuple(negated(part) for part in parts))
    assert conditions.trace(neither_all, seen).held is conditions.trace(any_not, seen).held


@given(parts=st.lists(trees(KNOWN_PATHS), min_size=1, max_size=3), gone=leaves(MISSING_PATHS))
def test_a_missing_part_never_makes_all_true_nor_any_false(
    event: MakeEvent, parts: list[Condition], gone: Condition
) -> None:
    seen = view(event, {"a": "x", "b": ["y"], "rows": [{"a": "x", "b": "z"}], "absent": None})
    assert conditions.trace(JoinedCondition(join=Join.ALL, parts=(*parts, gone)), seen).held is not True
    assert conditions.trace(JoinedCondition(join=Join.ANY, parts=(*parts, gone)), seen).held is not False


@given(fields=st.dictionaries(st.sampled_from(["a", "b", "rows"]), values), name=st.sampled_from(KNOWN_PATHS))
def test_a_value_is_never_null_nor_empty_text(event: MakeEvent, fields: Any, name: str) -> None:
    value = view(event, fields).value(paths.compiled(name))
    assert value is MISSING or value not in (None, "")
    if isinstance(value, tuple):
        assert all(entry not in (None, "") for entry in value)


@settings(max_examples=200, deadline=None)
@given(
    devices=values | st.lists(st.from_regex(r"(?i)\AWS-(VIP|ABC)-[0-9]{4,6}\Z"), max_size=7) | texts,
    mode=values | st.sampled_from(["silent", "force"]),
    kb=values | st.from_regex(r"\AKB[0-9]{6,8}\Z"),
    name=values | st.text(max_size=5),
    rule=st.sampled_from(["", "\n      split: ','", "\n      extract: '[A-Z]+-.*'", "\n      by: uid"]),
)
def test_whatever_a_ticket_says_a_plan_stays_inside_every_fence(
    load_texts: Callable[..., MappingSet],
    event: MakeEvent,
    devices: Any,
    mode: Any,
    kb: Any,
    name: Any,
    rule: str,
) -> None:
    text = (
        "version: 1\nmappings:\n  - id: repair\n    source: jira\n    events: [updated]\n"
        "    when: [{field: ticket.project, equals: SUP}]\n    action: repair-office\n"
        f"    devices:\n      from: fields.devices{rule}\n"
        "    params: {Mode: {from: fields.mode}, KB: {from: fields.kb}, Asked by: {from: fields.name}}\n"
    )
    loaded = load_texts(text)
    happened = event(fields={"devices": devices, "mode": mode, "kb": kb, "name": name})
    (decision,) = evaluate(happened, loaded, received_at=NOW).decisions
    assert explain(happened, loaded, received_at=NOW) == (decision,)
    if not isinstance(decision.result, Plan):
        return
    plan = decision.result
    assert 1 <= len(plan.devices) <= plan.max_devices == 5
    assert len({device.casefold() for device in plan.devices}) == len(plan.devices)
    for device in plan.devices:
        assert fences.is_uid(device) if "uid" in rule else fences.breach(plan.fence, device) is None
    action = loaded.catalogue.actions["repair-office"]
    assert list(dict(plan.params)) == [one.name for one in action.params if one.name in dict(plan.params)]
    for param, value in plan.params:
        declared = action.param(param)
        assert declared is not None
        assert parameters.refusal(declared, value) is None


@LOADING
@given(login=texts | st.text(max_size=70) | st.from_regex(r"\A[A-Za-z0-9._\\@-]{1,70}\Z"))
def test_whatever_login_a_ticket_says_only_the_name_of_an_account_is_asked_for(
    load_texts: Callable[..., MappingSet], event: MakeEvent, login: str
) -> None:
    text = (
        "version: 1\nmappings:\n  - id: repair\n    source: jira\n    events: [updated]\n"
        "    when: [{field: ticket.project, equals: SUP}]\n    action: repair-office\n"
        "    devices: {from: ticket.person.login, by: user, domain: CORP}\n"
    )
    (decision,) = evaluate(event(person=Person(login=login)), load_texts(text), received_at=NOW).decisions
    if isinstance(decision.result, Plan):
        assert decision.result.user is not None
        assert decision.result.devices == (decision.result.user.login,) == (login.strip(),)
        assert set(login.strip()) <= set(string.ascii_letters + string.digits + "._-")


DEMANDS = st.sampled_from([None, "none", "required"]) | st.integers(0, 6)


@LOADING
@given(
    demand=DEMANDS,
    own=st.none() | st.integers(0, 6),
    too_many=st.none() | st.integers(1, 6),
    devices=st.integers(1, 8),
)
def test_l3_no_mapping_weakens_what_the_catalogue_asks_for(
    load_texts: Callable[..., MappingSet],
    event: MakeEvent,
    catalogue: str,
    demand: str | int | None,
    own: int | None,
    too_many: int | None,
    devices: int,
) -> None:
    asked = f"{{above: {demand}}}" if isinstance(demand, int) else demand
    actions = catalogue if asked is None else f"{catalogue}    approval: {asked}\n"
    text = (
        "version: 1\nmappings:\n  - id: cache\n    source: jira\n    events: [updated]\n"
        "    when: [{field: ticket.project, equals: SUP}]\n    action: clear-cache\n    portal: us\n"
        "    params: {Level: {value: 1}}\n"
        f"    devices: {{from: fields.devices{', if_too_many: approval' if too_many else ''}}}\n"
        + (f"    limits: {{max_devices: {too_many}}}\n" if too_many else "")
        + (f"    approval: {{above: {own}}}\n" if own is not None else "")
    )
    loaded = load_texts(text, actions=actions)
    (decision,) = evaluate(event(), loaded, received_at=NOW).decisions
    assert isinstance(decision.result, Plan)
    demanded = 0 if demand == "required" else demand
    bounds = [bound for bound in (demanded, own, too_many) if isinstance(bound, int)]
    wanted = any(devices > bound for bound in bounds)
    assert needs_approval(decision.result, devices) is wanted


@LOADING
@given(payload=values)
def test_any_payload_is_evaluated(
    load_texts: Callable[..., MappingSet], event: MakeEvent, payload: Any
) -> None:
    text = (
        "version: 1\nmappings:\n  - id: repair\n    source: jira\n    events: [updated]\n"
        "    when: [{field: 'payload.a[].b', matches: x}, {field: 'payload[0]', equals: x}]\n"
        "    action: repair-office\n    devices: {from: payload.a}\n"
    )
    happened = event(fields=json.loads(json.dumps(payload)), payload=payload)
    assert len(explain(happened, load_texts(text), received_at=NOW)) == 1


@given(
    text=st.text(max_size=40) | st.text(st.sampled_from("ticket.fields[]0?='\"@*|&!{}`(),ab"), max_size=30)
)
def test_any_text_is_a_path_or_refused(event: MakeEvent, text: str) -> None:
    try:
        path = paths.compiled(text)
    except paths.PathError:
        return
    assert path.root in paths.ROOTS
    view(event, {"a": [{"b": [1]}]}).value(path)


def test_a_place_is_shown_as_editors_open_it() -> None:
    assert str(Place(file="mappings/a.yaml", line=3, column=5)) == "mappings/a.yaml:3:5"
