"""The page in a real browser: narrow and wide, light and dark, by keyboard, with nothing blocked."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright
from werkzeug.serving import make_server

from bridge.ledger import people
from bridge.ledger.people import Act
from bridge.models import PauseScope

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        reason = "Debian's chromium is not installed (make packages)"
        if os.environ.get("BRIDGE_CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET), timeout=30_000)
        yield running
        running.close()


@pytest.fixture(scope="module")
def address(web: Any, sender: Any, work: Callable[..., Any]) -> Iterator[str]:
    """The page over a socket, with an answered run, one that waits, and a ticket that asked for nothing."""
    web.post(sender.created()[1])
    work(web.ledger)
    web.post(sender.created()[1])
    web.post(sender.created(customfield_10050={"value": "Something else"})[1])

    def answer(environ: Any, start_response: Any) -> list[bytes]:
        # This server leaves the file open that it sends to a browser which has gone; so it sends none.
        with closing(web.app(environ, start_response)) as answered:
            return [b"".join(answered)]

    server = make_server("127.0.0.1", 0, answer, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., tuple[Page, list[str]]]]:
    """Open a page in a new context; everything that the browser complains of is in the list beside it."""
    contexts = []

    def do(url: str, width: int = 1280, scheme: Literal["light", "dark"] = "light") -> tuple[Page, list[str]]:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        complaints: list[str] = []

        def note(message: ConsoleMessage) -> None:
            complaints.append(message.text)

        def lost(request: Request) -> None:
            # The browser itself gives up on an icon when the next page is opened before it came.
            if request.failure != "net::ERR_ABORTED":
                complaints.append(request.url)

        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lost)
        page.goto(url)
        return page, complaints

    yield do
    for context in contexts:
        context.close()


def shot(page: Page, name: str) -> None:
    """Keep a picture where somebody asked for pictures."""
    folder = os.environ.get("BRIDGE_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_is_blocked_in_part_or_wider_than_the_window(
    look: Callable[..., tuple[Page, list[str]]], address: str, width: int, scheme: str
) -> None:
    page, complaints = look(address, width, scheme)
    run = page.locator("section", has=page.get_by_role("heading", name="Runs", exact=True))
    links = [
        address,
        *(
            address + str(run.locator("tbody th a").nth(number).get_attribute("href"))
            for number in range(run.locator("tbody tr").count())
        ),
        address + str(page.locator("[href^='/deliveries/']").first.get_attribute("href")),
    ]
    assert len(links) >= 4
    for number, link in enumerate(links):
        page.goto(link)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, link
        shot(page, f"{scheme}-{width}-{number}")
    assert complaints == []


@pytest.mark.parametrize("width", [320, 420, 768, 780, 1280])
def test_why_something_is_paused_is_never_cut(
    look: Callable[..., tuple[Page, list[str]]], web: Any, address: str, width: int
) -> None:
    act = Act(author="ada.example@bastion-1", reason="the wrong script was published, see CHG0042")
    paused = {"scope": PauseScope.MAPPING, "value": "office-repair-when-approved"}
    web.ledger.write(people.pause, **paused, lasting=timedelta(hours=2), act=act)
    page, complaints = look(address, width)
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
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shot(page, f"paused-{width}")
    assert complaints == []


def test_the_style_is_in_force_and_follows_the_readers_scheme(
    look: Callable[..., tuple[Page, list[str]]], address: str
) -> None:
    grounds = {
        scheme: look(address, 1280, scheme)[0].evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert grounds == {"light": "rgb(246, 247, 249)", "dark": "rgb(18, 22, 28)"}


def test_a_ticket_is_found_by_keyboard_alone(
    look: Callable[..., tuple[Page, list[str]]], web: Any, address: str
) -> None:
    answered = next(run for run in web.runs() if run.state == "answered")
    page, complaints = look(address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type(answered.ticket.key.lower())
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=f"Ticket {answered.ticket.key}").wait_for()
    page.get_by_role("link", name=answered.id).click()
    page.get_by_role("heading", name="Timeline").wait_for()
    assert page.get_by_role("row", name="engine-paris").get_by_text("accepted").is_visible()
    assert complaints == []


def test_the_lists_look_again_only_when_asked_to(
    look: Callable[..., tuple[Page, list[str]]], web: Any, sender: Any, address: str
) -> None:
    page, _ = look(address)
    assert page.locator("meta[http-equiv]").count() == 0
    page.get_by_role("link", name="Look again every").click()
    ticket, body = sender.created()
    web.post(body)
    page.get_by_role("link", name=ticket).first.wait_for(timeout=9_000)
    page.get_by_role("link", name="Stop").click()
    assert page.locator("meta[http-equiv]").count() == 0
