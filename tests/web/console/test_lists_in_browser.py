"""Lists and their pages in a real browser: by keyboard, on a phone, and while the ledger goes on."""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from bridge.ledger import listing
from bridge.models import Run

pytestmark = pytest.mark.browser


@pytest.fixture
def answered(web: Any) -> Run:
    """The run of `address` that was answered."""
    return next(run for run in web.runs() if run.state == "answered")


@pytest.fixture
def unserved(web: Any) -> str:
    """The ticket of `address` that asked for nothing that is served."""
    found = web.ledger.read(listing.page_of_deliveries, limit=100).deliveries
    return str(next(each.ticket_key for each in found if each.reason == "no_mapping"))


def test_every_page_fits_its_window_and_is_accessible(
    look: Callable[..., Page],
    readable: Callable[[Page, str], None],
    address: str,
    answered: Run,
    unserved: str,
    window: tuple[int, str],
) -> None:
    page = look(f"{address}/runs", *window)
    for name, path in (
        ("runs", "/runs"),
        ("none", "/runs?device=WS-NOWHERE&state=held&from=2026-01-01&live=off"),
        ("deliveries", "/deliveries?came=no_mapping"),
        ("run", f"/runs/{answered.id}"),
        ("delivery", f"/deliveries/{answered.delivery}"),
        ("ticket", f"/tickets/{answered.ticket.key}"),
        ("unserved", f"/tickets/{unserved}"),
        ("unknown", "/tickets/SUP-1"),
    ):
        page.goto(address + path)
        for summary in page.locator("summary").all():
            summary.click()
        readable(page, f"lists-{name}")


def test_why_a_ticket_ran_nothing_is_found_by_keyboard_alone(
    look: Callable[..., Page], address: str, unserved: str
) -> None:
    page = look(f"{address}/runs")
    page.get_by_role("searchbox", name="Ticket").focus()
    page.keyboard.type(unserved.lower())
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=f"Ticket {unserved}").wait_for()
    assert page.url == f"{address}/tickets/{unserved}"
    sentence = page.get_by_text("teams-cache-when-chosen came nearest")
    assert "'Something else', the mapping wants 'Clear Teams cache'" in str(sentence.text_content())
    link = page.get_by_role("link", name="What every mapping decided")
    while not link.evaluate("link => link === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="What each mapping decided").wait_for()
    assert page.get_by_role("listitem").get_by_text("no", exact=True).first.is_visible()


@pytest.mark.parametrize("width", [360, 1280])
def test_runs_are_narrowed_by_keyboard_and_the_address_can_be_shared(
    look: Callable[..., Page], address: str, answered: Run, width: int
) -> None:
    page = look(f"{address}/runs", width)
    page.get_by_label("State").select_option("answered")
    page.get_by_label("Device").focus()
    page.keyboard.type("ws-abc-12345")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Runs that fit").wait_for()
    assert "state=answered" in page.url
    assert "device=ws-abc-12345" in page.url
    rows = page.locator("#list tbody tr")
    assert rows.count() == 1
    page.goto(page.url)
    assert page.get_by_label("Device").input_value() == "ws-abc-12345"
    page.get_by_role("link", name=answered.id).click()
    page.get_by_role("heading", name="Timeline").wait_for()
    page.go_back()
    page.get_by_role("link", name="Show all").click()
    page.get_by_role("heading", name="All runs").wait_for()


def test_new_rows_come_by_themselves_and_take_the_focus_from_nobody(
    look: Callable[..., Page], web: Any, sender: Any, address: str, answered: Run
) -> None:
    page = look(f"{address}/runs?source=jira")
    page.get_by_label("Mapping").fill("half a wo")
    link = page.get_by_role("link", name=answered.id)
    link.focus()
    ticket, body = sender.created()
    web.post(body)
    page.locator("#list").get_by_role("link", name=ticket).wait_for(timeout=9_000)
    assert link.evaluate("link => link === document.activeElement")
    assert page.get_by_label("Mapping").input_value() == "half a wo"
    page.get_by_role("link", name="Stop").click()
    page.get_by_role("link", name="Look again every 5 seconds").wait_for()
    assert page.locator("[hx-get]").count() == 0
    assert page.get_by_label("Source").input_value() == "jira"


def test_a_list_that_is_narrowed_stays_so_when_it_looks_again(
    look: Callable[..., Page], web: Any, sender: Any, address: str
) -> None:
    page = look(f"{address}/runs?state=answered")
    before = page.locator("#list tbody tr").count()
    web.post(sender.created()[1])
    with page.expect_response(lambda response: "state=answered" in response.url, timeout=9_000):
        pass
    page.wait_for_timeout(200)
    assert page.locator("#list tbody tr").count() == before


def test_a_run_that_moves_is_shown_as_it_moves_and_an_open_request_stays_open(
    look: Callable[..., Page], web: Any, sender: Any, work: Callable[..., Run], address: str
) -> None:
    while any(run.state == "queued" for run in web.runs()):
        work(web.ledger)
    _, body = sender.created()
    run = web.post(body).get_json()["runs"][0]
    page = look(f"{address}/runs/{run}")
    page.get_by_text("The request that would be made").click()
    work(web.ledger)
    page.locator("h1 + p").get_by_text("answered").wait_for(timeout=9_000)
    assert page.get_by_role("row", name="engine-paris").get_by_text("accepted").is_visible()
    assert page.locator("[hx-get]").count() == 0


def test_a_list_stays_while_the_ledger_does_not_answer_and_goes_on_afterwards(
    opened: Callable[..., Any],
    listening: Callable[[Any], AbstractContextManager[str]],
    look: Callable[..., Page],
    sender: Any,
    tmp_path: Path,
) -> None:
    def rename(before: str, after: str) -> None:
        with sqlite3.connect(tmp_path / "bridge.sqlite3", timeout=10) as other:
            other.execute(f"ALTER TABLE {before} RENAME TO {after}")
        other.close()

    with opened(tmp_path, BRIDGE_CONSOLE="open") as web, listening(web) as address:
        first, body = sender.created()
        web.post(body)
        page = look(f"{address}/runs", refusals=(503,))
        rename("runs", "elsewhere")
        with page.expect_response(lambda answer: answer.status == 503):
            pass
        assert page.get_by_role("link", name=first).is_visible()
        rename("elsewhere", "runs")
        second, body = sender.created()
        web.post(body)
        page.get_by_role("link", name=second).wait_for()
