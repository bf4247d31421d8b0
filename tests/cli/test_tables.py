"""Tables as a terminal shows them: nothing is changed or cut, and nothing is wider than it."""

import os
import pty
import subprocess
import sys

import pytest
from wcwidth import wcswidth

SHOW = "import sys; from bridge.cli.tables import table; table(*eval(sys.argv[1]))"


def shown(headings, rows, *, columns):
    """Return the lines of a table on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SHOW, repr((headings, rows))],
        env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm"},
        stdout=theirs,
        stdin=subprocess.DEVNULL,
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            more = os.read(ours, 65_536)
        except OSError:
            break
        if not more:
            break
        said += more
    os.close(ours)
    assert process.wait(20) == 0
    return said.decode().splitlines()


def test_a_cell_is_shown_as_it_is():
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
def test_a_table_is_as_wide_as_the_terminal_at_most(columns):
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


def test_a_column_of_wide_letters_comes_to_an_end_however_narrow_it_is():
    lines = shown(["id", "b"], [["a-long-name", "日本語"]], columns=10)
    assert lines[2:] == ["a-long-name  日", "             本", "             語"]
