"""`check` and `schema`: what is told about files, to whom, and with which exit code."""

import json
import re

import jsonschema
import pytest

from bridge.mapping import schemas


@pytest.fixture
def without_settings(home):
    (home.folder / ".env").unlink()
    return home


def test_shipped_mappings_pass(home):
    result = home.run("check")
    assert result.stdout.splitlines()[-1].endswith("5 mappings (4 live), 13 of 13 tests passed")
    assert result.stderr == ""


def test_without_settings_the_usual_names_are_assumed_and_that_is_said(without_settings):
    result = without_settings.run("check")
    assert "assumed: jira (jira), servicenow (servicenow)" in result.stderr
    assert "assumed: main" in result.stderr


def test_every_problem_names_its_place_and_the_way_out(home):
    file = home.folder / "mappings" / "jira-office-repair.yaml"
    text = file.read_text().replace("ticket.labels", "ticket.lables").replace("if_several", "if_severel")
    file.write_text(text)
    result = home.run("check", code=1)
    problems = result.stdout.splitlines()[:-1]
    line = 1 + next(n for n, one in enumerate(text.splitlines()) if "ticket.lables" in one)
    assert any(
        one.startswith(f"mappings/jira-office-repair.yaml:{line}:") and "did you mean 'ticket.labels'" in one
        for one in problems
    )
    assert "the files could not be read" in result.stdout.splitlines()[-1]


def test_a_test_that_fails_fails_the_check(home):
    file = home.folder / "mappings" / "jira-office-repair.yaml"
    file.write_text(file.read_text().replace("devices: [WS-ABC-12345]", "devices: [WS-ABC-99999]"))
    found = home.json("check", code=1)
    assert found["tests"] == {"run": 13, "failed": 1}
    assert "devices are ['WS-ABC-12345'], expected ['WS-ABC-99999']" in found["problems"][0]


def test_programs_get_the_same_as_people(home):
    found = home.json("check")
    assert found["problems"] == []
    assert found["tests"] == {"run": 13, "failed": 0}
    assert len(found["mappings"]) == 5
    assert re.fullmatch("[0-9a-f]{64}", found["mapping_set"])


def test_a_folder_that_does_not_exist_is_a_problem(home):
    result = home.run("check", "nowhere", code=1)
    assert "there is no such folder" in result.stdout


def test_with_sources_and_portals_named_no_settings_are_read(home):
    home.write_settings(BRIDGE_NOT_A_SETTING="1")
    home.run("check", code=1)
    named = ("--source", "jira=jira", "--source", "servicenow=servicenow", "--portal", "main")
    assert "13 of 13" in home.run("check", *named).stdout


def test_with_sources_and_portals_named_the_folder_is_still_that_of_the_settings(home):
    (home.folder / "mappings").rename(home.folder / "rules")
    home.write_settings(BRIDGE_MAPPINGS="rules", BRIDGE_NOT_A_SETTING="1")
    named = ("--portal", "main", "--source", "jira=jira")
    assert "13 of 13" in home.run("check", *named, "--source", "servicenow=servicenow").stdout
    payload = "rules/samples/jira-approved.json"
    for file in (home.folder / "rules").glob("servicenow-*.yaml"):
        file.unlink()
    assert "fires" in home.run("explain", payload, *named).stdout
    (home.folder / ".env").write_text("no assignment")
    assert ".env:1: cannot be read" in home.run("explain", payload, *named, code=1).stderr
    assert "fires" in home.run("explain", payload, "rules", *named).stdout


def test_named_sources_are_the_only_ones(home):
    result = home.run("check", "--source", "helpdesk=jira", "--portal", "main", code=1)
    assert "unknown source 'jira'" in result.stdout


@pytest.mark.parametrize("source", ["jira", "jira=", "jira=confluence", "=jira"])
def test_a_source_that_cannot_be_read_is_wrong(home, source):
    assert "--source" in home.run("check", "--source", source, "--portal", "main", code=2).stderr


def test_a_schema_is_printed_whole_and_is_one(home):
    for which in ("actions", "mappings"):
        schema = json.loads(home.run("schema", which).stdout)
        jsonschema.Draft202012Validator.check_schema(schema)
    assert home.run("schema").stdout == schemas.text(schemas.MAPPINGS)


def test_both_schemas_are_written_beside_the_files(home):
    result = home.run("schema", "--write", "mappings")
    for name in (schemas.ACTIONS, schemas.MAPPINGS):
        assert (home.folder / "mappings" / name).read_text() == schemas.text(name)
        assert f"# yaml-language-server: $schema={name}" in result.stdout
    home.run("check")
    assert home.run("schema", "--write", "nowhere", code=2).stderr
