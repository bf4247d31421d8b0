"""The console in a real browser, over a running web process."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright
from werkzeug.serving import make_server

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
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET), timeout=30_000)
        yield running
        running.close()


@pytest.fixture(scope="session")
def listening() -> Callable[[Any], AbstractContextManager[str]]:
    """Have a web process answer at an address."""

    @contextmanager
    def do(web: Any) -> Iterator[str]:
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

    return do


@pytest.fixture(scope="module")
def address(
    web: Any,
    sender: Any,
    work: Callable[..., Any],
    listening: Callable[[Any], AbstractContextManager[str]],
) -> Iterator[str]:
    """The page over a socket, with an answered run, one that waits, and a ticket that asked for nothing."""
    web.post(sender.created()[1])
    work(web.ledger)
    web.post(sender.created()[1])
    web.post(sender.created(customfield_10050={"value": "Something else"})[1])
    with listening(web) as found:
        yield found


def _is_icon(url: str) -> bool:
    """Say whether a request is for the icon: the browser makes it beside the page, and never again.

    It may take a connection that it had opened ahead, and that the server has closed meanwhile. An icon that
    is not there is complained of by its status.
    """
    return url.endswith("/static/icon.svg")


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page in a new context; whatever the browser complains of fails the test at its end.

    That is every console message, script error, violation of the content security policy, and lost request.
    A page that answers with one of `refusals` is meant to.
    """
    contexts = []
    complaints: list[str] = []

    def do(
        url: str,
        width: int = 1280,
        scheme: Literal["light", "dark"] = "light",
        refusals: tuple[int, ...] = (),
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)

        def note(message: ConsoleMessage) -> None:
            meant = any(
                f"the server responded with a status of {status} " in message.text for status in refusals
            )
            lost_icon = "net::ERR_" in message.text and _is_icon(message.location["url"])
            if not meant and not lost_icon:
                complaints.append(message.text)

        def lost(request: Request) -> None:
            # The browser itself gives up on what it still waits for when the next page is opened.
            if request.failure != "net::ERR_ABORTED" and not _is_icon(request.url):
                complaints.append(request.url)

        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lost)
        page.goto(url)
        return page

    yield do
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(params=[(360, "light"), (1280, "dark")], ids=str)
def window(request: pytest.FixtureRequest) -> tuple[int, str]:
    """A phone in light and a screen in dark: width and scheme, as `look` takes them.

    What fits depends on the width alone, and contrast on the scheme.
    """
    found: tuple[int, str] = request.param
    return found


@pytest.fixture(scope="session")
def readable() -> Callable[[Page, str], None]:
    """See that everybody can read a page, and keep a picture where somebody asked for pictures.

    It has one heading of the first level, is no wider than its window, and axe finds nothing serious.
    """
    axe = Axe()

    def do(page: Page, name: str) -> None:
        assert page.viewport_size is not None
        width = page.viewport_size["width"]
        folder = os.environ.get("BRIDGE_SCREENSHOTS")
        if folder:
            scheme = (
                "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
            )
            page.screenshot(path=Path(folder) / f"{name}-{scheme}-{width}.png", full_page=True)
        assert page.get_by_role("heading", level=1).count() == 1, name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        found = axe.run(page).response["violations"]
        serious = [each for each in found if each["impact"] in {"serious", "critical"}]
        assert serious == [], [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious]

    return do
