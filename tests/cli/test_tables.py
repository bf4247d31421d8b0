"""Tables as a terminal shows them: nothing is changed or cut, and nothing is wider than it."""

import sys

import pytest
from wcwidth import wcswidth

SHOW = "import sys; from bridge.cli.tables import table; table(*eval(sys.argv[1]))"


@pytest.fixture
def shown(on_terminal):
    """Return the lines of a table on a terminal of so many columns."""

    def do(headings, rows, *, columns):
        return on_terminal(sys.executable, "-c", SHOW, repr((headings, rows)), columns=columns)

    return do


def test_a_cell_is_shown_as_it_is(shown):
    rows = [["False", "007"], ["True", "1e5"], ["None", None], ["[red]x[/red]", " two  spaces"], ["", "  "]]
    assert shown(["what", "value"], rows, columns=80) == [
        "what          value",
        "------------  ------------",
        "False         007",
        "True          1e5",
        "None          -",
        "[red]x[/red]   two  spaces",
        "",
    ]


@pytest.mark.parametrize("columns", [44, 60, 79, 80, 81, 120])
def test_a_table_is_as_wide_as_the_terminal_at_most(shown, columns):
    headings = ["scope", "value", "since", "until", "by", "reason"]
    rows = [
        ["everything", None, "2026-11-26 19:16:48Z", None, "x", "word " * 40],
        ["engine", "日本語の名前" * 4, "-", "it is resumed", "svc.bridge@example.com", "w" * 90],
    ]
    lines = shown(headings, rows, columns=columns)
    assert max(map(wcswidth, lines)) <= columns
    told = "".join("".join(lines).split())
    assert all(character in told for character in "日本語の名前")
    assert told.count("word") == 40
    assert told.count("w") >= 90 + 40


def test_a_column_of_wide_letters_comes_to_an_end_however_narrow_it_is(shown):
    lines = shown(["id", "b"], [["a-long-name", "日本語"]], columns=10)
    assert lines[2:] == ["a-long-name  日", "             本", "             語"]
