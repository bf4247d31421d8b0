"""Of thousands of mappings only those that may fire are looked at, and none that could fire is left out."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.mapping import conditions
from bridge.mapping.evaluate import MISSES_KEPT, evaluate
from bridge.mapping.language import MappingSet
from bridge.mapping.paths import View
from bridge.models import EventKind, Outcome, SourceName, TicketEvent

Load = Callable[..., MappingSet]
MakeEvent = Callable[..., TicketEvent]
NOW = datetime(2026, 5, 2, tzinfo=UTC)
UPDATED = (SourceName("jira"), EventKind.UPDATED)

NAMES = st.sampled_from(["fields.a", "fields.b", "ticket.project"])
TEXTS = st.sampled_from(["1", "2", "true", "SUP", "x y"])
VALUES = st.one_of(TEXTS, st.integers(1, 2), st.booleans(), st.none(), st.lists(TEXTS, max_size=2))
ASKED = st.one_of(
    st.builds(lambda name, text: {"field": name, "equals": text}, NAMES, TEXTS),
    st.builds(
        lambda name, texts: {"field": name, "in": texts}, NAMES, st.lists(TEXTS, min_size=1, unique=True)
    ),
    st.builds(lambda name, text: {"field": name, "contains": text}, NAMES, TEXTS),
    st.builds(lambda name, text: {"not": {"field": name, "equals": text}}, NAMES, TEXTS),
    st.builds(lambda there: {"field": "ticket.priority", "exists": there}, st.booleans()),
)
WHEN = st.lists(ASKED, min_size=1, max_size=3)


def with_whens(mapping: str, whens: list[list[dict[str, Any]]]) -> str:
    """Return a file of as many mappings as there are lists of conditions."""
    head, _, one = mapping.partition("  - id: repair\n")
    before, _, rest = one.partition("    when:\n")
    after = rest[rest.index("    action:") :]
    return head + "".join(
        f"  - id: m{number}\n{before}    when: {json.dumps(when)}\n{after}"
        for number, when in enumerate(whens)
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(whens=st.lists(WHEN, min_size=1, max_size=6), a=VALUES, b=VALUES)
def test_what_would_fire_is_among_those_that_are_looked_at(
    whens: list[list[dict[str, Any]]], a: Any, b: Any, mapping: str, load_texts: Load, event: MakeEvent
) -> None:
    loaded = load_texts(with_whens(mapping, whens))
    view = View(event(fields={"devices": ["WS-ABC-12345"], "a": a, "b": b}))
    firing = {
        rule.id
        for rule in loaded.mappings
        if all(conditions.trace(condition, view).held is True for condition in rule.when)
    }
    assert firing <= {rule.id for rule in loaded.by_event[UPDATED].of(view, besides=0)}


def test_what_fires_of_many_fires_in_their_order(mapping: str, load_texts: Load, event: MakeEvent) -> None:
    wanted = [{"field": "fields.a", "equals": "1"}]
    unwanted = [{"field": "ticket.project", "equals": "NOBODY"}]
    whens = [*[unwanted] * MISSES_KEPT, wanted, unwanted, [{"field": "ticket.project", "exists": True}]]
    happened = event(fields={"devices": ["WS-ABC-12345"], "a": 1, "b": 2})
    decisions = evaluate(happened, load_texts(with_whens(mapping, whens)), received_at=NOW).decisions
    fired = [one.mapping for one in decisions if one.outcome is not Outcome.MISSED]
    assert fired == [f"m{MISSES_KEPT}", f"m{MISSES_KEPT + 2}"]
    assert len(decisions) == len(fired) + MISSES_KEPT


def test_of_a_thousand_mappings_few_are_looked_at(mapping: str, load_texts: Load, event: MakeEvent) -> None:
    projects = [f"P{number}" for number in range(1_000)]
    asked = [
        [{"field": "fields.kind", "equals": "repair"}, {"field": "ticket.project", "equals": project}]
        for project in projects
    ]
    loaded = load_texts(with_whens(mapping, asked))
    view = View(event(project="P700", fields={"devices": ["WS-ABC-12345"], "kind": "repair"}))
    looked_at = loaded.by_event[UPDATED].of(view, besides=0)
    assert [rule.id for rule in looked_at] == ["m700"]


def test_a_small_set_is_told_of_as_a_whole(mapping: str, load_texts: Load, event: MakeEvent) -> None:
    asked = [[{"field": "ticket.project", "equals": f"P{number}"}] for number in range(MISSES_KEPT)]
    loaded = load_texts(with_whens(mapping, asked))
    decisions = evaluate(event(project="P3"), loaded, received_at=NOW).decisions
    assert {one.mapping for one in decisions} == {rule.id for rule in loaded.mappings}
