"""Reading YAML: text stays text, every place is known, and every fault of form has its position."""

# ruff: noqa: ISC004 - each row of the tables is one message, whole, so that it can be searched for
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.mapping.documents import Faults, read


def faults_of(text: str) -> tuple[str, ...]:
    faults = Faults()
    document = read("m.yaml", text, faults)
    assert (document is None) is bool(faults)
    return faults.sorted()


@pytest.mark.parametrize(
    "scalar", ["no", "on", "22:00", "07844969", "12e45", "null", "~", "1.10", "2026-01-31"]
)
def test_yaml_surprises_stay_what_was_typed(scalar: str) -> None:
    document = read("m.yaml", f"a: {scalar}\n{scalar}: b", Faults())
    assert document is not None
    assert document.data == {"a": scalar, scalar: "b"}


def test_every_value_and_key_keeps_its_line_and_column() -> None:
    document = read("m.yaml", "a:\n  - b: [x, y]\n    'c d': z\n", Faults())
    assert document is not None
    assert str(document.place(("a", 0, "b", 1))) == "m.yaml:2:12"
    assert str(document.place(("a", 0, "c d"))) == "m.yaml:3:12"
    assert str(document.key_place(("a", 0, "c d"))) == "m.yaml:3:5"


def test_a_place_that_is_not_there_is_the_nearest_above() -> None:
    document = read("m.yaml", "a:\n  - b: c\n", Faults())
    assert document is not None
    assert str(document.place(("a", 0, "missing", 3))) == "m.yaml:2:5"
    assert str(document.key_place(("a", 0, "missing"))) == "m.yaml:2:5"


def test_a_key_that_stands_twice_hides_no_other_problem_and_the_first_one_counts():
    faults = Faults()
    document = read("m.yaml", "a: 1\na: {b: 2, b: 3}\nc: {d: 4, d: 5}\ne: &x 6\n", faults)
    assert document is None
    assert [fault.partition("; ")[0] for fault in faults.sorted()] == [
        "m.yaml:2:1: key 'a' stands here twice (first in line 1",
        "m.yaml:2:11: key 'b' stands here twice (first in line 2",
        "m.yaml:3:11: key 'd' stands here twice (first in line 3",
        "m.yaml:4:4: anchor '&x' (remove it, or put the value in quotes)",
    ]
    document = read("m.yaml", "a: 1\na: 2\n", Faults())
    assert document is not None
    assert document.data == {"a": "1"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: &x 1\n", "m.yaml:1:4: anchor '&x' (remove it, or put the value in quotes)"),
        ("a: [b, *x]\n", "m.yaml:1:8: alias '*x' (write the value out, or put it in quotes)"),
        ("a: !!int 1\n", "m.yaml:1:4: tag 'tag:yaml.org,2002:int' (remove it, or put the value in quotes)"),
        ("a: !env X\n", "m.yaml:1:4: tag '!env' (remove it, or put the value in quotes)"),
        ('a: ["b", "c\\0d"]\n', "m.yaml:1:10: a NUL character (remove it)"),
        ('a: 1\n"b\\x00": 2\n', "m.yaml:2:1: a NUL character (remove it)"),
        ("? [a]\n: b\n", "m.yaml:1:3: a key must be a text (put it in quotes)"),
        ("a: 1\n---\nb: 2\n", "m.yaml:2:1: a second document begins here (use one file for each)"),
        ("", "m.yaml:1:1: the file is empty (write at least 'version: 1')"),
        ("# nothing\n", "m.yaml:2:1: the file is empty (write at least 'version: 1')"),
        (
            "a:\n  - [fields.x[].y]\n",
            "m.yaml:2:14: YAML cannot read this: did not find expected ',' or ']' (put the path in quotes)",
        ),
        (
            'a: "b c".d\n',
            "m.yaml:1:9: YAML cannot read this: did not find expected key (put the path in quotes)",
        ),
        (
            "a: b\n  c: d\n",
            "m.yaml:2:4: YAML cannot read this: mapping values are not allowed in this context "
            "(check the indentation)",
        ),
        (
            "a: b: c\n",
            "m.yaml:1:5: YAML cannot read this: mapping values are not allowed in this context "
            "(quote the value, it has ': ' in it)",
        ),
        (
            'a: "WS-\\d"\n',
            "m.yaml:1:8: YAML cannot read this: found unknown escape character "
            "(use single quotes, where backslashes stay as they are)",
        ),
        (
            "a:\n\t- b\n",
            "m.yaml:2:1: YAML cannot read this: found character that cannot start any token "
            "(use spaces, not tabs)",
        ),
        (
            "a:\n  - b\n c: d\n",
            "m.yaml:3:2: YAML cannot read this: did not find expected key "
            "(check the indentation and the quotes)",
        ),
        ("[" * 60, "m.yaml:1:51: more than 50 levels deep (no mapping needs that)"),
    ],
)
def test_a_fault_of_form_names_its_place_and_the_way_out(text: str, fault: str) -> None:
    assert faults_of(text) == (fault,)


@given(st.text(alphabet=st.characters(codec=None), max_size=200))
def test_any_text_is_a_document_or_a_fault(text: str) -> None:
    faults_of(text)


@given(st.lists(st.sampled_from(list("[]{}:-?!&*#|>'\"%@`,\n\t ab0")), max_size=60).map("".join))
def test_any_text_of_yaml_characters_is_a_document_or_a_fault(text: str) -> None:
    faults_of(text)


def test_hostile_nesting_is_a_fault() -> None:
    assert len(faults_of("[" * 100_000)) == 1
    assert len(faults_of("{a: " * 100_000)) == 1
