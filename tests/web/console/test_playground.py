"""The playground: what a payload and edited texts would do, at once, with nothing sent, written or kept."""

import html
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import func, select

from bridge.ledger.tables import METADATA

ROOT = Path(__file__).resolve().parents[3]
APPROVED = (ROOT / "mappings" / "samples" / "jira-approved.json").read_text()
OFFICE = (ROOT / "mappings" / "jira-office-repair.yaml").read_text()
FILE = "mappings/jira-office-repair.yaml"


def rows(web: Any) -> dict[str, int]:
    """Count the rows of every table; the page must not make one."""
    with web.ledger.engine.connect() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in METADATA.tables.items()
        }


@pytest.fixture
def trying(web: Any) -> Callable[..., str]:
    """Send the form of the playground, as a browser does, and return the page."""

    def send(status: int = 200, headers: dict[str, str] | None = None, **given: str) -> str:
        client = web.app.test_client()
        page = client.get("/playground").text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert token
        form = {"csrf_token": token[1], "source": "jira", "base": "in_force", **given}
        response = client.post("/playground", data=form, headers=headers or {})
        assert response.status_code == status, response.text
        text: str = response.text
        return text

    return send


def text_of(page: str) -> str:
    """Return what a page says; its elements are looked at elsewhere."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_a_payload_shows_conditions_devices_parameters_limits_the_request_and_the_comment(
    web: Any, trying: Callable[..., str]
) -> None:
    before = rows(web)
    text = text_of(trying(payload=APPROVED))
    for words in (
        "no problem",
        "13 of 13 tests passed",
        "office-repair-when-approved fired",
        "change.status.to is 'Approved', the mapping wants 'Approved'",
        "WS-ABC-12345 (by name)",
        "Mode: prompt",
        "3 devices (set for this mapping)",
        "100 runs an hour for the whole bridge",
        "POST http://127.0.0.1:9/api/remoteaction/v2/run",
        "Authorization: Basic ********",
        '"<UID of WS-ABC-12345>"',
        "Comment in the ticket, if every Engine accepts it (internal)",
        "Office repair for 1 device(s), asked by Ada Example.",
        "teams-cache-when-chosen",
        "the ticket was updated, the mapping wants created",
    ):
        assert words in text, words
    assert "canary" not in text
    assert rows(web) == before


def test_an_edited_text_counts_in_place_of_its_file(trying: Callable[..., str]) -> None:
    edited = OFFICE.replace("equals: Approved", "equals: Rejected")
    text = text_of(trying(payload=APPROVED, file=FILE, text=edited))
    assert "No mapping fires" in text
    assert "change.status.to is 'Approved', the mapping wants 'Rejected'" in text
    assert "test 'an approved request runs' failed" in text
    assert "11 of 13 tests passed" in text


def test_what_is_wrong_stands_beside_the_text_with_its_line_marked(
    web: Any, trying: Callable[..., str]
) -> None:
    before = rows(web)
    page = trying(payload=APPROVED, file=FILE, text=OFFICE.replace("    action: rep", "    action rep"))
    assert "no test ran" in text_of(page)
    assert f'<span class="id">{FILE}:24:5</span> YAML cannot read this' in page
    (marked,) = re.findall(
        r'<span class="marked">(.*?)</span></span>|<span class="marked">.*?</span>(.*?)</span>', page
    )
    assert "devices:" in "".join(marked)
    assert rows(web) == before


def test_the_catalogue_can_be_edited_and_a_new_file_be_added(trying: Callable[..., str]) -> None:
    catalogue = (ROOT / "mappings" / "actions.yaml").read_text()
    text = text_of(
        trying(file="mappings/actions.yaml", text=catalogue.replace("repair-office:", "mend-office:"))
    )
    assert "unknown action 'repair-office'" in text
    text = text_of(trying(file="mappings/more.yaml", text=OFFICE))
    assert "mapping 'office-repair-when-approved' stands in mappings/jira-office-repair.yaml" in text
    assert (
        "too (give one another id, or choose mappings/jira-office-repair.yaml under File to replace it)"
        in text
    )


def test_a_file_of_the_set_that_names_a_mapping_of_another_is_not_told_to_replace_it(
    trying: Callable[..., str],
) -> None:
    twice = OFFICE.replace("id: office-repair-when-approved", "id: teams-cache-when-chosen")
    text = text_of(trying(file=FILE, text=twice))
    assert "too (give one another id)" in text


def test_without_script_the_answer_is_a_page_and_with_it_a_part(trying: Callable[..., str]) -> None:
    assert "<html" in trying(payload=APPROVED)
    part = trying(payload=APPROVED, headers={"HX-Request": "true"})
    assert part.lstrip().startswith('<div id="tried"')


def test_what_was_typed_stands_in_the_form_again(trying: Callable[..., str]) -> None:
    page = trying(payload='{"a": "</textarea><script>alert(1)</script>"}', file=FILE, text="\n# <b>\n")
    assert "<script>alert" not in page
    assert "&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "# &lt;b&gt;" in page


HOSTILE = "<script>alert(1)</script> \u202e javascript:alert(1)"


def test_a_hostile_payload_is_shown_as_text(trying: Callable[..., str]) -> None:
    payload = json.loads(APPROVED)
    payload["issue"]["fields"]["summary"] = HOSTILE
    payload["issue"]["fields"]["reporter"]["displayName"] = HOSTILE
    payload["issue"]["fields"]["customfield_10088"][0]["label"] = HOSTILE
    page = trying(
        payload=json.dumps(payload), text=OFFICE.replace("mode: live", f"mode: {HOSTILE}"), file=FILE
    )
    assert "<script>" not in page
    assert not re.search(r'(href|src|action)="javascript', page)
    assert "<script>" not in trying(payload=json.dumps(payload))


@pytest.mark.parametrize("name", ["../x:1:1", "a\nb", "<script>", "x" * 300])
def test_a_name_that_no_file_has_is_refused(trying: Callable[..., str], name: str) -> None:
    assert "a file&#39;s name is letters, digits" in trying(file=name, text=OFFICE)


def test_a_stored_delivery_is_loaded_and_one_that_is_not_there_is_said_to_be_missing(
    web: Any, sender: Any
) -> None:
    ticket, body = sender.created(summary="canary-of-the-payload")
    web.post(body)
    before = rows(web)
    (run,) = web.runs(ticket)
    page = web.get(f"/playground?delivery={run.delivery}&file={FILE}").text
    assert "canary-of-the-payload" in page
    assert "office-repair-when-approved" in page
    assert "holds personal data" in page
    # Nothing but who looked at it; the first digest of a ledger needs the salt that stands among the facts.
    after = rows(web)
    assert after == {**before, "audit": before["audit"] + 1, "facts": after["facts"]}
    with web.ledger.engine.connect() as connection:
        looked = select(METADATA.tables["audit"]).order_by(METADATA.tables["audit"].c.id.desc()).limit(1)
        row = connection.execute(looked).one()
    assert (row.event, row.about) == ("payload_shown", run.delivery)
    assert row.by.startswith("digest:")
    assert "there is no delivery d000" in web.get("/playground?delivery=d000").text
    assert "no such identifier" in web.get("/playground?delivery=%27--").text


def test_a_form_that_is_not_ours_or_too_large_is_refused(web: Any, trying: Callable[..., str]) -> None:
    assert web.app.test_client().post("/playground", data={"payload": APPROVED}).status_code == 400
    assert "too much for a page" in trying(status=413, payload="x" * 3_000_000)
    assert "a text may have 200000 characters here" in trying(payload="x" * 400_000)


def test_the_files_of_this_host_can_be_begun_with(web: Any, trying: Callable[..., str]) -> None:
    assert "13 of 13 tests passed" in text_of(trying(base="folder", payload=APPROVED))


def test_files_that_were_refused_are_told_and_mended_from_the_folder(
    opened: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "mappings"
    shutil.copytree(ROOT / "mappings", folder)
    with opened(tmp_path, BRIDGE_CONSOLE="open", BRIDGE_MAPPINGS=str(folder)) as web:
        (folder / "jira-office-repair.yaml").write_text(OFFICE.replace("    action: rep", "    action rep"))
        web.soon(lambda: "were refused" in web.get("/mappings").text, 30)
        assert f"{FILE}:24:5" in text_of(web.get("/mappings").text)
        assert "office-repair-when-approved" in web.get("/mappings").text
        assert "action repair-office" in web.get(f"/playground?base=folder&file={FILE}").text
        assert "action: repair-office" in web.get(f"/playground?file={FILE}").text
        (folder / "jira-office-repair.yaml").write_bytes(b"\xff")
        page = text_of(web.get(f"/playground?base=folder&file={FILE}").text)
        assert f"{FILE}:1:1: not UTF-8 (save the file as UTF-8)" in page


@pytest.mark.browser
def test_by_keyboard_an_edit_is_tried_at_once_and_a_wrong_one_marked(
    look: Callable[..., Page],
    readable: Callable[[Page, str], None],
    address: str,
    web: Any,
    window: tuple[int, str],
) -> None:
    delivery = next(run for run in web.runs() if run.state == "answered").delivery
    page = look(f"{address}/playground?delivery={delivery}&file={FILE}", *window)
    page.get_by_label("Its text").focus()
    page.keyboard.press("Control+End")
    page.keyboard.type("#")
    page.get_by_role("heading", name="teams-cache-when-chosen").wait_for()
    assert page.evaluate("document.activeElement.id") == "text"
    readable(page, "playground")
    page.keyboard.press("Control+Home")
    page.keyboard.type("versio: 1\n")
    page.locator(".marked", has_text="versio").wait_for()
    readable(page, "playground-wrong")


@pytest.mark.browser
def test_without_script_the_button_does_the_same(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/playground?file={FILE}")
    page.get_by_role("textbox", name="Payload").fill(APPROVED)
    page.get_by_role("button", name="Try", exact=True).click()
    page.get_by_role("heading", name="office-repair-when-approved").first.wait_for()
    context.close()


@pytest.mark.browser
def test_a_form_that_has_grown_old_says_so_while_one_types(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address}/playground?file={FILE}")
    page.evaluate("document.querySelector('.bench [name=csrf_token]').value = 'old'")
    page.get_by_role("textbox", name="Payload").fill(APPROVED)
    page.locator("#tried", has_text="Nothing was done: open it again.").wait_for(timeout=10_000)
    assert page.locator("main").count() == 1
    context.close()


@pytest.mark.browser
def test_a_hostile_payload_stays_text_in_a_browser(
    look: Callable[..., Page], readable: Callable[[Page, str], None], address: str
) -> None:
    payload = json.loads(APPROVED)
    fields = payload["issue"]["fields"]
    fields["reporter"]["displayName"] = "<img src=x onerror=alert(1)>"
    fields["summary"] = HOSTILE
    fields["customfield_10088"][0]["label"] = f"WS-ABC-12345{HOSTILE}"
    page = look(f"{address}/playground?file={FILE}", 360)
    page.get_by_role("textbox", name="Payload").fill(json.dumps(payload))
    page.locator("#tried", has_text="<script>alert(1)</script>").wait_for()
    assert page.locator("#tried :is(script, img, a[href^=javascript])").count() == 0
    readable(page, "playground-hostile")
