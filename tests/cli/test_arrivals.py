"""`deliveries`, `why` and `sample`: what arrived, why it led where it did, and how it becomes a sample."""

import json
import re
from datetime import UTC, datetime

import pytest

from bridge.bootstrap import check_files
from bridge.bootstrap.outside import connect
from bridge.cli.redacting import redacted
from bridge.cli.showing import line
from bridge.demo.narrating import Narrator
from bridge.errors import Reason
from bridge.ledger import refusals
from bridge.models import SourceName

SAMPLES = (
    "jira-approved.json",
    "jira-approved-vip.json",
    "jira-in-progress.json",
    "jira-other-choice.json",
    "jira-teams-cache.json",
    "servicenow-incident.json",
    "servicenow-incident-resolved.json",
    "servicenow-incident-sys-id.json",
    "servicenow-request-item.json",
    "servicenow-request-item-unknown.json",
    "servicenow-request-item-waiting.json",
)


def test_deliveries_are_listed_with_what_came_of_them(home):
    with home.ledger() as ledger:
        made = ledger.arrive("jira-approved.json")
        missed = ledger.arrive("jira-in-progress.json")
    lines = home.run("deliveries").stdout.splitlines()
    assert len(lines) == 3
    assert any(made["delivery"] in line and f"matched     {made['runs'][0]}" in line for line in lines)
    assert any(missed["delivery"] in line and "no_mapping" in line for line in lines)
    (only,) = home.json("deliveries", "--limit", "1")
    assert only["id"] == missed["delivery"]
    assert home.json("deliveries", "--ticket", "SUP-999") == []


def test_why_tells_the_values_that_every_mapping_saw(home):
    with home.ledger() as ledger:
        run = ledger.arrive("jira-approved.json")["runs"][0]
    text = home.run("why", "SUP-101").stdout
    assert "yes change.status.to is 'Approved', the mapping wants 'Approved'" in text
    assert f"run {run} is queued, see `bridge runs show {run}`" in text


def test_why_tells_what_did_not_hold(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-in-progress.json")
    text = home.run("why", "SUP-101").stdout
    assert text.startswith(
        "Nothing ran, because no mapping fired. office-repair-when-approved came nearest: "
    )
    assert "office-repair-when-approved: does not fire" in text
    assert "no  change.status.to is 'In progress', the mapping wants 'Approved'" in text


def test_why_names_the_earlier_run_that_stands_in_the_way(home):
    with home.ledger() as ledger:
        run = ledger.arrive("jira-approved.json")["runs"][0]
        payload = json.loads((home.folder / "mappings" / "samples" / "jira-approved.json").read_text())
        payload["timestamp"] += 60_000
        assert ledger.arrive(payload)["runs"] == []
    text = home.run("why", "SUP-101").stdout
    assert f"no further run: run {run} was made for it before" in text
    assert "\nSince then: Nothing further ran: office-repair-when-approved has had its run" in text
    assert "\n  already served\n" in text


def test_why_names_the_way_out_where_a_ticket_has_had_its_one_run(home):
    (files,) = (path for path in (home.folder / "mappings").glob("*.yaml") if "repeat:" in path.read_text())
    files.write_text(re.sub(r"\n +repeat: .*", "", files.read_text()))
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        payload = json.loads((home.folder / "mappings" / "samples" / "jira-approved.json").read_text())
        payload["timestamp"] += 60_000
        payload["changelog"]["id"] = "99901"
        assert ledger.arrive(payload)["runs"] == []
    assert (
        "\nSince then: Nothing further ran: office-repair-when-approved has had its one run for this ticket "
        "(write `repeat: per_change` in the mapping"
    ) in home.run("why", "SUP-101").stdout


def test_why_counts_what_was_refused_at_the_door_when_nothing_arrived(home):
    with home.ledger() as ledger:
        ledger.ledger.write(refusals.count_refusals, {(SourceName("jira"), Reason.BAD_SIGNATURE): 3})
    text = home.run("why", "SUP-7").stdout
    assert "Nothing that was accepted is about SUP-7." in text
    assert "bad_signature" in text
    assert home.json("why", "SUP-7") == {"ticket": "SUP-7", "deliveries": [], "runs": []}


def test_a_sample_is_the_payload_as_it_came(home):
    with home.ledger() as ledger:
        stored = json.loads((home.folder / "mappings" / "samples" / "jira-approved.json").read_text())
        delivery = ledger.arrive(stored)["delivery"]
    assert json.loads(home.run("sample", delivery).stdout) == stored


STEERING = "Word \N{CONTROL SEQUENCE INTRODUCER}2J\N{RIGHT-TO-LEFT OVERRIDE}\x1b[31m\x7f closes"


def test_no_command_lets_a_ticket_steer_the_terminal(home):
    payload = json.loads((home.folder / "mappings" / "samples" / "jira-approved.json").read_text())
    payload["timestamp"] = int(datetime.now(UTC).timestamp() * 1000)
    fields = payload["issue"]["fields"]
    fields["summary"], fields["labels"] = STEERING, ["auto-remediate", STEERING]
    (home.folder / "steering.json").write_text(json.dumps(payload))
    with home.ledger() as ledger:
        received = ledger.arrive(payload)
        payload["issue"]["fields"]["reporter"]["displayName"] = STEERING
        payload["issue"]["id"] = "10502"
        payload["changelog"]["id"] = "901"
        ledger.arrive(payload)
        run = received["runs"][0]
        ledger.answer(STEERING)
    seen = 0
    for arguments in (
        ("sample", received["delivery"]),
        ("why", "SUP-101"),
        ("why", "SUP-101", "--json"),
        ("explain", "steering.json", "--source", "jira"),
        ("deliveries",),
        ("runs",),
        ("runs", "show", run),
        ("runs", "show", run, "--json"),
    ):
        text = home.run(*arguments).stdout
        assert all(letter.isprintable() or letter == "\n" for letter in text), arguments
        seen += any(escaped in text for escaped in ("\\u202e", "\\u202E"))
    assert seen >= 6


def test_what_the_demo_shows_cannot_steer_the_terminal(capsys):
    narrator = Narrator(monotonic=lambda: 0.0, say=line)
    narrator.comment("SUP-101", (STEERING,))
    shown = capsys.readouterr().out
    assert "\\x9b2J\\u202e\\x1b[31m\\x7f closes" in shown
    assert all(letter.isprintable() or letter == "\n" for letter in shown)


def test_a_redacted_sample_serves_the_tests_of_the_mappings(home):
    with home.ledger() as ledger:
        delivery = ledger.arrive("jira-approved.json")["delivery"]
    result = home.run("sample", delivery, "--redact")
    (home.folder / "mappings" / "samples" / "jira-approved.json").write_text(result.stdout)
    file = home.folder / "mappings" / "jira-office-repair.yaml"
    text = file.read_text()
    assert "Ada Example" not in result.stdout
    name = json.loads(result.stdout)["issue"]["fields"]["reporter"]["displayName"]
    file.write_text(text.replace("Ada Example", name))
    assert "13 of 13 tests passed" in home.run("check").stdout
    assert "note: kept, because a mapping reads it: WS-ABC-12345" in result.stderr


PERSONAL = {
    "Ada Example", "ada@example.com", "712020:ada", "Bo Approver", "712020:bo", "Bo Agent", "bo.agent", "ada",
    "Service Portal", "Word closes when I open a mail merge.", "jira.example.com", "servicenow.example.com",
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_redacting_keeps_what_mappings_decide_and_nothing_personal(home, name):
    settings = home.settings
    system = connect(settings).sources[SourceName(name.partition("-")[0])].system
    payload = json.loads((home.folder / "mappings" / "samples" / name).read_text())
    mapping_set = check_files(settings).mapping_set
    result = redacted(payload, system=system, mapping_set=mapping_set, received_at=datetime.now(UTC))
    assert result.changed == ()
    assert shape(result.payload) == shape(payload)
    texts = {text for text in leaves(result.payload) if isinstance(text, str)}
    assert not texts & PERSONAL
    assert not any("example.com/rest" in text or "servicenow.example.com" in text for text in texts)


def test_the_same_text_becomes_the_same_replacement(home):
    payload = json.loads((home.folder / "mappings" / "samples" / "jira-approved.json").read_text())
    payload["issue"]["fields"]["assignee"] = payload["issue"]["fields"]["reporter"]
    payload["issue"]["fields"]["customfield_10090"] = "call Ada Example"
    payload["issue"]["fields"]["customfield_10091"] = "Ada Example"
    payload["issue"]["fields"]["customfield_10092"] = 49301234567
    settings = home.settings
    result = redacted(
        payload,
        system=connect(settings).sources[SourceName("jira")].system,
        mapping_set=check_files(settings).mapping_set,
        received_at=datetime.now(UTC),
    )
    fields = result.payload["issue"]["fields"]
    assert fields["assignee"] == fields["reporter"]
    assert fields["customfield_10091"] == fields["reporter"]["displayName"]
    assert "Ada" not in fields["customfield_10090"]
    assert fields["customfield_10092"] != 49301234567


def test_a_delivery_that_does_not_exist_says_where_to_look(home):
    home.migrate()
    assert (
        "there is no delivery dnone (see `bridge deliveries`)" in home.run("sample", "dnone", code=1).stderr
    )


def shape(value):
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return type(value)


def leaves(value):
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in leaves(one)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one)]
    return [value]
