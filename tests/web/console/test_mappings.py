"""The mappings and the catalogue in force, in words, with how they were used."""

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from bridge.ledger import in_force
from bridge.watching import REFUSED_FACT

ROOT = Path(__file__).resolve().parents[3]
PATHS = ("/mappings", "/mappings/office-repair-when-approved", "/actions")


def text_of(page: str) -> str:
    """Return what a page says; its elements are looked at elsewhere."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_the_list_says_what_triggers_what_and_how_often(web: Any, sender: Any) -> None:
    web.post(sender.created()[1])
    text = text_of(web.get("/mappings").text)
    assert "5 in force, 4 live" in text
    assert (
        "teams-cache-when-chosen live a ticket of 'jira' is created Clear the Teams cache 3 devices none 1"
        in text
    )
    assert "office-repair-when-approved live" in text
    assert "none known" in text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=TEAMS", {"teams-cache-when-chosen", "teams-cache-of-the-caller"}),
        ("q=servicenow&mode=live", {"office-repair-for-incident", "software-for-request-item"}),
        ("mode=shadow", {"teams-cache-of-the-caller"}),
        ("q=teams&idle=on", {"teams-cache-of-the-caller"}),
        ("mode=%27--&q=office-repair-when", {"office-repair-when-approved"}),
        ("q=%00%3Cscript%3E", set()),
    ],
)
def test_the_list_is_narrowed(web: Any, sender: Any, query: str, names: set[str]) -> None:
    web.post(sender.created()[1])
    page = web.get(f"/mappings?{query}").text
    assert set(re.findall(r'<a href="/mappings/([^"]+)">', page)) == names
    assert "<script>" not in page.replace("<script src", "")


def test_a_mapping_is_told_in_words_with_its_text_and_its_place(web: Any) -> None:
    text = text_of(web.get("/mappings/office-repair-when-approved").text)
    for words in (
        "When a ticket of 'jira' is updated, and",
        "ticket.project is 'SUP'",
        "ticket.labels has 'auto-remediate' in it",
        "not this ticket.summary matches (?i)do not touch",
        "sends (mode live)",
        "Repair Microsoft Office (repair-office)",
        "the device names at fields.customfield_10088[].label",
        "from ticket.priority; 'force' for 'Highest', 'prompt' for 'High'; 'silent' for any other; ",
        "once for each such change of a ticket",
        "3 devices (set for this mapping)",
        "only WS-[A-Z]{3}-\\d{5}",
        "never WS-VIP-.*",
        "never, as far as the ledger goes",
        "mappings/jira-office-repair.yaml:8",
        "- id: office-repair-when-approved",
        "intro: 'Office repair for $count device(s), asked by $person.'",
    ):
        assert words in text, words
    assert "an approved request runs" not in text


def test_the_catalogue_says_what_each_action_may_and_who_uses_it(web: Any) -> None:
    text = text_of(web.get("/actions").text)
    assert "Repair Microsoft Office repair-office" in text
    assert "07844969-1889-4de3-9026-020af94be855 on portal main" in text
    assert re.search(r"parameter Mode one of 'silent'", text)
    assert re.search(r"used by office-repair-when-approved ?, office-repair-for-incident", text)


def test_mappings_that_fired_for_one_delivery_are_named(
    opened: Callable[..., Any], sender: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "mappings"
    folder.mkdir()
    for name in ("actions.yaml", "jira-teams-cache.yaml"):
        (folder / name).write_text((ROOT / "mappings" / name).read_text().split("\ntests:")[0])
    text = (folder / "jira-teams-cache.yaml").read_text().replace("mode: live", "mode: shadow")
    (folder / "jira-teams-cache.yaml").write_text(text)
    other = text.replace("teams-cache-when-chosen", "other")
    (folder / "other.yaml").write_text(other.replace("action: clear-teams-cache", "action: repair-office"))
    with opened(tmp_path, BRIDGE_CONSOLE="open", BRIDGE_MAPPINGS=str(folder)) as web:
        web.post(sender.created()[1])
        web.post(sender.created()[1])
        (run, *_) = web.runs()
        assert {each.mapping for each in web.runs()} == {"other", "teams-cache-when-chosen"}
        text = text_of(web.get("/mappings").text)
        assert f"other and teams-cache-when-chosen : 2 deliveries, the newest {run.delivery}" in text
        assert "fired with teams-cache-when-chosen" in text_of(web.get("/mappings/other").text)


def test_refused_files_are_told_with_every_problem(web: Any) -> None:
    problem = "mappings/a.yaml:3:5: unknown key '<b>' (remove it)\nmappings/b.yaml:1:1: the file is empty"
    web.ledger.write(in_force.put_fact, name=REFUSED_FACT, value=problem)
    page = web.get("/mappings").text
    web.ledger.write(in_force.drop_fact, name=REFUSED_FACT)
    assert "The files that stand in the folder were refused" in page
    assert "mappings/a.yaml:3:5: unknown key &#39;&lt;b&gt;&#39; (remove it)" in page
    assert "were refused" not in web.get("/mappings").text


@pytest.mark.parametrize("name", ["nothing", "%3Cscript%3E", "x" * 300, "%00"])
def test_a_mapping_that_is_not_in_force_is_not_found(web: Any, name: str) -> None:
    assert web.get(f"/mappings/{name}").status_code == 404


@pytest.mark.browser
def test_they_can_be_read_everywhere(
    look: Callable[..., Page],
    readable: Callable[[Page, str], None],
    address: str,
    window: tuple[int, str],
) -> None:
    page = look(address, *window)
    for number, path in enumerate(PATHS):
        page.goto(address + path)
        readable(page, f"mappings-{number}")
