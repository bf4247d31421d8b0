"""What the documentation names exists, and what exists is documented."""

import ast
import importlib
import importlib.util
import json
import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bridge.errors import ConfigurationError
from bridge.settings import describe, read_settings
from bridge.settings.documents import env_example, settings_page
from bridge.web.console import acts

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SETTINGS = ROOT / "docs" / "settings.md"
COMMANDS = ROOT / "docs" / "cli.md"
OPERATIONS = ROOT / "docs" / "operations.md"
WEB = sorted((ROOT / "bridge" / "web").rglob("*.py"))


def tokens(page: Path) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text()):
        yield token
        yield from token.children or ()


def headings(page: Path) -> Iterator[str]:
    found = MarkdownIt("commonmark").enable("table").parse(page.read_text())
    for opening, inline in pairwise(found):
        if opening.type == "heading_open":
            yield "".join(child.content for child in inline.children or ())


def words_in_code(page: Path) -> set[str]:
    return {token.content for token in tokens(page) if token.type == "code_inline"}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────


def test_every_setting_has_its_entry_on_the_page_and_every_entry_is_a_setting() -> None:
    entries = [heading for heading in headings(SETTINGS) if heading.startswith("BRIDGE_")]
    assert entries == [doc.name for doc in describe()]


def test_the_page_and_the_example_say_what_the_code_says() -> None:
    assert SETTINGS.read_text() == settings_page(), "run `make docs`"
    assert (ROOT / ".env.example").read_text() == env_example(), "run `make docs`"


def test_the_example_names_every_setting_and_nothing_else() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    named = {match[1] for line in lines if (match := re.match(r"#?(BRIDGE_[A-Z0-9_]+)=", line))}
    known = {re.sub("__(JIRA|SERVICENOW|MAIN)__", "__<NAME>__", name) for name in named}
    assert known == {doc.name for doc in describe()}


def test_the_example_works_when_its_empty_lines_are_filled_in() -> None:
    example = ROOT / ".env.example"
    with pytest.raises(ConfigurationError) as raised:
        read_settings({}, example)
    told = {problem.partition(":")[0] for problem in raised.value.problems}
    assert {name for name in told if name.endswith("BASE_URL")} == {
        "BRIDGE_SOURCES__JIRA__BASE_URL",
        "BRIDGE_SOURCES__SERVICENOW__BASE_URL",
        "BRIDGE_PORTALS__MAIN__BASE_URL",
    }
    empty = re.findall(r"^(BRIDGE_\w+)=$", example.read_text(), re.MULTILINE)
    settings = read_settings({name: _filled(name) for name in empty}, example)
    assert [source.name for source in settings.sources] == ["jira", "servicenow"]
    assert [portal.name for portal in settings.portals] == ["main"]


def test_the_made_up_settings_for_checking_the_shipped_mappings_work() -> None:
    settings = read_settings({}, ROOT / ".ci" / "check.env")
    assert [source.name for source in settings.sources] == ["jira", "servicenow"]


def test_the_settings_that_turn_the_console_on_are_all_that_it_needs() -> None:
    text = (ROOT / "docs" / "console.md").read_text()
    block = text[text.index("```\nBRIDGE_CONSOLE=on\n") :].split("```")[1]
    given = dict(line.split("=", 1) for line in block.strip().splitlines())
    assert not given["BRIDGE_CONSOLE_SECRET"]
    # As many as `openssl rand -hex 32` prints.
    settings = read_settings(given | {"BRIDGE_CONSOLE_SECRET": "0f" * 32}, ROOT / ".ci" / "check.env")
    assert (settings.console, settings.console_sign_in) == ("on", ("password",))


def test_the_front_page_names_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"This is version {version}." in (ROOT / "README.md").read_text()


def test_nothing_of_the_example_is_in_force_but_choices_and_what_is_to_be_filled_in() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    active = [line.partition("=")[::2] for line in lines if line and not line.startswith("#")]
    assert {name.rpartition("__")[2] for name, value in active if value} == {"KIND", "VERIFY", "USERNAME"}
    assert not any("example" in value or "{" in value for _, value in active)
    assert not any(name.endswith(("NXQL_URL", "ENGINE_HOSTS")) for name, _ in active)


def _filled(name: str) -> str:
    if name.endswith("BASE_URL"):
        return "https://tickets.example.com"
    return f'["{"s" * 32}"]' if name.endswith("SECRETS") else "s" * 16


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_variable_that_a_page_names_is_a_setting(page: Path) -> None:
    known = {doc.name for doc in describe()}
    named = set(re.findall(r"\bBRIDGE_[A-Z0-9_]*[A-Z0-9](?:<NAME>[A-Z0-9_]+)?", page.read_text()))
    # A group, such as BRIDGE_SOURCES__JIRA, may be spoken of without one of its settings.
    group = re.compile("BRIDGE_(SOURCES|PORTALS)(__[A-Z0-9]+(_[A-Z0-9]+)*)?")
    for name in named:
        pattern = re.sub(r"^(BRIDGE_(?:SOURCES|PORTALS))__[A-Z0-9]+(?:_[A-Z0-9]+)*__", r"\1__<NAME>__", name)
        assert pattern in known or group.fullmatch(name), name


# ── links ────────────────────────────────────────────────────────────────────────────────────────────────


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings get where it is shown."""
    found: set[str] = set()
    for heading in headings(page):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = sum(1 for other in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other))
        found.add(f"{slug}-{count}" if slug in found else slug)
    return found


def links(page: Path) -> Iterator[str]:
    for token in tokens(page):
        target = token.attrs.get("href") or token.attrs.get("src")
        if isinstance(target, str) and not re.match(r"[a-z]+:", target):
            yield unquote(target)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), link
        assert file.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(file), link


def test_the_site_leads_to_every_page_and_to_each_once() -> None:
    named = [link for link in links(ROOT / "docs" / "index.md") if re.fullmatch(r"(adr/)?[\w-]+\.md", link)]
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert sorted(named) == sorted([*pages, "adr/README.md"])


def test_the_list_of_decisions_leads_to_every_decision_and_to_each_once() -> None:
    decisions = ROOT / "docs" / "adr"
    assert sorted(links(decisions / "README.md")) == sorted(page.name for page in decisions.glob("0*.md"))


def test_every_picture_is_shown_and_small_and_every_one_that_is_shown_is_there() -> None:
    folder = ROOT / "docs" / "pictures"
    shown = {
        (page.parent / path).resolve()
        for page in PAGES
        for path in re.findall(r"[\w./-]*pictures/[\w-]+\.png", page.read_text())
    }
    assert shown == set(folder.glob("*.png"))
    assert [picture.name for picture in shown if picture.stat().st_size > 200_000] == []


def test_the_figures_of_the_front_page_are_those_that_were_measured() -> None:
    costs = (ROOT / "README.md").read_text().partition("## What it costs")[2].partition("\n## ")[0]
    figures = {
        number
        for row in costs.splitlines()
        if row[:1] == "|"
        for number in re.findall(r"\d+(?:[.,]\d+)*", row)
    }
    measured = set(re.findall(r"\d+(?:[.,]\d+)*", (ROOT / "docs" / "performance.md").read_text()))
    assert len(figures) > 10
    assert figures <= measured


# ── commands ─────────────────────────────────────────────────────────────────────────────────────────────


def commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    for word, command in group.commands.items():
        if not command.hidden:
            yield f"{name} {word}", command
            if hasattr(command, "commands"):
                yield from commands(command, f"{name} {word}")


def test_every_command_and_option_is_documented_and_the_other_way_round() -> None:
    existing = dict(commands(importlib.import_module("bridge.cli").main, "bridge"))
    described = {heading for heading in headings(COMMANDS) if heading.startswith("bridge ")}
    assert described == set(existing)
    in_code = " ".join(words_in_code(COMMANDS))
    for name, command in existing.items():
        for option in (flag for parameter in command.params for flag in parameter.opts if flag[:2] == "--"):
            assert re.search(rf"{option}\b", in_code), f"{name} {option}"


# ── endpoints and metrics ────────────────────────────────────────────────────────────────────────────────


def routes() -> set[str]:
    """Return the paths of the web process: those of its route decorators, and of the acts' table."""
    found = {f"/runs/<run>/{act}" for act in acts.NEEDED}
    for path in WEB:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in {"route", "get", "post"}:
                found |= {
                    argument.value
                    for argument in node.args[:1]
                    if isinstance(argument, ast.Constant) and str(argument.value).startswith("/")
                }
    return found


def metrics() -> set[str]:
    """Return the names of the metrics: every text of the web process that is one."""
    return {
        node.value
        for path in WEB
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"bridge_[a-z0-9_]+", node.value)
    }


def test_every_endpoint_is_documented_and_the_other_way_round() -> None:
    described = {word for word in words_in_code(OPERATIONS) if re.fullmatch(r"/[a-z0-9_/<>:-]*", word)}
    assert {re.sub(r"<(?:\w+:)?(\w+)>", r"<\1>", route) for route in routes()} == described


def test_the_page_of_the_endpoints_says_what_the_description_says() -> None:
    maker = ROOT / "docs" / "endpoints.py"
    spec = importlib.util.spec_from_file_location("endpoints", maker)
    assert spec is not None
    assert spec.loader is not None
    endpoints = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(endpoints)
    described = json.loads((ROOT / "docs" / "openapi.json").read_text())
    assert (ROOT / "docs" / "endpoints.md").read_text() == endpoints.markdown(described), "run `make docs`"


def test_every_metric_is_documented_and_the_other_way_round() -> None:
    described = {word for word in words_in_code(OPERATIONS) if re.fullmatch(r"bridge_[a-z0-9_]+", word)}
    assert metrics() == described
