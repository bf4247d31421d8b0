"""`backtest`: stored webhooks against the mappings in force and against others, as a merge check runs it."""

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.ledger import in_force, stored
from bridge.models import Person, SourceName

OFFICE = "jira-office-repair.yaml"
SECOND = """
  - id: office-again
    events: [updated]
    when:
      - field: change.status.to
        equals: Approved
    action: repair-office
    devices: {from: 'fields.customfield_10088[].label'}
    params: {Mode: {value: force}, Asked by: {value: Ada Example}}
    mode: live
"""


@pytest.fixture
def arrived(home: Any) -> Any:
    """A home whose mappings are in force, and to which three webhooks came."""
    home.put_in_force()
    with home.ledger() as ledger:
        for name in ("jira", "servicenow"):
            ledger.ledger.write(
                in_force.put_account, source=SourceName(name), person=Person(id="bridge", login="bridge")
            )
        for sample in ("jira-approved.json", "jira-teams-cache.json", "jira-in-progress.json"):
            ledger.arrive(sample)
    return home


@pytest.fixture
def changed(arrived: Any) -> Callable[[str, str], str]:
    """Copy the mappings, replace a text of the Office mapping, and return the folder."""

    def change(old: str, new: str) -> str:
        folder = arrived.folder / "new"
        shutil.copytree(arrived.folder / "mappings", folder)
        text = (folder / OFFICE).read_text()
        assert text.count(old) == 1
        (folder / OFFICE).write_text(text.replace(old, new))
        return str(folder)

    return change


def test_the_same_mappings_change_nothing(arrived):
    text = arrived.run("backtest", str(arrived.folder / "mappings")).stdout
    assert "3 webhooks tried" in text
    assert "runs          2 (2 sent) -> 2 (2 sent)" in text
    assert "most devices  2 -> 2" in text
    assert "nothing would be other" in text


def test_a_run_that_would_be_missing_is_named_and_is_not_let_through(arrived, changed):
    folder = changed("        contains: auto-remediate", "        contains: something-else")
    text = arrived.run("backtest", folder, code=1).stdout
    assert "runs          2 (2 sent) -> 1 (1 sent)" in text
    assert "removed: 1" in text
    assert "SUP-101 office-repair-when-approved: repair-office on WS-ABC-12345" in text
    arrived.run("backtest", folder, "--accept", "removed")


def test_a_run_that_would_be_other_says_in_what(arrived, changed):
    folder = changed("High: prompt", "High: force")
    found = arrived.json("backtest", folder, code=1)
    (difference,) = found["differences"]
    assert (difference["change"], difference["mapping"]) == ("changed", "office-repair-when-approved")
    (what,) = difference["what"]
    assert what == {"name": "parameter Mode", "before": "prompt", "after": "force"}
    arrived.run("backtest", folder, "--accept", "changed")


def test_a_mapping_that_fires_beside_another_is_an_overlap(arrived, changed):
    folder = changed("tests:\n", SECOND.removeprefix("\n") + "tests:\n")
    text = arrived.run("backtest", folder, code=1).stdout
    assert (
        "overlap: office-again and office-repair-when-approved fire for the same event now, 1 times" in text
    )


def test_more_devices_than_are_wanted_are_not_let_through(arrived):
    same = str(arrived.folder / "mappings")
    arrived.run("backtest", same, "--max-devices", "2")
    assert "more than 1" in arrived.run("backtest", same, "--max-devices", "1", code=1).stderr


def test_what_says_nothing_is_counted_and_named(arrived):
    arrived.write_settings(BRIDGE_SOURCES__JIRA__FETCH="true")
    text = arrived.run("backtest", str(arrived.folder / "mappings")).stdout
    assert "0 webhooks tried" in text
    assert "3 not tried: its ticket was read, and only the webhook is stored" in text


def test_only_what_came_lately_is_tried(arrived, changed):
    time.sleep(1.1)
    folder = changed("High: prompt", "High: force")
    assert "0 webhooks tried" in arrived.run("backtest", folder, "--last", "1s").stdout


def test_a_folder_that_cannot_be_read_is_named(arrived, changed):
    folder = changed("repeat: per_change", "repeat: sometimes")
    text = arrived.run("backtest", folder, code=1).stderr
    assert "jira-office-repair.yaml" in text
    assert "repeat" in text


def test_without_mappings_in_force_there_is_nothing_to_compare_with(home):
    home.migrate()
    assert "no mapping set is in force" in home.run("backtest", "mappings", code=1).stderr


def test_it_reads_page_by_page_and_leaves_nothing_out(arrived):
    with arrived.ledger() as ledger:
        for number in range(2, 8):
            ledger.arrive(
                {
                    "timestamp": 1_700_000_000_000 + number,
                    "webhookEvent": "jira:issue_created",
                    "issue": {"id": str(number), "key": f"SUP-{number}", "fields": {}},
                }
            )
        since = datetime(2020, 1, 1, tzinfo=UTC)
        found = [one.id for one in stored.stored_since(ledger.ledger, since, page_size=2)]
    assert len(found) == len(set(found)) == 9
