"""The console of a bridge as it is deployed: gunicorn, a worker, the simulated systems, a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bench.chaos.installation import Installation, installed
from bridge.errors import Reason
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
  root.example:
    roles: [administrator]
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


def test_every_page_of_a_bridge_that_works_can_be_read_by_everybody(
    bridge: Installation, look: Callable[..., Page], readable: Callable[[Page, str], None]
) -> None:
    bridge.ticket(key="SUP-2", devices=("WS-LAB-00002",), summary="<img src=x onerror=alert(1)>")
    run = bridge.reaches("SUP-2", RunState.ANSWERED).run
    page = look(f"http://127.0.0.1:{bridge.port}/")
    sign_in(page, "root.example")
    for path in (
        "/",
        "/runs",
        f"/runs/{run.id}",
        f"/runs/{run.id}/replay",
        "/deliveries",
        f"/deliveries/{run.delivery}",
        "/tickets/SUP-2",
        "/pauses",
        "/mappings",
        "/mappings/guarded",
        "/actions",
        f"/playground?delivery={run.delivery}",
        "/backtest",
        "/kits",
        "/kits/jira",
    ):
        answer = page.goto(f"http://127.0.0.1:{bridge.port}{path}")
        assert answer is not None
        assert answer.status == 200, path
        readable(page, f"deployed{path.partition('?')[0].replace('/', '-')}")


def test_what_is_paused_in_the_browser_is_not_sent_until_it_is_resumed_there(
    bridge: Installation, look: Callable[..., Page]
) -> None:
    here = f"http://127.0.0.1:{bridge.port}"
    page = look(here)
    sign_in(page, "root.example")
    page.goto(f"{here}/pauses")
    page.get_by_label("What", exact=True).select_option("mapping:repair-jira")
    page.get_by_label("Why").fill("the script is wrong")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("status").wait_for()
    calls = len(bridge.nexthink.calls()["calls"])
    bridge.ticket(key="SUP-3", devices=("WS-LAB-00003",))
    bridge.reaches("SUP-3", RunState.HELD)
    assert len(bridge.nexthink.calls()["calls"]) == calls
    page.goto(f"{here}/pauses")
    page.get_by_role("link", name="Resume mapping repair-jira").click()
    page.get_by_label("Why").fill("it is right again")
    page.get_by_label("Type the number").fill("1")
    page.locator("button.do").click()
    bridge.reaches("SUP-3", RunState.ANSWERED)
    assert len(bridge.nexthink.calls()["calls"]) == calls + 1


def act(page: Page, bridge: Installation, run: str, link: str, button: str, **chosen: str) -> None:
    """Go from a run's page to an act, fill in what it asks for, and do it."""
    page.goto(f"http://127.0.0.1:{bridge.port}/runs/{run}")
    page.get_by_role("link", name=link).click()
    if "way" in chosen:
        page.get_by_label(chosen["way"], exact=True).check()
    page.get_by_label("Why").fill("looked at it with the person")
    if "number" in chosen:
        page.get_by_label("Type the number").fill(chosen["number"])
    page.get_by_role("button", name=button).click()
    page.get_by_role("status").wait_for()


def test_every_other_act_moves_a_run_as_it_says_and_sends_what_it_says_and_no_more(
    bridge: Installation, look: Callable[..., Page]
) -> None:
    page = look(f"http://127.0.0.1:{bridge.port}/")
    sign_in(page, "root.example")

    def calls() -> int:
        return len(bridge.nexthink.calls()["calls"])

    # Nobody knows what became of it: the operator says that it did not run.
    bridge.nexthink.fault("reset_after_read", path="/api/remoteaction/*")
    bridge.ticket(key="SUP-5", devices=("WS-LAB-00005",))
    run = bridge.reaches("SUP-5", RunState.UNKNOWN).run.id
    before = calls()
    act(page, bridge, run, "Say what became of it", "Do it", way="It did not run")
    bridge.reaches("SUP-5", RunState.REFUSED)
    assert calls() == before

    # One Engine did not act: it alone is sent the action again.
    bridge.nexthink.answer(engine="engine-emea-2", code="not_connected", times=1)
    bridge.ticket(key="SUP-6", devices=("WS-ABC-34567",))
    run = bridge.reaches("SUP-6", RunState.ANSWERED).run.id
    act(page, bridge, run, "Send again to the Engines", "Send again", number="1")
    bridge.soon(lambda: calls() == before + 2)
    bridge.reaches("SUP-6", RunState.ANSWERED)
    assert len(bridge.nexthink.calls()["calls"][-1]["engine_uids"]) == 1

    # A whole run once more is another run.
    act(page, bridge, run, "Replay", "Replay", number="1")
    bridge.soon(lambda: len(bridge.stories("SUP-6")) == 2)
    bridge.soon(lambda: {each.run.state for each in bridge.stories("SUP-6")} == {RunState.ANSWERED})
    assert calls() == before + 3

    # What waits for approval is cancelled, and what a restore held is released.
    bridge.ticket(key="SUP-7", labels=("guarded",), devices=("WS-LAB-00007",))
    run = bridge.reaches("SUP-7", RunState.HELD).run.id
    act(page, bridge, run, "Cancel", "Cancel")
    bridge.reaches("SUP-7", RunState.CANCELLED)
    bridge.ticket(key="SUP-8", labels=("guarded",), devices=("WS-LAB-00008",))
    run = bridge.reaches("SUP-8", RunState.HELD).run.id
    assert bridge.command("declare-restored").returncode == 0
    bridge.soon(lambda: bridge.story("SUP-8").run.reason is Reason.RESTORED)
    act(page, bridge, run, "Release", "Release", number="1")
    # It needs its approval all the same.
    bridge.soon(lambda: bridge.story("SUP-8").run.reason is Reason.AWAITING_APPROVAL)
    assert calls() == before + 3
    for key, told in (("SUP-5", "resolved"), ("SUP-6", "again"), ("SUP-7", "cancelled")):
        bridge.told(key, told)


def test_who_may_only_look_is_offered_nothing_and_refused(
    bridge: Installation, look: Callable[..., Page]
) -> None:
    bridge.ticket(key="SUP-4", labels=("guarded",), devices=("WS-LAB-00004",))
    run = bridge.reaches("SUP-4", RunState.HELD).run
    page = look(f"http://127.0.0.1:{bridge.port}/", refusals=(403,))
    sign_in(page, "vera.example")
    page.goto(f"http://127.0.0.1:{bridge.port}/runs/{run.id}")
    page.get_by_role("heading", name="Timeline").wait_for()
    assert page.get_by_role("link", name="Approve or decline").count() == 0
    for act in ("approve", "cancel", "release"):
        page.goto(f"http://127.0.0.1:{bridge.port}/runs/{run.id}/{act}")
        page.get_by_role("heading", name="Not yours to do").wait_for()
