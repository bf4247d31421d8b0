"""`doctor`: every part that can be tried is tried, what is broken is named with its way out, nothing runs."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from bridge.doctoring import findings
from bridge.models import HttpResponse
from bridge.sandbox.client import NexthinkControl, TicketControl


def found(home, code=0):
    return {(one["subject"], one["state"]): one for one in home.json("doctor", code=code)}


def test_everything_that_works_is_good_and_nothing_was_run(home, sandbox):
    home.migrate()
    seen = found(home)
    assert not any(state == "bad" for _, state in seen)
    for subject in (
        "settings",
        "open files",
        "ledger",
        "source jira",
        "source servicenow",
        "Engine engine-emea-1",
        "Engine engine-emea-2",
    ):
        assert (subject, "good") in seen, subject
    assert "not engine-us-1" in seen["portal main", "warning"]["detail"]
    assert NexthinkControl(url=sandbox.nexthink_url).calls()["calls"] == []


def test_people_read_what_to_fix_behind_an_arrow(home):
    result = home.run("doctor", code=1)
    assert "FIX    ledger: there is none at" in result.stdout
    assert "-> run `bridge migrate`" in result.stdout
    assert not (home.folder / "data").exists()


@pytest.mark.parametrize(
    ("changes", "subject", "way_out"),
    [
        (
            {"BRIDGE_SOURCES__JIRA__TOKEN": "canary-1b7e"},
            "source jira",
            "check the user name, password or token among BRIDGE_SOURCES__JIRA__…",
        ),
        (
            {"BRIDGE_SOURCES__SERVICENOW__PASSWORD": "canary-1b7e"},
            "source servicenow",
            "check the user name, password or token among BRIDGE_SOURCES__SERVICENOW__…",
        ),
        (
            {"BRIDGE_PORTALS__MAIN__PASSWORD": "canary-1b7e"},
            "portal main",
            "check the user name, password or token among BRIDGE_PORTALS__MAIN__…",
        ),
        (
            {"BRIDGE_PORTALS__MAIN__BASE_URL": "http://127.0.0.1:1"},
            "portal main",
            "check the address in BRIDGE_PORTALS__MAIN__BASE_URL",
        ),
        (
            {
                "BRIDGE_PORTALS__MAIN__NXQL_USERNAME": "svc.viewer",
                "BRIDGE_PORTALS__MAIN__NXQL_PASSWORD": "sandbox-nexthink-password-0002",
            },
            "Engine engine-emea-1",
            "BRIDGE_PORTALS__MAIN__",
        ),
        (
            {"BRIDGE_PORTALS__MAIN__ENGINE_HOSTS": "192.0.2.0/24"},
            "Engine engine-emea-2",
            "add it to BRIDGE_PORTALS__MAIN__ENGINE_HOSTS",
        ),
    ],
)
def test_what_is_broken_is_named_with_its_way_out(home, changes, subject, way_out):
    home.migrate()
    home.write_settings(**changes)
    result = home.run("doctor", "--json", code=1)
    broken = [one for one in json.loads(result.stdout) if one["state"] == "bad"]
    assert any(one["subject"] == subject and way_out in one["way_out"] for one in broken), broken
    assert "canary" not in result.output


def test_nobody_at_an_address_is_told_in_words(home):
    home.migrate()
    home.write_settings(
        BRIDGE_PORTALS__MAIN__BASE_URL="http://127.0.0.1:1",
        BRIDGE_SOURCES__JIRA__BASE_URL="http://127.0.0.1:1",
    )
    text = home.run("doctor", code=1).stdout
    assert "FIX    portal main: its Engines: connection refused at 127.0.0.1:1 (not_connected)" in text
    assert "FIX    source jira: no answer: connection refused at 127.0.0.1:1 (not_connected)" in text
    assert "Error" not in text


def test_what_cannot_be_tried_is_not_called_good(home):
    home.migrate()
    text = home.run("doctor").stdout
    assert "note   portal main: not tried: whether remote actions may be run" in text
    assert "note   source servicenow: not tried: whether our account may write" in text


def test_mapping_files_that_cannot_be_used_are_broken(home):
    home.migrate()
    file = home.folder / "mappings" / "jira-office-repair.yaml"
    file.write_text(file.read_text().replace("ticket.labels", "ticket.lables"))
    assert "did you mean 'ticket.labels'" in found(home, code=1)["mapping files", "bad"]["detail"]


def test_an_engine_that_the_catalogue_names_and_the_portal_lacks_is_broken(home):
    home.migrate()
    file = home.folder / "mappings" / "actions.yaml"
    file.write_text(
        file.read_text().replace(
            "    max_devices: 5\n", "    max_devices: 5\n    engines: [engine-nowhere]\n"
        )
    )
    finding = found(home, code=1)["portal main", "bad"]
    assert "action 'repair-office' names Engines that it does not have: engine-nowhere" in finding["detail"]
    assert finding["way_out"].startswith("correct mappings/actions.yaml:")


def test_a_paused_portal_is_shown_with_the_command_that_opens_it(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        ledger.hold()
    findings_of_portal = [one for one in home.json("doctor") if one["subject"] == "portal main"]
    assert any("bridge resume portal main" in (one["way_out"] or "") for one in findings_of_portal)


def test_a_database_that_is_away_does_not_end_the_examination(home):
    home.write_settings(BRIDGE_DATABASE_URL="postgresql://bridge:canary-1b7e@127.0.0.1:1/bridge")
    result = home.run("doctor", code=1)
    assert "FIX    ledger: cannot be used (OperationalError)" in result.stdout
    assert "-> see that it runs and lets this host in, or correct BRIDGE_DATABASE_URL" in result.stdout
    assert "good   Engine engine-emea-1: answers queries" in result.stdout
    assert "canary" not in result.output


def test_a_ledger_that_others_can_read_is_told_with_what_to_type(home):
    home.migrate()
    file = Path(home.settings.database_url.get_secret_value().removeprefix("sqlite:///"))
    assert "others on this host" not in home.run("doctor").stdout
    file.chmod(0o640)
    assert f"-> run `chmod 600 {file}`\n" in home.run("doctor").stdout
    file.parent.chmod(0o755)
    text = home.run("doctor").stdout
    assert f"look   ledger: others on this host can read {file} and {file.parent}" in text
    assert f"-> run `chmod 600 {file}` and `chmod 700 {file.parent}`" in text


def test_a_file_with_secrets_that_others_can_read_is_told_with_what_to_type(home):
    home.migrate()
    secret = home.folder / "portal password"
    secret.write_text(home.variables["BRIDGE_PORTALS__MAIN__PASSWORD"])
    home.write_settings(BRIDGE_PORTALS__MAIN__PASSWORD=None, BRIDGE_PORTALS__MAIN__PASSWORD_FILE=str(secret))
    secret.chmod(0o640)
    assert "others on this host" not in home.run("doctor").stdout
    secret.chmod(0o644)
    (home.folder / ".env").chmod(0o644)
    text = home.run("doctor").stdout
    assert "look   secrets: others on this host can read .env\n" in text
    assert "-> run `chmod o= .env`\n" in text
    assert f"-> run `chmod o= '{secret}'`\n" in text


@pytest.mark.parametrize(
    ("seconds", "words"), [(-90, "90 s ahead of theirs"), (90, "90 s behind theirs"), (30, None), (-30, None)]
)
def test_a_clock_that_is_a_minute_off_is_told(seconds, words):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    date = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
    response = HttpResponse(status=200, headers=(("date", date),))
    finding = findings.clock("source x", response, lambda: now)
    assert (finding is None) == (words is None)
    assert finding is None or words in finding.detail


@pytest.mark.parametrize(
    "headers", [(), (("date", "yesterday"),), (("date", "Mon, 01 Jan 2026 00:00:00 -0000"),)]
)
def test_an_answer_without_a_readable_date_says_nothing_of_clocks(headers):
    response = HttpResponse(status=200, headers=headers)
    assert findings.clock("source x", response, lambda: datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_a_portal_that_cannot_look_up_what_mappings_name_is_broken(home):
    home.migrate()
    home.write_settings(BRIDGE_PORTALS__MAIN__NXQL_URL="", BRIDGE_PORTALS__MAIN__ENGINE_HOSTS="")
    finding = found(home, code=1)["portal main", "bad"]
    assert "these mappings need it: " in finding["detail"]
    assert "office-repair-when-approved" in finding["detail"]
    assert "set BRIDGE_PORTALS__MAIN__NXQL_URL" in finding["way_out"]


def test_the_query_for_a_persons_devices_is_tried_where_an_action_is_bound_to_them(home):
    home.migrate()
    tried = [one for one in home.json("doctor") if "a person's devices" in one["detail"]]
    assert {(one["subject"], one["state"]) for one in tried} == {
        ("Engine engine-emea-1", "good"),
        ("Engine engine-emea-2", "good"),
    }
    query = '(select (device_uid) (from device (where device (eq owner (string "{user}")))) (limit 100))'
    home.write_settings(BRIDGE_PORTALS__MAIN__NXQL_USER_QUERY=query)
    broken = found(home, code=1)["Engine engine-emea-1", "bad"]
    assert "its query for a person's devices: HTTP 400" in broken["detail"]
    assert "BRIDGE_PORTALS__MAIN__NXQL_USER_QUERY" in broken["way_out"]


def test_the_number_of_live_mappings_is_told(home):
    home.migrate()
    file = home.folder / "mappings" / "jira-office-repair.yaml"
    file.write_text(file.read_text().replace("mode: live", "mode: shadow"))
    findings_of_files = [one["detail"] for one in home.json("doctor") if one["subject"] == "mapping files"]
    assert "5 mappings (3 live)" in findings_of_files[0]


def test_what_waits_for_a_person_and_a_missing_worker_are_told(home):
    home.migrate()
    seen = found(home)
    assert seen["workers", "warning"]["way_out"] == "run `bridge worker`"
    assert ("runs", "good") in seen
    assert ("comments", "good") in seen
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        ledger.lose_answer()
    seen = found(home)
    assert seen["runs", "warning"]["detail"] == "1 unknown"
    assert "bridge runs --state unknown" in seen["runs", "warning"]["way_out"]
    assert ("workers", "good") in seen


# ── after an outcome ─────────────────────────────────────────────────────────────────────────────────────


def write_after(home, name, after):
    """Have a shipped mapping change its tickets after an outcome."""
    file = home.folder / "mappings" / name
    file.write_text(file.read_text().replace("    mode: live\n", f"    mode: live\n    after: {after}\n", 1))


def said(home, subject, code=0):
    return [
        (one["state"], one["detail"], one["way_out"])
        for one in home.json("doctor", code=code)
        if one["subject"] == subject
    ]


def test_what_mappings_change_after_an_outcome_is_looked_for_in_jira(home):
    home.migrate()
    good = "{answered: {state: done, label: bridge}, unknown: {assign_to: '712020:bo'}}"
    write_after(home, "jira-office-repair.yaml", good)
    details = [detail for _, detail, _ in said(home, "source jira")]
    assert (
        "what mappings change after an outcome exists: state 'done', label 'bridge', assign_to '712020:bo'"
        in details
    )
    assert any("ASSIGN_ISSUES, EDIT_ISSUES, TRANSITION_ISSUES" in detail for detail in details)
    assert any("not tried: whether a ticket takes it" in detail for detail in details)


def test_a_status_or_a_person_that_jira_does_not_have_is_broken_with_its_mapping(home):
    home.migrate()
    write_after(
        home, "jira-office-repair.yaml", "{answered: {state: Gone}, unknown: {assign_to: '712020:x'}}"
    )
    broken = [(detail, way) for state, detail, way in said(home, "source jira", code=1) if state == "bad"]
    assert [detail for detail, _ in broken] == [
        "state 'Gone' after an outcome: no status of this name is shown to our account",
        "assign_to '712020:x' after an outcome: no person of this id is shown to our account",
    ]
    assert all("office-repair-when-approved (" in way for _, way in broken)


def test_what_mappings_change_after_an_outcome_is_looked_for_in_servicenow(home):
    home.migrate()
    write_after(
        home,
        "servicenow-incident.yaml",
        "{refused: {state: On Hold, assign_group: Endpoint on call}, unknown: {assign_to: Bo Agent}}",
    )
    details = [detail for _, detail, _ in said(home, "source servicenow")]
    assert (
        "what mappings change after an outcome exists: state 'On Hold', assign_group 'Endpoint on call', "
        "assign_to 'Bo Agent'" in details
    )


def test_a_state_or_a_group_that_servicenow_does_not_have_is_broken(home):
    home.migrate()
    write_after(home, "servicenow-incident.yaml", "{refused: {state: Paused, assign_group: Nobody's group}}")
    broken = [detail for state, detail, _ in said(home, "source servicenow", code=1) if state == "bad"]
    assert len(broken) == 2
    assert "has a state of this name" in broken[0]
    assert "sys_user_group shows our account nothing of this name" in broken[1]


def test_choices_that_our_account_may_not_read_are_called_unknown(home, sandbox):
    home.migrate()
    write_after(home, "servicenow-incident.yaml", "{refused: {state: On Hold}}")
    TicketControl(url=sandbox.servicenow_url).behave(hidden_tables=["sys_choice"])
    notes = [detail for state, detail, _ in said(home, "source servicenow") if state == "note"]
    assert any(detail.startswith("not known whether state 'On Hold'") for detail in notes)


def details(home, subject, state):
    return [one for one in home.json("doctor") if (one["subject"], one["state"]) == (subject, state)]


def test_a_history_that_shows_nothing_is_told_where_records_are_read(home, sandbox):
    home.migrate()
    home.write_settings(
        BRIDGE_SOURCES__SERVICENOW__TRUST="doorbell", BRIDGE_SOURCES__SERVICENOW__HISTORY="sys_audit"
    )
    servicenow = TicketControl(url=sandbox.servicenow_url)
    servicenow.reset()
    (finding,) = [
        one for one in details(home, "source servicenow", "warning") if "sys_audit" in one["detail"]
    ]
    assert "no mapping with a change. condition fires" in finding["detail"]
    assert finding["way_out"] == "give our account the right to read it"
    servicenow.call("PUT", "records", {"table": "incident", "columns": {"number": {"value": "INC0010001"}}})
    change = {"table": "incident", "number": "INC0010001", "columns": {"state": {"value": "2"}}}
    servicenow.call("POST", "changes", change)
    assert any("may read sys_audit" in one["detail"] for one in details(home, "source servicenow", "good"))


def test_reconciling_that_cannot_read_what_changed_is_told(home):
    home.migrate()
    jql = "BRIDGE_SOURCES__JIRA__RECONCILE_JQL"
    home.write_settings(**{"BRIDGE_SOURCES__JIRA__RECONCILE": "10m", jql: "project = SUP"})
    assert any("may read what changed" in one["detail"] for one in details(home, "source jira", "good"))
    home.write_settings(**{"BRIDGE_SOURCES__JIRA__RECONCILE": "10m", jql: "sprint = 1"})
    told = details(home, "source jira", "warning")
    (finding,) = [one for one in told if "what changed cannot be read" in one["detail"]]
    assert "'sprint = 1' is not understood" in finding["detail"]
    assert jql in finding["way_out"]


def test_groups_are_tried_where_an_approval_asks_for_one(home, sandbox):
    home.migrate()
    file = home.folder / "mappings" / "jira-office-repair.yaml"
    rule = "    approval: {field: status, becomes: Approved, by_group: approvers}\n    mode: live"
    file.write_text(file.read_text().replace("    mode: live", rule, 1))
    assert any("may read the groups" in one["detail"] for one in details(home, "source jira", "good"))
    TicketControl(url=sandbox.jira_url).fault("status", status=403, path="*/user/groups")
    told = details(home, "source jira", "warning")
    (finding,) = [one for one in told if "groups cannot be read" in one["detail"]]
    assert "no approval with by_group counts" in finding["detail"]
