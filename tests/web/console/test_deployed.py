"""The console of a bridge as it is deployed: gunicorn, a worker, the simulated systems, a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bench.chaos.installation import Installation, installed
from bridge.models import RunState
from bridge.passwords import Passwords
from bridge.sandbox.running import Sandbox

pytestmark = [pytest.mark.journey, pytest.mark.browser]

PASSWORD = "a-made-up-password-of-ben"
MAPPING = """
version: 1
mappings:
  - id: guarded
    source: jira
    events: [updated]
    when:
      - {field: ticket.labels, contains: guarded}
    action: repair-office
    devices: {from: 'fields.customfield_10088[].label'}
    approval: {expires: 1h}
    mode: live
tests:
  - name: without the label nothing runs
    source: jira
    payload: samples/jira-approved.json
    expect: []
"""
PEOPLE = """
version: 1
people:
  ben.example:
    roles: [approver]
    identities: {jira: 5b10ac8d82e05b22cc7dbe01}
    password: HASH
  vera.example:
    roles: [viewer]
    password: HASH
"""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def bridge(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """A bridge that people sign in to, with a mapping that asks for approval."""
    folder: Path = tmp_path_factory.mktemp("deployed")
    people = folder / "people.yaml"
    people.write_text(PEOPLE.replace("HASH", Passwords().hashed(PASSWORD)))
    server = request.getfixturevalue("postgresql") if request.param == "postgresql" else ""
    given = {
        "CONSOLE": "on",
        "CONSOLE_SIGN_IN": "password",
        "CONSOLE_PEOPLE": str(people),
        "CONSOLE_SECRET": "made-up-and-long-enough-to-sign-with",
    }
    with Sandbox() as sandbox, installed(folder, sandbox, server=server, **given) as running:
        (folder / "mappings" / "guarded.yaml").write_text(MAPPING)
        checked = running.command("check")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        running.start_web()
        running.start_worker()
        yield running


def press_to(page: Page, element: str) -> None:
    """Go by the Tab key alone to an element, by what it is called; fail where none of them is reached."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(CALLED).strip() == element:
            return
    raise AssertionError(f"the Tab key does not lead to {element!r} on {page.url}")


CALLED = """() => {
  const here = document.activeElement;
  return here.labels?.[0]?.textContent || here.textContent;
}"""


def sign_in(page: Page, name: str) -> None:
    page.locator("#name:focus").wait_for()
    page.keyboard.type(name)
    press_to(page, "Password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("navigation", name="Console").wait_for()


def test_what_a_ticket_asks_for_is_approved_by_keyboard_alone_and_told_in_the_ticket(
    bridge: Installation, look: Callable[..., Page], readable: Callable[[Page, str], None]
) -> None:
    bridge.ticket(key="SUP-1", labels=("guarded",), summary="<script>alert(1)</script>")
    run = bridge.reaches("SUP-1", RunState.HELD).run
    page = look(f"http://127.0.0.1:{bridge.port}/")
    sign_in(page, "ben.example")
    press_to(page, "Ticket")
    page.keyboard.type("sup-1")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Ticket SUP-1").wait_for()
    press_to(page, run.id)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Timeline").wait_for()
    press_to(page, "Approve or decline")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Approve or decline").wait_for()
    readable(page, "deployed-approve")
    press_to(page, "Approve")
    page.keyboard.press("Space")
    press_to(page, "Why")
    page.keyboard.type("seen with Ada on the phone")
    press_to(page, "How many devices is it sent to? Type the number")
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    page.get_by_role("status").wait_for()
    bridge.reaches("SUP-1", RunState.ANSWERED)
    bridge.told("SUP-1", "answered")
    assert len(bridge.nexthink.calls()["calls"]) == 1
    expect(page.get_by_text("by ben.example").first).to_be_visible()
