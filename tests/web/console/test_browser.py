"""The pages in a real browser: narrow and wide, light and dark, by keyboard, with nothing blocked."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page

from bridge.ledger import people
from bridge.ledger.people import Act
from bridge.models import PauseScope

pytestmark = pytest.mark.browser


def test_no_page_is_blocked_in_part_or_wider_than_the_window(
    look: Callable[..., Page],
    readable: Callable[[Page, str], None],
    address: str,
    window: tuple[int, str],
) -> None:
    page = look(f"{address}/runs", *window)
    run = page.locator("#list")
    links = [
        address,
        *(
            address + str(run.locator("tbody th a").nth(number).get_attribute("href"))
            for number in range(run.locator("tbody tr").count())
        ),
    ]
    page.goto(f"{address}/deliveries")
    links.append(address + str(page.locator("[href^='/deliveries/']").first.get_attribute("href")))
    assert len(links) >= 4
    for number, link in enumerate(links):
        page.goto(link)
        readable(page, f"{number}")


@pytest.mark.parametrize("width", [320, 420, 768, 780, 1280])
def test_why_something_is_paused_is_never_cut(
    look: Callable[..., Page], readable: Callable[[Page, str], None], web: Any, address: str, width: int
) -> None:
    act = Act(author="ada.example@bastion-1", reason="the wrong script was published, see CHG0042")
    paused = {"scope": PauseScope.MAPPING, "value": "office-repair-when-approved"}
    web.ledger.write(people.pause, **paused, lasting=timedelta(hours=2), act=act)
    page = look(address, width)
    web.ledger.write(people.resume, **paused, act=act)
    row = page.get_by_role("row", name="office-repair-when-approved").first
    assert row.get_by_role("cell").count() == 4
    table = page.locator("table", has=row)
    assert table.evaluate("table => table.offsetWidth <= table.parentElement.clientWidth")
    for cell in row.get_by_role("cell").all():
        box = cell.bounding_box()
        assert box is not None
        assert box["width"] > 0
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
        assert cell.evaluate("cell => cell.scrollWidth <= cell.clientWidth")
    readable(page, "paused")


def test_the_style_is_in_force_and_follows_the_readers_scheme(
    look: Callable[..., Page], address: str
) -> None:
    grounds = {
        scheme: look(address, 1280, scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert grounds == {"light": "rgb(246, 247, 249)", "dark": "rgb(18, 22, 28)"}


def test_a_ticket_is_found_by_keyboard_alone(look: Callable[..., Page], web: Any, address: str) -> None:
    answered = next(run for run in web.runs() if run.state == "answered")
    page = look(address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    # The name, and the navigation of whoever looks.
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "ticket":
            break
    page.keyboard.type(answered.ticket.key.lower())
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=f"Ticket {answered.ticket.key}").wait_for()
    page.get_by_role("link", name=answered.id).click()
    page.get_by_role("heading", name="Timeline").wait_for()
    assert page.get_by_role("row", name="engine-paris").get_by_text("accepted").is_visible()
