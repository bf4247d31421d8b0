"""Loading: every problem at once, each with its place and a way out, and the tightest limit wins."""

# ruff: noqa: E501, ISC004 - each row of the tables is one message, whole, so that it can be searched for
from collections.abc import Callable
from datetime import timedelta

import pytest

from bridge.errors import ConfigurationError
from bridge.mapping.language import MappingSet, MappingTexts
from bridge.mapping.reading import LoadContext
from bridge.models import EngineChoice, Mode, PortalName, Repeat, Visibility

Load = Callable[..., MappingSet]


def problems(load: Load, *mappings: str, **more: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as refused:
        load(*mappings, **more)
    return refused.value.problems


# What is changed in the good mapping, and the one problem that it makes.
FAULTS = [
    ("version: 1", "version: 2", "1:10: 'version' must be 1, the version of the language that this bridge reads"),
    ("version: 1\n", "version: 1\ntest: []\n", "2:1: unknown key 'test' (did you mean 'tests'?)"),
    ("devices:", "devcies:", "10:5: unknown key 'devcies' (did you mean 'devices'?)"),
    ("id: repair", "id: Repair Office", "3:9: 'Repair Office' is not a name of small letters, digits, '-' and '_'"),
    ("id: repair", "name: x", "3:5: unknown key 'name' (known: action, after, approval, comment, devices, events, id, limits, mode, "
     "params, portal, repeat, send_again, source, when)"),
    ("    action: repair-office\n", "", "3:5: this entry lacks the key 'action' (add it)"),
    ("source: jira", "source: jria", "4:13: unknown source 'jria' (did you mean 'jira'?)"),
    ("    source: jira\n", "", "3:5: mapping 'repair' lacks 'source' (add it, or to 'defaults')"),
    ("    events: [created, updated]\n", "", "3:5: mapping 'repair' lacks 'events' (add it)"),
    ("[created, updated]", "[created, update]", "5:23: this entry cannot be 'update' (did you mean 'updated'?)"),
    ("[created, updated]", "[]", "5:13: 'events' is an empty list (add an entry)"),
    ("[created, updated]", "[created, created]", "5:13: 'events' has the same entry twice (remove one)"),
    ("[created, updated]", "created", "5:13: 'events' must be a list, but is 'created' (write [created])"),
    (
        "[created, updated]",
        "5",
        "5:13: 'events' must be a list, but is '5' (write a list of created, updated, commented)",
    ),
    ("equals: SUP", "equals: [SUP]", "8:17: 'equals' must be a text, but is a list (write one text; several go under 'in:')"),
    ("ticket.project", "ticket.lables", "7:16: unknown field 'ticket.lables' (did you mean 'ticket.labels'?)"),
    (
        "ticket.project",
        "ticket.person",
        "7:16: 'ticket.person' is a person (write ticket.person.name, .email or .login)",
    ),
    (
        "ticket.project",
        "ticket.project.key",
        "7:16: unknown field 'ticket.project.key' (did you mean 'ticket.project'?)",
    ),
    (
        "ticket.project",
        "ticket.project[0]",
        "7:16: 'ticket.project' is one text (remove the brackets and what follows)",
    ),
    (
        "ticket.project",
        "tickets.project",
        "7:16: 'tickets.project' does not begin with ticket., fields., change., actor. or payload. "
        "(did you mean 'ticket'?)",
    ),
    ("ticket.project", "actor.nmae", "7:16: unknown field 'actor.nmae' (did you mean 'actor.name'?)"),
    (
        "ticket.project",
        "change.status",
        "7:16: 'change.status' is not a side of a change (write change.status.from or .to)",
    ),
    (
        "ticket.project",
        "fields.a[*].b",
        "7:16: 'fields.a[*].b' uses more than a path may (names, [], [0] and [?name=='x'] only)",
    ),
    (
        "ticket.project",
        "length(fields.a)",
        "7:16: 'length(fields.a)' uses more than a path may (names, [], [0] and [?name=='x'] only)",
    ),
    (
        "ticket.project",
        "fields.a b",
        "7:16: 'fields.a b' is not a path (names joined by dots; put names with spaces in double quotes)",
    ),
    (
        "equals: SUP",
        "exist: true",
        "8:9: unknown key 'exist' (did you mean 'exists'?)",
    ),
    (
        "        equals: SUP\n",
        "",
        "7:9: this entry needs beside 'field' exactly one of equals, in, contains, matches, exists, changed",
    ),
    (
        "equals: SUP",
        "equals: SUP\n        contains: S",
        "7:9: this entry needs beside 'field' exactly one of equals, in, contains, matches, exists, changed",
    ),
    (
        "equals: SUP",
        "equals: SUP\n      - field: ticket.key\n        all: [{field: ticket.key, exists: true}]",
        "9:9: 'all' must stand alone",
    ),
    ("equals: SUP", "equals:", "8:16: 'equals' is empty (write a value, or remove the key)"),
    ("equals: SUP", "matches: '(a'", "8:18: '(a' is not a regular expression of RE2: missing ): (a (correct it)"),
    (
        "equals: SUP",
        "matches: 'a(?=b)'",
        "8:18: 'a(?=b)' is not a regular expression of RE2: invalid perl operator: (?= (RE2 has no look-ahead or look-behind; use 'not:')",
    ),
    ("equals: SUP", "exists: yes", "8:17: 'exists' must be true or false, but is 'yes'"),
    (
        "field: ticket.project\n        equals: SUP",
        "field: fields.x\n        exists: false",
        "8:9: 'exists' cannot be asked of 'fields.x' (only of ticket., change. and actor. names)",
    ),
    (
        "equals: SUP",
        "changed: true",
        "7:16: 'changed' is asked of a change. name, not of 'ticket.project' (write change.NAME)",
    ),
    ("repair-office", "repair-offise", "9:13: unknown action 'repair-offise' (did you mean 'repair-office'?)"),
    ("from: fields.devices", "form: fields.devices", "11:7: unknown key 'form' (did you mean 'from'?)"),
    (
        "from: fields.devices",
        "from: {a: b}",
        "11:13: 'from' must be a path or a list of paths",
    ),
    ("from: fields.devices", "from: [fields.a, x.b]", "11:24: 'x.b' does not begin with ticket., fields., change., "
     "actor. or payload. (known: actor, change, fields, payload, ticket)"),
    ("mode: live", "mode: lvie", "12:11: 'mode' cannot be 'lvie' (did you mean 'live'?)"),
    (
        "mode: live",
        "repeat: per_change",
        "12:13: 'per_change' needs a condition on the change in every case (add one on change.NAME)",
    ),
    ("mode: live", "limits: {max_devices: many}", "12:27: 'max_devices' must be a whole number, but is 'many'"),
    ("mode: live", "limits: {max_devices: 0}", "12:27: 'max_devices' must be 1 or more, not 0"),
    ("mode: live", "limits: {max_devices: 10001}", "12:27: 'max_devices' must be 10000 or less, not 10001"),
    (
        "mode: live",
        "limits: {max_devices: 1000000000}",
        "12:27: 'max_devices' must be 10000 or less, not 1000000000",
    ),
    ("mode: live", "limits: {max_age: 1 day}", "12:23: '1 day' is not a duration such as 90s, 30m, 4h or 2d"),
    ("mode: live", "portal: us", "12:13: action 'repair-office' has no portal 'us' (known: main)"),
    (
        "mode: live",
        "portal: {from: fields.place}",
        "12:13: 'portal' lacks the key 'map' (add it)",
    ),
    (
        "mode: live",
        "portal: {from: fields.place, map: {Paris: mian}}",
        "12:47: action 'repair-office' has no portal 'mian' (did you mean 'main'?)",
    ),
    (
        "mode: live",
        "params: {mode: {value: silent}}",
        "12:14: action 'repair-office' has no parameter 'mode' (did you mean 'Mode'?)",
    ),
    (
        "mode: live",
        "params: {Mode: {value: loud}}",
        "12:28: 'loud' is not allowed for 'Mode': it is none of silent, prompt, force (see mappings/actions.yaml:12:7)",
    ),
    (
        "mode: live",
        "params: {Mode: {from: ticket.priority, map: {High: loud}}}",
        "12:56: 'loud' is not allowed for 'Mode': it is none of silent, prompt, force (see mappings/actions.yaml:12:7)",
    ),
    (
        "mode: live",
        "params: {Mode: {from: ticket.priority, other: silent}}",
        "12:20: 'other' needs 'map' beside it (add 'map' or remove 'other')",
    ),
    (
        "mode: live",
        "params: {Mode: {from: ticket.priority, value: silent}}",
        "12:20: 'Mode' must be either 'value' alone, or 'from' with map, other and default as needed",
    ),
    (
        "mode: live",
        "params: {Note: {from: ticket.summary}}",
        "12:14: 'Note' is filled from a ticket but has neither one_of, pattern nor shape "
        "(add one in mappings/actions.yaml:19)",
    ),
    (
        "mode: live",
        "comment: {intro: 'For $persn'}",
        "12:22: unknown name '$persn' (did you mean 'person'?)",
    ),
    (
        "mode: live",
        "comment: {intro: 'Costs 5$'}",
        "12:22: a '$' in 'intro' begins no name (write $$ for a dollar sign)",
    ),
    (
        "mode: live",
        "mode: live\ntests:\n  - {name: a, source: jria, payload: x.json, expect: []}",
        "14:23: unknown source 'jria' (did you mean 'jira'?)",
    ),
    (
        "mode: live",
        "mode: live\ntests:\n  - {name: a, source: jira, payload: x.json, expect: [{mapping: repare}]}",
        "14:65: unknown mapping 'repare' (did you mean 'repair'?)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("good", "bad", "problem"), FAULTS, ids=[problem for _, _, problem in FAULTS])
def test_each_problem_has_its_place_and_the_way_out(
    load_texts: Load, mapping: str, good: str, bad: str, problem: str
) -> None:
    assert mapping.count(good) == 1
    assert problems(load_texts, mapping.replace(good, bad)) == (f"mappings/m1.yaml:{problem}",)


CATALOGUE_FAULTS = [
    ("title: Repair Microsoft Office\n    uid: ", "title: ''\n    uid: ",
     "4:12: 'title' is empty (write a value, or remove the key)"),
    ("07844969-1889-4de3-9026-020af94be855", "07844969", "5:10: '07844969' is not a UID of the form 00000000-0000-0000-0000-000000000000"),
    ("    uid: 07844969-1889-4de3-9026-020af94be855\n    portal: main\n", "", "4:5: 'repair-office' needs either 'uid' or 'portals'"),
    ("portal: main", "portal: mian", "6:13: unknown portal 'mian' (did you mean 'main'?)"),
    ("    portal: main\n", "", "3:3: action 'repair-office' names no portal and 2 are configured (add 'portal')"),
    ("      us: {", "      uk: {", "24:7: unknown portal 'uk' (known: main, us)"),
    ("names: '.*'", "names: '*'", "26:22: '*' is not a regular expression of RE2: no argument for repetition operator: * (correct it)"),
    ("default: silent", "default: loud", "14:18: 'loud' is not allowed for 'Mode': it is none of silent, prompt, force (correct it)"),
    ("shape: number", "shape: numbr", "30:16: 'shape' cannot be 'numbr' (did you mean 'number'?)"),
    ("engines: [engine-1]", "engines: some", "25:14: 'engines' cannot be 'some' (known: all, where_found)"),
    ("repair-office:", "Repair Office:", "3:3: 'Repair Office' is not a name of small letters, digits, '-' and '_'"),
]  # fmt: skip


@pytest.mark.parametrize(("good", "bad", "problem"), CATALOGUE_FAULTS)
def test_each_problem_of_the_catalogue_has_its_place(
    load_texts: Load, catalogue: str, good: str, bad: str, problem: str
) -> None:
    assert good in catalogue
    found = problems(load_texts, "version: 1\n", actions=catalogue.replace(good, bad))
    assert found == (f"mappings/actions.yaml:{problem}",)


def test_all_problems_of_all_files_come_together(load_texts: Load, mapping: str, catalogue: str) -> None:
    found = problems(
        load_texts,
        mapping.replace("events:", "evnets:"),
        mapping.replace("repair-office", "repair"),
        mapping.replace("id: repair", "id: second").replace("ticket.project", "ticket.projekt"),
        "a: [",
        actions=catalogue.replace("shape: number", "shape: x"),
    )
    assert [problem.split(": ")[0] for problem in found] == [
        "mappings/actions.yaml:30:16",
        "mappings/m1.yaml:5:5",
        "mappings/m2.yaml:3:9",
        "mappings/m2.yaml:9:13",
        "mappings/m3.yaml:7:16",
        "mappings/m4.yaml:2:1",
    ]


@pytest.mark.parametrize("actions", ["a: [", None], ids=["no catalogue", "an unknown action"])
def test_what_the_action_does_not_decide_is_told_without_it(
    load_texts: Load, mapping: str, catalogue: str, actions: str | None
) -> None:
    text = mapping.replace("repair-office", "repair").replace("ticket.project", "ticket.projekt")
    text += "    send_again: {times: 1, wait: 25h}\n    after: {answered: {assign_group: desk}}\n"
    found = problems(load_texts, text, actions=actions or catalogue)
    about = ("projekt", "after a wait of 25h", "'assign_group' cannot be changed")
    assert all(any(words in problem for problem in found) for words in about), found
    assert any("unknown action 'repair'" in problem for problem in found) is (actions is None)


def test_a_mapping_id_stands_once_in_all_files(load_texts: Load, mapping: str) -> None:
    assert problems(load_texts, mapping, mapping) == (
        "mappings/m2.yaml:3:9: mapping 'repair' stands in mappings/m1.yaml:3:9 too (give one another id)",
    )


def test_an_action_on_several_portals_needs_one_chosen(load_texts: Load, mapping: str) -> None:
    text = mapping.replace("repair-office", "clear-cache") + "    params: {Level: {value: 5}}\n"
    assert problems(load_texts, text) == (
        "mappings/m1.yaml:9:5: action 'clear-cache' is on several portals (add 'portal': main, us)",
    )
    loaded = load_texts(text + "    portal: us\n")
    assert loaded.mappings[0].portal.fixed == "us"
    assert dict(loaded.mappings[0].action.uids)[PortalName("us")] == "07844969-1889-4de3-9026-020af94be857"
    assert loaded.mappings[0].action.engine_choice is EngineChoice.NAMED


def test_a_required_parameter_must_be_filled(load_texts: Load, mapping: str) -> None:
    text = mapping.replace("repair-office", "clear-cache") + "    portal: us\n"
    assert problems(load_texts, text) == (
        "mappings/m1.yaml:9:5: action 'clear-cache' needs a value for 'Level' (add it under 'params')",
    )


def test_project_is_an_error_for_servicenow(load_texts: Load, mapping: str) -> None:
    assert problems(load_texts, mapping.replace("source: jira", "source: snow")) == (
        "mappings/m1.yaml:7:16: 'ticket.project' does not exist for servicenow "
        "(use a path that begins with fields.)",
    )


def test_defaults_hold_where_the_mapping_says_nothing(load_texts: Load, mapping: str) -> None:
    text = mapping.replace("    source: jira\n    events: [created, updated]\n", "").replace(
        "mappings:",
        "defaults:\n  source: jira\n  events: [created]\n  mode: announce\n"
        "  limits: {max_devices: 3, max_age: 30m}\n  comment: {visibility: public}\nmappings:",
    )
    rule = load_texts(text + "    limits: {max_age: 10m}\n").mappings[0]
    assert (rule.source, rule.events, rule.mode, rule.repeat) == (
        "jira",
        ("created",),
        Mode.LIVE,
        Repeat.NEVER,
    )
    assert (rule.max_devices, rule.max_age, rule.visibility) == (3, timedelta(minutes=10), Visibility.PUBLIC)


def test_the_mode_is_shadow_unless_the_file_says_otherwise(load_texts: Load, mapping: str) -> None:
    assert load_texts(mapping.replace("    mode: live\n", "")).mappings[0].mode is Mode.SHADOW


@pytest.mark.parametrize(
    ("own", "bridge", "expected"),
    [("8", 20, 5), ("2", 20, 2), ("8", 1, 1)],
    ids=["catalogue", "mapping", "bridge"],
)
def test_the_tightest_limit_wins(
    load_texts: Load, mapping: str, context: LoadContext, own: str, bridge: int, expected: int
) -> None:
    limited = LoadContext(sources=context.sources, portals=context.portals, max_devices=bridge)
    text = mapping + f"    limits: {{max_devices: {own}, max_age: 2d}}\n"
    rule = load_texts(text, context=limited).mappings[0]
    assert (rule.max_devices, rule.max_age) == (expected, timedelta(hours=24))


def test_a_fence_for_every_name_is_none_and_any_other_is_kept(load_texts: Load, mapping: str) -> None:
    actions = load_texts(mapping).catalogue.actions
    assert actions["clear-cache"].fence.names is None
    assert actions["repair-office"].fence.names == r"WS-[A-Z]{3}-\d{5}"


def test_shape_anything_is_listed(load_texts: Load, catalogue: str) -> None:
    loaded = load_texts("version: 1\n", actions=catalogue.replace("Note: {}", "Note: {shape: anything}"))
    assert loaded.warnings == ("mappings/actions.yaml:19:7: 'Note' of action 'repair-office' takes any text",)


@pytest.mark.parametrize(
    ("when", "allowed"),
    [
        ("[{field: change.status.to, equals: X}]", True),
        ("[{field: change.status, changed: true}]", True),
        ("[{any: [{field: change.a.to, equals: X}, {field: change.b.to, equals: X}]}]", True),
        ("[{all: [{field: ticket.key, exists: true}, {field: change.b.to, equals: X}]}]", True),
        ("[{any: [{field: change.a.to, equals: X}, {field: ticket.key, exists: true}]}]", False),
        ("[{not: {field: change.status.to, equals: X}}]", False),
        ("[{field: change.status, changed: false}]", False),
    ],
)
def test_a2_per_change_needs_a_change_in_every_case(
    load_texts: Load, mapping: str, when: str, *, allowed: bool
) -> None:
    text = mapping.replace("when:\n      - field: ticket.project\n        equals: SUP", f"when: {when}")
    text += "    repeat: per_change\n"
    if allowed:
        assert load_texts(text).mappings[0].repeat is Repeat.PER_CHANGE
    else:
        assert "'per_change' needs" in problems(load_texts, text)[0]


def test_the_hash_names_every_name_and_text() -> None:
    one = MappingTexts(catalogue=("a", "b"), mappings=(("c", "d"), ("e", "f")))
    assert one.hash == MappingTexts(catalogue=("a", "b"), mappings=(("e", "f"), ("c", "d"))).hash
    others = [
        MappingTexts(catalogue=("ab", ""), mappings=(("c", "d"), ("e", "f"))),
        MappingTexts(catalogue=("a", "b"), mappings=(("c", "d"),)),
        MappingTexts(catalogue=("a", "b"), mappings=(("c", "df"), ("e", ""))),
    ]
    assert len({one.hash, *(other.hash for other in others)}) == 4
