"""The kits in the console: no secret, the real address, and what arrives while a sender is tried."""

import html
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

PATHS = ("/kits", "/kits/jira", "/kits/servicenow")


def text_of(page: str) -> str:
    """Return what a page says; its elements are looked at elsewhere."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


@pytest.fixture(scope="module")
def web(opened: Callable[..., Any], tmp_path_factory: Any) -> Iterator[Any]:
    """A web process that is reached from outside, so that its kits have an address."""
    given = {"BRIDGE_CONSOLE": "open", "BRIDGE_PUBLIC_URL": "https://bridge.example.org"}
    with opened(tmp_path_factory.mktemp("web"), **given) as running:
        yield running


def test_every_source_has_its_kit_with_its_address_and_no_secret(
    web: Any, environment: Callable[..., dict[str, str]]
) -> None:
    listed = web.get("/kits").text
    assert 'href="/kits/jira?source=jira"' in listed
    assert 'href="/kits/servicenow?source=servicenow"' in listed
    secret = [value for name, value in environment("x").items() if re.search("SECRETS|TOKEN|PASSWORD", name)]
    assert len(secret) >= 4
    for path in PATHS[1:]:
        page = web.get(path).text
        assert f"https://bridge.example.org/webhooks/{path.rpartition('/')[2]}" in page
        assert not [each for each in secret if each.strip('[]"') in page]


def test_a_script_is_shown_as_it_is_to_be_copied(web: Any) -> None:
    (rule, job) = re.findall(
        r'<pre class="copied"[^>]*>(.*?)</pre>', web.get("/kits/servicenow").text, re.DOTALL
    )
    assert html.unescape(rule).startswith("// Business rule for ServiceNow")
    assert 'var ADDRESS = "https://bridge.example.org/webhooks/servicenow";' in html.unescape(job)


@pytest.mark.parametrize(
    "path", ["/kits/x", "/kits/jira-automation", "/kits/jira?source=nobody", "/kits/%00"]
)
def test_a_kit_that_there_is_not_is_not_found(web: Any, path: str) -> None:
    assert web.get(path).status_code == 404


@pytest.mark.parametrize("since", ["", "x", "2026-05-28T20:26:45", "9999-12-31T00:00:00%2B00:00"])
def test_a_time_that_no_page_was_opened_at_counts_as_now(web: Any, sender: Any, since: str) -> None:
    web.post(sender.created()[1])
    page = web.get(f"/kits/jira?since={since}")
    assert page.status_code == 200
    assert "Nothing yet." in text_of(page.text)


def test_what_arrived_since_the_page_was_opened_is_shown_verified_or_refused_and_why(
    web: Any, sender: Any
) -> None:
    since = quote((web.process.bridge.ledger.read(lambda tx: tx.now) - timedelta(minutes=1)).isoformat())
    ticket, body = sender.created()
    receipt = web.post(body).get_json()
    web.post(body + b" ", **{"X-Hub-Signature": "sha256=00"})
    web.post(body, "/webhooks/nobody")
    web.soon(lambda: "refused" in text_of(web.get(f"/kits/jira?since={since}").text).split("1. Webhook")[0])
    text = text_of(web.get(f"/kits/jira?since={since}").text)
    assert re.search(rf"verified \S+ \S+ {receipt['delivery']} {ticket} matched", text)
    assert "bad signature : the secret differs" in text.replace("signature:", "signature :")
    assert "unknown source: the address ends with no source" in text
    other = text_of(web.get(f"/kits/servicenow?since={since}").text)
    assert ticket not in other
    assert "bad signature" not in other


def test_without_a_public_address_that_is_said(opened: Callable[..., Any], tmp_path: Path) -> None:
    with opened(tmp_path, BRIDGE_CONSOLE="open") as web:
        assert "BRIDGE_PUBLIC_URL is not set" in text_of(web.get("/kits").text)
        assert "https://YOUR-BRIDGE/webhooks/jira" in web.get("/kits/jira").text


def test_only_administrators_are_shown_a_kit(web: Any) -> None:
    views = web.app.view_functions
    assert {views[f"console.{name}"].needed_role for name in ("kits_there_are", "kit")} == {"administrator"}


@pytest.mark.browser
def test_the_kits_fit_their_window_and_are_accessible(
    look: Callable[..., Page],
    readable: Callable[[Page, str], None],
    address: str,
    window: tuple[int, str],
) -> None:
    page = look(f"{address}/kits", *window)
    for path in PATHS:
        page.goto(address + path)
        readable(page, f"kits{path.replace('/', '-')}")


@pytest.mark.browser
def test_what_arrives_shows_while_the_page_is_open_and_a_script_is_selected_by_one_click(
    look: Callable[..., Page], web: Any, sender: Any, address: str
) -> None:
    page = look(f"{address}/kits/jira")
    page.get_by_text("Nothing yet.").wait_for()
    ticket, body = sender.created()
    web.post(body)
    web.post(body + b" ", **{"X-Hub-Signature": "sha256=00"})
    page.get_by_role("link", name=ticket).wait_for()
    page.get_by_text("the secret differs").wait_for()
    page.goto(f"{address}/kits/servicenow")
    page.locator("pre.copied").first.click(position={"x": 20, "y": 20})
    selected = page.evaluate("getSelection().toString()")
    assert selected.startswith("// Business rule for ServiceNow")
    assert selected.rstrip().endswith("})(current, previous);")
