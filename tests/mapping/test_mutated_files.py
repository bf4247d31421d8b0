"""Mapping files with anything broken in them: accepted, or refused with a place, and nothing else."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fuzz.mapping_files import A_PLACE, loaded_or_refused
from bridge.errors import ConfigurationError
from bridge.mapping.language import MappingSet

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = (ROOT / "mappings" / "actions.yaml").read_text()
SHIPPED = [
    path.read_text() for path in sorted((ROOT / "mappings").glob("*.yaml")) if path.name != "actions.yaml"
]
Load = Callable[..., MappingSet]

# What a hostile or careless hand puts where a value, a key or a line stood.
PIECES = st.sampled_from(
    [
        "",
        "null",
        "~",
        "1e999",
        "9" * 5_000,
        "-0",
        "0x1f",
        ".inf",
        "2026-01-01",
        "{}",
        "[]",
        "[[]]",
        "&a [*a]",
        "*a",
        "<<: *a",
        "!!python/object:os.system x",
        "%YAML 9",
        "---",
        "\t",
        "\u202e",
        "\ud83d\ude00",
        "((((",
        "(?=x)",
        "'",
        '"',
        "|",
        ">",
        "# x",
        "field: a.b[",
        "matches: '(a+)+$'",
        'from: "fields[?x==\'"',
        "*",
        "? :",
        "- - -",
    ]
)


def outcome(load_texts: Load, mapping: str, actions: str = CATALOGUE) -> None:
    """Load files, and see that every problem names its place."""
    loaded_or_refused(lambda: load_texts(mapping, actions=actions))


@st.composite
def mutated(draw: st.DrawFn, texts: list[str]) -> str:
    """Return a shipped file of which some words or lines were replaced, doubled, indented or cut off."""
    parts = re.split(r"(\n|[:,\[\]{}] ?)", draw(st.sampled_from(texts)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(parts) - 1))
        piece = draw(PIECES | st.text(max_size=20))
        parts[at] = draw(st.sampled_from([piece, parts[at] * 2, "  " + parts[at], parts[at] + " " + piece]))
    return "".join(parts)


@settings(max_examples=150, deadline=None)
@given(text=mutated(SHIPPED))
def test_a_mutated_mapping_file_is_loaded_or_refused_with_places(load_texts: Load, text: str) -> None:
    outcome(load_texts, text)


@settings(max_examples=150, deadline=None)
@given(text=mutated([CATALOGUE]))
def test_a_mutated_catalogue_is_loaded_or_refused_with_places(load_texts: Load, text: str) -> None:
    outcome(load_texts, SHIPPED[0], actions=text)


LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
BOMBS = {
    "aliases": LAUGHS,
    "an alias of itself": "version: &a [*a]\n",
    "merged keys": "version: 1\nmappings: [{<<: &a {<<: *a}}]\n",
    "depth": "version: 1\nmappings: " + "[" * 200_000,
    "depth of keys": "version: 1\nmappings: " + "{a: " * 100_000,
    "a number": "version: " + "9" * 500_000 + "\n",
    "a key": "version: 1\n? " + "k" * 500_000 + "\n: 1\n",
    "many keys": "version: 1\n" + "".join(f"k{n}: 1\n" for n in range(20_000)),
    "many lines": "version: 1\nmappings:\n" + "- x\n" * 10_000,
    "a quote that never ends": "version: '" + "x\n" * 100_000,
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_with_a_place_in_bounded_time(load_texts: Load, text: str) -> None:
    began = time.process_time()
    with pytest.raises(ConfigurationError) as refused:
        load_texts(text)
    assert time.process_time() - began < 20
    assert all(A_PLACE.fullmatch(str(problem)) for problem in refused.value.problems)
