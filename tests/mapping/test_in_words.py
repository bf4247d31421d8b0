"""A mapping in words: every form that the language has, and its lines in the file."""

from collections.abc import Callable
from typing import Any

import pytest

from bridge import describing
from bridge.mapping import excerpts, in_words

EVERY_FORM = """version: 1
mappings:
  - id: every-form
    source: jira
    events: [created, commented]
    when:
      - {field: ticket.project, in: [SUP, HELP]}
      - any:
          - {field: ticket.summary, matches: 'Office'}
          - all:
              - {field: ticket.labels, contains: auto}
              - {field: ticket.assignee.name, exists: false}
      - not: {field: ticket.description, exists: true}
    action: clear-cache
    portal:
      from: ticket.type
      map: {Bug: main, Task: us}
    devices:
      from: [ticket.summary, ticket.description]
      extract: 'WS-[A-Z]{3}-[0-9]{5}'
      if_several: most_recent
      if_some_missing: run_found
      if_none: ignore
    params:
      Level: {value: '3'}
    limits: {max_devices: 2, per_hour: 7}
    approval: {above: 1, system: true, expires: 20m}
    mode: announce
"""


def told(clauses: tuple[in_words.Clause, ...]) -> list[Any]:
    return [[clause.text, told(clause.parts)] if clause.parts else clause.text for clause in clauses]


def test_every_form_has_its_words(load_texts: Callable[..., Any]) -> None:
    (rule,) = load_texts(EVERY_FORM).mappings
    assert in_words.occasion(rule) == "a ticket of 'jira' is created or commented on"
    assert told(in_words.clauses(rule)) == [
        "ticket.project is one of 'SUP', 'HELP'",
        [
            "at least one of these",
            [
                "ticket.summary matches Office",
                [
                    "all of these",
                    ["ticket.labels has 'auto' in it", "ticket.assignee.name has no value"],
                ],
            ],
        ],
        ["not this", ["ticket.description has a value"]],
    ]
    assert dict(in_words.deed(rule)) == {
        "then": "only announces in the ticket what it would do (mode announce)",
        "action": "Clear the cache (clear-cache)",
        "portal": "chosen by ticket.type: main for 'Bug', us for 'Task'",
        "devices": "the device names at ticket.summary and ticket.description; "
        "found by WS-[A-Z]{3}-[0-9]{5}; of several devices of a name, the one seen last; "
        "sent to those that are found; "
        "a ticket that names none is ignored",
        "parameter Level": "'3'",
        "repeat": "once for a ticket, ever",
    }
    bounds = list(describing.bounds_of_any(rule))
    assert ("at most", "2 devices (set for this mapping)") in bounds
    assert ("limit", "7 runs an hour for this mapping") in bounds
    assert ("approval", "needed on more than 1 devices") in bounds


def test_the_catalogue_has_its_words(load_texts: Callable[..., Any]) -> None:
    actions = load_texts(EVERY_FORM).catalogue.actions
    clear, repair = (list(in_words.of_action(actions[name])) for name in ("clear-cache", "repair-office"))
    assert ("remote action", "07844969-1889-4de3-9026-020af94be857 on portal us") in clear
    assert ("device names", "any") in clear
    assert ("Engines", "engine-1") in clear
    assert ("parameter Level", "of shape number; required") in clear
    assert ("repeatable", "yes: it does no harm when it is sent twice") in clear
    assert ("device names", r"only WS-[A-Z]{3}-\d{5}") in repair
    assert ("never", "WS-VIP-.*") in repair
    assert ("Engines", "those that know the device") in repair
    mode = "one of 'silent', 'prompt', 'force'; 'silent' where none is given"
    assert ("parameter Mode", mode) in repair
    assert ("parameter Note", "a value of the mapping alone, never of a ticket") in repair


TEXT = """version: 1
mappings:
  - when:
      - {field: x}
    id: a
    mode: live

  # about b
  - id: b
tests: []
"""


@pytest.mark.parametrize(("line", "numbers"), [(5, [3, 4, 5, 6]), (4, [4]), (9, [9]), (0, []), (99, [])])
def test_an_entry_is_cut_out_by_its_dash(line: int, numbers: list[int]) -> None:
    assert [each.number for each in excerpts.entry(TEXT, line)] == numbers


def test_an_entry_that_is_long_or_wide_is_cut() -> None:
    long = "- id: a\n" + "  x: y\n" * 1_000
    assert len(excerpts.entry(long, 1)) == 301
    (line,) = excerpts.around("x" * 1_000, 1)
    assert line.marked
    assert len(line.text) == 401
    assert excerpts.around("a\nb", 3) == ()
