"""The page on threats: each has a test that exists, or is named among what is not covered."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "security.md"
A_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
AN_ENTRY = re.compile(r"\bN\d+\b")


def section(heading: str) -> str:
    """Return the text below a heading of the second level, up to the next one."""
    parts = re.split(r"^## (.+)\n", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[heading]


def threats() -> Iterator[list[str]]:
    """Yield the cells of each row of the tables of threats, without their heads."""
    cells: list[str] = []
    in_body = False
    for token, following in pairwise(MarkdownIt("commonmark").enable("table").parse(section("Threats"))):
        in_body = {"tbody_open": True, "tbody_close": False}.get(token.type, in_body)
        if in_body and token.type == "td_open":
            cells.append(following.content)
        if in_body and token.type == "tr_close":
            yield cells
            cells = []


def names_in(file: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_test_that_the_page_names_exists() -> None:
    named = A_TEST.findall(PAGE.read_text())
    assert len(named) > 100
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / file).is_file() or name not in names_in(ROOT / file)
    ]
    assert missing == []


def test_every_threat_has_a_test_or_is_among_what_is_not_covered() -> None:
    rows = list(threats())
    assert len(rows) > 30
    without = [row[0] for row in rows if not (A_TEST.search(row[-1]) or AN_ENTRY.search(row[-1]))]
    assert without == []
    assert [row[0] for row in rows if len(row) != 3 or not all(row)] == []


def test_what_is_not_covered_is_numbered_and_each_entry_that_is_named_exists() -> None:
    entries = re.findall(r"^- \*\*(N\d+),? ", section("What is not covered"), re.MULTILINE)
    assert entries == [f"N{number}" for number in range(1, len(entries) + 1)]
    elsewhere = PAGE.read_text().replace(section("What is not covered"), "")
    assert set(AN_ENTRY.findall(elsewhere)) == set(entries)
