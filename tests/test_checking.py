"""Checking a folder as a whole: its tests, its samples, and what should be looked at."""

# ruff: noqa: E501, ISC004 - each row of the tables is one message, whole, so that it can be searched for
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge import mapping_files
from bridge.checking import CheckResult, check
from bridge.mapping import reference
from bridge.mapping.reading import LoadContext
from bridge.models import Delivery, Ignored, Json, PortalName, SourceKind, SourceName, TicketEvent
from bridge.ticketing.jira import webhook as jira
from bridge.ticketing.jira.config import JiraConfig
from bridge.ticketing.proofs import TokenProof
from bridge.ticketing.servicenow import webhook as servicenow
from bridge.ticketing.servicenow.config import ServiceNowConfig

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "mappings"
PROOF = TokenProof(secrets=("0123456789abcdef0123456789abcdef",))
JIRA = JiraConfig(source=SourceName("jira"), base_url="https://jira.example.com", proof=PROOF)
SERVICENOW = ServiceNowConfig(
    source=SourceName("servicenow"), base_url="https://servicenow.example.com", proof=PROOF, username="bridge"
)
CONTEXT = LoadContext(
    sources={JIRA.source: SourceKind.JIRA, SERVICENOW.source: SourceKind.SERVICENOW},
    portals=(PortalName("main"),),
    max_devices=50,
)
Write = Callable[..., CheckResult]


def parse(source: SourceName, payload: Json) -> TicketEvent | Ignored:
    """Read a sample with the real dialects."""
    delivery = Delivery(
        source=source,
        key="sample",
        digest="",
        timed=False,
        payload=payload,
        received_at=datetime(2026, 5, 1, tzinfo=UTC),
    )
    if source == JIRA.source:
        return jira.parse_event(JIRA, delivery)
    return servicenow.parse_event(SERVICENOW, delivery)


def checked(directory: Path) -> CheckResult:
    return check(mapping_files.read(directory, directory / "actions.yaml"), CONTEXT, parse)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the shipped catalogue and samples, and no mappings."""
    directory = tmp_path / "mappings"
    shutil.copytree(SHIPPED / "samples", directory / "samples")
    shutil.copy(SHIPPED / "actions.yaml", directory)
    return directory


MAPPING = """version: 1
mappings:
  - id: repair
    source: jira
    events: [updated]
    when:
      - field: change.status.to
        equals: Approved
    action: repair-office
    devices:
      from: 'fields.customfield_10088[].label'
    mode: live
tests:
  - name: it runs
    source: jira
    payload: samples/jira-approved.json
    expect:
      - mapping: repair
        devices: [WS-ABC-12345]
        params: {Mode: silent}
  - name: it does not
    source: jira
    payload: samples/jira-in-progress.json
    expect: []
"""


def write(folder: Path, **files: str) -> CheckResult:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return checked(folder)


def warnings(result: CheckResult) -> list[str]:
    """Leave out the warning that everybody gets who owns both kinds of file."""
    return [warning for warning in result.warnings if "can write the catalogue" not in warning]


def test_the_shipped_mappings_pass_and_are_all_tested() -> None:
    result = checked(SHIPPED)
    assert result.problems == ()
    assert warnings(result) == []
    assert (result.tests_run, result.tests_failed) == (13, 0)
    assert result.mapping_set is not None
    assert {rule.mode.value for rule in result.mapping_set.mappings} == {"live", "shadow"}


def test_a_good_folder_has_neither_problem_nor_warning(folder: Path) -> None:
    result = write(folder, m=MAPPING)
    assert (result.problems, warnings(result), result.tests_run) == ((), [], 2)


def test_a_warning_says_that_an_approval_is_over_sooner_than_it_says(folder: Path) -> None:
    text = MAPPING.replace("    mode: live", "    limits: {max_age: 30m}\n    approval: {}\n    mode: live")
    result = write(folder, office=text)
    assert result.problems == ()
    assert warnings(result) == [
        "mappings/office.yaml:3:9: 'repair' can be approved for 24 h, but is too old to be sent after 30 min "
        "(raise 'max_age', or shorten 'expires')"
    ]
    assert warnings(write(folder, office=text.replace("approval: {}", "approval: {expires: 30m}"))) == []


def test_a_warning_says_that_what_starts_a_run_is_also_to_approve_it(folder: Path) -> None:
    text = MAPPING.replace(
        "    mode: live", "    approval: {field: status, becomes: Approved}\n    mode: live"
    )
    (warning,) = warnings(write(folder, office=text))
    assert "starts when status becomes 'Approved', and the same change is to approve it" in warning
    assert warnings(write(folder, office=text.replace("becomes: Approved", "becomes: Go ahead"))) == []


def test_a_warning_says_that_a_source_names_no_logins(folder: Path) -> None:
    by_user = MAPPING.replace(
        "from: 'fields.customfield_10088[].label'", "{from: ticket.person.login, by: user}"
    )
    (folder / "office.yaml").write_text(
        by_user.replace("devices:\n      {", "devices: {").partition("tests:")[0]
    )
    files = mapping_files.read(folder, folder / "actions.yaml")
    cloud = check(files, replace(CONTEXT, without_login=frozenset({JIRA.source})), parse)
    said = "'repair' asks for the login of the ticket's person, which Jira Cloud does not tell"
    assert [said in warning for warning in warnings(cloud)].count(True) == 1
    assert not any(said in warning for warning in checked(folder).warnings)


@pytest.mark.parametrize("needed", [True, False])
def test_a_test_may_say_whether_approval_is_needed(folder: Path, *, needed: bool) -> None:
    above = 0 if needed else 1
    text = MAPPING.replace("    mode: live", f"    approval: {{above: {above}}}\n    mode: live")
    expected = text.replace("params: {Mode: silent}", f"approval: {str(needed).lower()}")
    assert write(folder, office=expected).problems == ()
    (problem,) = write(
        folder,
        office=expected.replace(f"approval: {str(needed).lower()}", f"approval: {str(not needed).lower()}"),
    ).problems
    assert "the opposite is expected" in problem


@pytest.mark.parametrize(
    ("good", "bad", "problem"),
    [
        (
            "devices: [WS-ABC-12345]",
            "devices: [WS-ABC-1]",
            "18:18: test 'it runs' failed: devices are ['WS-ABC-12345'], expected ['WS-ABC-1']",
        ),
        (
            "{Mode: silent}",
            "{Mode: force}",
            "18:18: test 'it runs' failed: params are {'Mode': 'silent'}, expected {'Mode': 'force'}",
        ),
        (
            "devices: [WS-ABC-12345]",
            "problem: no_device",
            "18:18: test 'it runs' failed: the action would run, but 'no_device' is expected",
        ),
        (
            "jira-in-progress",
            "jira-approved",
            "21:11: test 'it does not' failed: 'repair' fired and is not expected (add it, or tighten its 'when')",
        ),
        (
            "samples/jira-approved.json",
            "samples/jira-in-progress.json",
            "18:18: test 'it runs' failed: 'repair' did not fire: "
            "change.status.to is 'In progress', the mapping wants 'Approved'",
        ),
        (
            "samples/jira-approved.json",
            "samples/jira-approved-vip.json",
            "18:18: test 'it runs' failed: nothing can be planned: 'WS-VIP-00001' is refused: "
            "the action is never for devices that match WS-VIP-.* (device_refused)",
        ),
        (
            "samples/jira-approved.json",
            "samples/absent.json",
            "16:14: 'samples/absent.json': cannot be read: No such file or directory "
            "(check its name and permissions)",
        ),
        (
            "samples/jira-approved.json",
            "../outside.json",
            "16:14: '../outside.json' is outside the folder of the mappings (move it there)",
        ),
        (
            "samples/jira-approved.json",
            "samples/round.json",
            "16:14: 'samples/round.json' leads to no file (correct it)",
        ),
        (
            "samples/jira-approved.json",
            "samples/broken.json",
            "16:14: 'samples/broken.json' is not JSON: Expecting value: line 1 column 1 (char 0) (correct it)",
        ),
        (
            "samples/jira-approved.json",
            "samples/no-ticket.json",
            "16:14: 'samples/no-ticket.json' would be refused: the body names no issue by id and key "
            "(correct the sample)",
        ),
        (
            "samples/jira-approved.json",
            "samples/ignored.json",
            "18:18: test 'it runs' failed: 'repair' did not fire: the sample is ignored, jira:issue_deleted",
        ),
        (
            "      - field: change.status.to",
            "      - field: fields.customfeld\n        equals: x\n      - field: change.status.to",
            "3:9: 'fields.customfeld' occurs in no sample of live mapping 'repair' "
            "(correct the path, or add a test whose sample has it)",
        ),
        (
            "        params: {Mode: silent}",
            "        approval: true",
            "18:18: test 'it runs' failed: it needs no approval, the opposite is expected",
        ),
        (
            "        params: {Mode: silent}\n",
            "        problem: not_their_device\n",
            "18:18: test 'it runs' failed: the action would run, but 'not_their_device' is expected",
        ),
    ],
)
def test_a_check_names_what_is_wrong_and_where(folder: Path, good: str, bad: str, problem: str) -> None:
    (folder.parent / "outside.json").write_text("{}")
    (folder / "samples" / "round.json").symlink_to("round.json")
    (folder / "samples" / "broken.json").write_text("nothing")
    (folder / "samples" / "no-ticket.json").write_text("{}")
    (folder / "samples" / "ignored.json").write_text('{"webhookEvent": "jira:issue_deleted"}')
    result = write(folder, m=MAPPING.replace(good, bad))
    assert f"mappings/m.yaml:{problem}" in result.problems
    assert result.tests_failed == (0 if "limits" in bad else 1)


def test_a_sample_whose_path_no_file_can_have_is_a_problem_at_its_place(folder: Path) -> None:
    result = write(folder, m=MAPPING.replace("samples/jira-approved.json", '"samples/\\0"'))
    assert result.problems == ("mappings/m.yaml:16:14: a NUL character (remove it)",)


def test_a_field_that_is_null_in_a_sample_occurs(folder: Path) -> None:
    text = MAPPING.replace(
        "    action:", "      - not: {field: fields.assignee, equals: x}\n    action:"
    ).replace(
        "    expect:\n      - mapping: repair\n        devices: [WS-ABC-12345]\n        params: {Mode: silent}\n",
        "    expect: []\n",
    )
    assert write(folder, m=text).problems == ()


def test_a_live_mapping_wants_a_test_that_runs_and_one_that_does_not(folder: Path) -> None:
    untested = MAPPING[: MAPPING.index("tests:")].replace(
        "'fields.customfield_10088[].label'", "ticket.summary"
    )
    assert warnings(write(folder, m=untested)) == [
        "mappings/m.yaml:3:9: live mapping 'repair' has no test in which it runs (add one)",
        "mappings/m.yaml:3:9: live mapping 'repair' has no test in which it does not run (add one)",
    ]
    assert warnings(write(folder, m=untested.replace("mode: live", "mode: shadow"))) == []


@pytest.mark.parametrize(
    ("change", "overlap"),
    [
        (("equals: Approved", "in: [Approved, Done]"), True),
        (("equals: Approved", "equals: Done"), False),
        (("[updated]", "[created]"), False),
        (("repair-office", "clear-teams-cache"), False),
    ],
)
def test_mappings_that_overlap_are_named(folder: Path, change: tuple[str, str], *, overlap: bool) -> None:
    other = MAPPING[: MAPPING.index("tests:")].replace("id: repair", "id: other").replace(*change)
    other = other.replace("mode: live", "mode: shadow")
    found = [warning for warning in warnings(write(folder, m=MAPPING, o=other)) if "can both run" in warning]
    expected = (
        "mappings/o.yaml:3:9: mappings 'repair' and 'other' can both run 'repair-office' for one ticket "
        "(make a condition tell them apart)"
    )
    assert found == ([expected] if overlap else [])


def test_a_conflict_that_a_sample_shows_is_a_problem(folder: Path) -> None:
    other = MAPPING[: MAPPING.index("tests:")].replace("id: repair", "id: other").replace("live", "announce")
    result = write(folder, m=MAPPING, o=other)
    assert any(
        "'other' and 'repair' send 'repair-office' to the same device" in one for one in result.problems
    )


def test_files_that_cannot_be_loaded_give_no_set(folder: Path) -> None:
    result = write(folder, m="version: 3\n")
    assert result.mapping_set is None
    assert (len(result.problems), result.tests_run) == (1, 0)


def yaml_blocks() -> list[Any]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    blocks = [
        (page, block)
        for page in pages
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    ]
    # A file of people has a version too; it is held to its schema where people are tested.
    ours = [
        (page, block)
        for page, block in blocks
        if re.search(r"^version: 1$", block, re.MULTILINE)
        and not re.search(r"^people:$", block, re.MULTILINE)
    ]
    return [pytest.param(block, id=f"{page.name}-{number}") for number, (page, block) in enumerate(ours)]


@pytest.mark.parametrize("block", yaml_blocks())
def test_whatever_yaml_the_documentation_shows_is_accepted(folder: Path, block: str) -> None:
    name = "actions" if re.search(r"^actions:$", block, re.MULTILINE) else "shown"
    assert write(folder, **{name: block}).problems == ()


def test_the_reference_page_is_what_the_schemas_say() -> None:
    assert (ROOT / "docs" / "mapping-reference.md").read_text() == reference.markdown()


def test_every_shipped_sample_is_used(folder: Path) -> None:
    used = "".join(path.read_text() for path in SHIPPED.glob("*.yaml"))
    for sample in (SHIPPED / "samples").iterdir():
        json.loads(sample.read_text())
        assert f"samples/{sample.name}" in used
