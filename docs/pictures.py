"""Takes the pictures of README and docs: the console of a demo house where a morning's tickets have come in.

It must not touch anything but its own house, nor leave a picture that is too large for a page.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urljoin

from playwright.sync_api import Browser, Page, sync_playwright

from bridge.demo.house import House
from bridge.sandbox import scenario
from bridge.sandbox.client import NexthinkControl, TicketControl, wait_for
from bridge.sandbox.running import Sandbox

FOLDER: Final = Path(__file__).parent / "pictures"
LARGEST_BYTES: Final = 200_000
SECONDS: Final = 60.0
DESK, PHONE = (1280, 800), (360, 740)

# A request that somebody else than its requester has to approve.
ASKING: Final = """\
version: 1
mappings:
  - id: office-repair-when-somebody-agrees
    source: jira
    events: [updated]
    when:
      - {field: change.status.to, equals: Approved}
      - {field: ticket.labels, contains: ask-first}
    action: repair-office
    devices: {from: 'fields.customfield_10088[].label'}
    approval: {}
    mode: live
tests:
  - name: without the label nothing runs
    source: jira
    payload: samples/jira-in-progress.json
    expect: []
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A page of the console, or what following links by what they lead to ends at, as large as a screen.

    `prepare` does on the page what a person does there before there is something to see.
    """

    name: str
    path: str
    follow: tuple[str, ...] = ()
    prepare: Callable[[Page], None] | None = None
    size: tuple[int, int] = DESK
    scheme: Literal["light", "dark"] = "light"


def open_playground(page: Page, *, delivery: str = "") -> None:
    """Load the mapping of the Office repair into the playground, with the payload of a delivery if any."""
    page.goto(urljoin(page.url, "/playground"))
    page.locator("#delivery").fill(delivery)
    names = page.locator("#chosen option").all_inner_texts()
    page.locator("#chosen").select_option(next(name for name in names if "jira-office-repair" in name))
    with page.expect_navigation():
        page.get_by_role("button", name="Load").click()


def try_a_payload(page: Page) -> None:
    """Try the payload of the delivery that is shown against the files as they are."""
    open_playground(page, delivery=page.url.rpartition("/")[2])
    with page.expect_navigation():
        page.get_by_role("button", name="Try", exact=True).click()
    page.locator(".workbench").evaluate("bench => bench.scrollIntoView()")


def try_on_what_came(page: Page) -> None:
    """Have a mapping ask for another label, and try that on the webhooks that came."""
    open_playground(page)
    text = page.locator("#text")
    text.fill(text.input_value().replace("contains: auto-remediate", "contains: ask-first"))
    with page.expect_navigation(timeout=60_000):
        page.get_by_role("button", name="Try on what came").click()


A_RUN: Final = "a[href^='/runs/r']"
PICTURES: Final = (
    Picture(name="overview", path="/"),
    Picture(name="overview-dark", path="/", scheme="dark"),
    Picture(name="overview-phone", path="/", size=PHONE),
    Picture(name="unknown", path="/runs?ticket=SUP-104", follow=(A_RUN,)),
    Picture(name="resolve", path="/runs?ticket=SUP-104", follow=(A_RUN, "a[href$='/resolve']")),
    Picture(name="approval", path="/runs?ticket=SUP-105", follow=(A_RUN,)),
    Picture(name="ticket", path="/tickets/SUP-106"),
    Picture(
        name="delivery",
        path="/deliveries?ticket=SUP-106",
        follow=("a[href^='/deliveries/d']",),
    ),
    Picture(name="pauses", path="/pauses"),
    Picture(name="kit", path="/kits/jira"),
    Picture(name="mapping", path="/mappings/office-repair-when-approved"),
    Picture(
        name="playground",
        path="/deliveries?ticket=SUP-106",
        follow=("a[href^='/deliveries/d']",),
        prepare=try_a_payload,
    ),
    Picture(
        name="backtest",
        path="/playground",
        prepare=try_on_what_came,
    ),
)


def main() -> None:
    """Open the house, have the tickets come in, and take every picture."""
    with tempfile.TemporaryDirectory() as taken, opened() as (house, sandbox):
        come_in(house, sandbox)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for picture in PICTURES:
                take(browser, house.url, picture, Path(taken))
            browser.close()
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(taken, FOLDER)


@contextmanager
def opened() -> Iterator[tuple[House, Sandbox]]:
    """Run a demo house that is ready, with one mapping more, and remove it."""
    with Sandbox() as sandbox:
        house = House(sandbox)
        try:
            house.start()
            # The processes need longer to start than this takes, so they find it.
            (house.folder / "mappings" / "ask-first.yaml").write_text(ASKING, encoding="utf-8")
            until(house, house.is_ready)
            yield house, sandbox
        finally:
            house.stop()
            house.remove()


def come_in(house: House, sandbox: Sandbox) -> None:
    """Have tickets come in that end in every way a person should know, each when the one before is done."""
    jira, servicenow = house.webhook_url("jira"), house.webhook_url("servicenow")
    portal = NexthinkControl(url=sandbox.nexthink_url)
    scenario.jira_ticket(sandbox.jira_url, to_url=jira, key="SUP-101")
    scenario.servicenow_ticket(sandbox.servicenow_url, to_url=servicenow)
    scenario.servicenow_request_item(sandbox.servicenow_url, to_url=servicenow)
    scenario.jira_teams_ticket(
        sandbox.jira_url, to_url=jira, text="please clear WS-ABC-12345 and WS-ABC-23456"
    )
    until(house, lambda: states(house).count("answered") == 4)
    scenario.jira_ticket(sandbox.jira_url, to_url=jira, key="SUP-103", devices=("WS-VIP-00001",))
    portal.fault("reset_after_read", path="/api/remoteaction/*")
    scenario.jira_ticket(sandbox.jira_url, to_url=jira, key="SUP-104", devices=("WS-ABC-23456",))
    until(house, lambda: {"refused", "unknown"} <= set(states(house)))
    scenario.jira_ticket(
        sandbox.jira_url,
        to_url=jira,
        key="SUP-105",
        devices=("WS-ABC-12345", "WS-ABC-23456"),
        labels=("ask-first",),
    )
    scenario.jira_ticket(sandbox.jira_url, to_url=jira, key="SUP-106", status="In Progress")
    lab = ("devices", "WS-LAB-.*", "--for", "2h", "--reason", "The lab is set up anew", "--author", "Grace")
    ask(house, "pause", *lab)
    until(house, lambda: "held" in states(house))
    until(house, lambda: told(sandbox) >= {"SUP-101", "SUP-102", "SUP-103", "SUP-104", "SUP-105"})


def states(house: House) -> list[str]:
    """Return the states of the runs."""
    return [run["state"] for run in json.loads(ask(house, "runs", "--json"))]


def told(sandbox: Sandbox) -> set[str]:
    """Return the issues that have a comment."""
    return {comment["issue"] for comment in TicketControl(url=sandbox.jira_url).comments()}


def ask(house: House, *words: str) -> str:
    """Return what the command line prints in the house."""
    elsewhere = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    done = subprocess.run(
        [sys.executable, "-m", "bridge", *words],
        cwd=house.folder,
        env={**elsewhere, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    return done.stdout


def until(house: House, ready: Callable[[], bool]) -> None:
    """Wait until something is true in a house whose processes run."""

    def look() -> bool:
        house.check()
        return ready()

    wait_for(look, seconds=SECONDS)


def take(browser: Browser, address: str, picture: Picture, folder: Path) -> None:
    """Take one picture; a page that is not there, or a picture that is too large, ends it all."""
    width, height = picture.size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=picture.scheme)
    page = context.new_page()
    answer = page.goto(address + picture.path)
    if answer is None or answer.status != 200:
        sys.exit(f"{picture.path} answers {answer and answer.status}")
    for link in picture.follow:
        page.goto(urljoin(page.url, page.locator(f"main {link}").first.get_attribute("href") or ""))
    if picture.prepare:
        picture.prepare(page)
    page.wait_for_load_state("networkidle")
    file = folder / f"{picture.name}.png"
    page.screenshot(path=file)
    if file.stat().st_size > LARGEST_BYTES:
        sys.exit(f"{file.name} has {file.stat().st_size} bytes, more than {LARGEST_BYTES}")
    context.close()


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"{len(PICTURES)} pictures in {FOLDER} after {time.monotonic() - began:.0f} s")
