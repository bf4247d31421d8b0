"""The backtest in the console: what other texts would have made of what came, with nothing written."""

import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page
from sqlalchemy import func, insert, select

from bridge.ledger import in_force
from bridge.ledger.tables import METADATA, deliveries
from bridge.models import Person, SourceName

ROOT = Path(__file__).resolve().parents[3]
TEAMS = (ROOT / "mappings" / "jira-teams-cache.yaml").read_text()
FILE = "mappings/jira-teams-cache.yaml"


def rows(web: Any) -> dict[str, int]:
    """Count the rows of every table; the page must not make one."""
    with web.ledger.engine.connect() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in METADATA.tables.items()
        }


@pytest.fixture
def came(opened: Callable[..., Any], sender: Any, database_url: str, tmp_path: Path) -> Iterator[Any]:
    """A console over either database, in which three tickets came, one of them for a mapping."""
    with opened(tmp_path, database_url, BRIDGE_CONSOLE="open") as web:
        account = Person(id="712020:bridge", name="The bridge")
        web.ledger.write(in_force.put_account, source=SourceName("jira"), person=account)
        web.soon(web.process.bridge.watching.accounts)
        for choice in ("Clear Teams cache", "Something else", "Something else"):
            web.post(sender.created(customfield_10050={"value": choice}, customfield_10051="WS-ABC-12345")[1])
        yield web


def asked(web: Any, status: int = 200, **given: str) -> str:
    """Send the form, as a browser does, and return what the page says."""
    client = web.app.test_client()
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/backtest").text)
    assert token
    form = {"csrf_token": token[1], "base": "in_force", "days": "30", **given}
    response = client.post("/backtest", data=form)
    assert response.status_code == status
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", response.text)).split())


def test_runs_that_would_be_added_removed_or_changed_are_told_and_nothing_is_written(came: Any) -> None:
    before = rows(came)
    added = asked(
        came,
        file=FILE,
        text=TEAMS.replace("equals: Clear Teams cache", "in: [Clear Teams cache, Something else]"),
    )
    assert "3 webhooks, received since" in added
    assert "1 in force, 3 with these" in added
    assert "2 runs added" in added
    assert "clear-teams-cache on WS-ABC-12345" in added
    removed = asked(came, file=FILE, text=TEAMS.replace("equals: Clear Teams cache", "equals: Nothing"))
    assert "1 run removed" in removed
    changed = asked(came, file=FILE, text=TEAMS.replace("mode: live", "mode: announce"))
    assert "1 run changed" in changed
    assert "queued → recorded" in changed
    doubled = (
        TEAMS.split("\ntests:")[0]
        .replace("teams-cache-when-chosen", "teams-again")
        .replace("action: clear-teams-cache", "action: repair-office")
    )
    assert "Mappings that newly fire together teams-again and teams-cache-when-chosen: 1 event" in asked(
        came, file="mappings/more.yaml", text=doubled
    )
    assert "With the files in this host's folder" in asked(came, base="folder")
    assert "Nothing would be other." in asked(came, base="folder")
    assert rows(came) == before


def test_of_more_than_are_looked_at_it_says_so(came: Any) -> None:
    at = came.process.bridge.ledger.read(lambda tx: tx.now)
    like = {
        "source": "jira",
        "digest": "x",
        "timed": 1,
        "state": "evaluated",
        "payload": "{}",
        "findings": "[]",
    }
    with came.ledger.engine.begin() as connection:
        connection.execute(
            insert(deliveries),
            [{**like, "id": f"e{n}", "key": f"e{n}", "received_at": at, "due_at": at} for n in range(1_100)],
        )
    text = asked(came)
    assert "1000: it is no ticket" in text
    assert "older ones are left out, for which there is bridge backtest" in text


def test_a_text_that_cannot_be_read_is_shown_at_its_place(web: Any) -> None:
    text = asked(web, file=FILE, text="version: 1\nmappings: [<script>]\n")
    assert "mappings/jira-teams-cache.yaml:2:12" in text


@pytest.mark.parametrize("days", ["0", "-1", "366", "x", "", "9" * 400, "٣"])
def test_a_number_of_days_that_cannot_be_is_refused_in_words(web: Any, days: str) -> None:
    assert "write a number of days from 1 to 365" in asked(web, days=days)


def test_what_cannot_be_judged_is_counted_by_its_reason(web: Any, sender: Any) -> None:
    web.post(sender.created()[1])
    assert re.search(r"not tried \d+: our own account there is not known", asked(web))


@pytest.mark.browser
def test_an_edited_text_goes_from_the_playground_to_the_backtest(
    look: Callable[..., Page],
    readable: Callable[[Page, str], None],
    address: str,
    web: Any,
    window: tuple[int, str],
) -> None:
    account = Person(id="712020:bridge", name="The bridge")
    web.ledger.write(in_force.put_account, source=SourceName("jira"), person=account)
    page = look(f"{address}/playground?file={FILE}", *window)
    page.get_by_label("Its text").fill(TEAMS.replace("equals: Clear Teams cache", "equals: Something else"))
    page.get_by_role("button", name="Try on what came").click()
    page.get_by_role("heading", name="removed").wait_for()
    readable(page, "backtest")
