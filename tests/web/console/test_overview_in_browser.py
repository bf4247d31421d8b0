"""The overview in a real browser: on a phone, for who does not see it, and while the ledger goes on."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from bridge.models import CallResult, CallState, RunState

pytestmark = pytest.mark.browser


def test_the_overview_fits_its_window_and_is_accessible_with_all_its_tables_open(
    look: Callable[..., Page],
    readable: Callable[[Page, str], None],
    address: str,
    window: tuple[int, str],
) -> None:
    page = look(f"{address}/?last=hour&live=off", *window)
    for summary in page.locator("summary").all():
        summary.click()
    readable(page, "overview")


def test_what_comes_in_is_drawn_without_loading_the_page_anew_until_somebody_stops_it(
    look: Callable[..., Page], web: Any, sender: Any, address: str
) -> None:
    page = look(f"{address}/?last=hour")
    before = page.get_by_role("img", name="Runs of the last hour").get_attribute("aria-label")
    page.locator("#ran-numbers summary").click()
    page.evaluate("document.body.dataset.same = 'yes'")
    web.post(sender.created()[1])
    drawn = page.locator(f'[aria-label^="Runs of the last hour"]:not([aria-label="{before}"])')
    drawn.wait_for(timeout=9_000)
    assert page.locator("#ran-numbers").get_attribute("open") is not None
    assert page.evaluate("document.body.dataset.same") == "yes"
    page.get_by_role("link", name="Stop").click()
    page.get_by_role("link", name="Look again every").wait_for()
    assert page.locator("[hx-get]").count() == 0
    assert page.get_by_role("link", name="last hour").get_attribute("aria-current") == "true"


def test_a_run_that_needs_a_person_is_one_step_away_by_keyboard(
    look: Callable[..., Page], web: Any, unknown_run: Any, address: str
) -> None:
    page = look(f"{address}/?live=off")
    page.get_by_role("link", name=f"{unknown_run.ticket.key}, run {unknown_run.id}").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Timeline").wait_for()
    assert unknown_run.id in page.url


@pytest.fixture
def unknown_run(web: Any, sender: Any, work: Callable[..., Any]) -> Any:
    """A run of which nobody knows what came, as soon as the figures have it."""
    web.post(sender.created()[1])
    work(web.ledger, CallResult(state=CallState.UNKNOWN), RunState.UNKNOWN)
    web.soon(lambda: dict(web.process.vitals.snapshot().figures.runs)[RunState.UNKNOWN] > 0)
    return next(run for run in web.runs() if run.state == RunState.UNKNOWN)
