"""`explain`: every mapping, every value seen, and the request as it would leave."""

import json

import pytest

from bridge.sandbox import credentials as known
from bridge.sandbox.client import NexthinkControl

JIRA = ("explain", "mappings/samples/jira-approved.json", "--source", "jira")


def test_every_mapping_is_shown_what_fires_first_then_the_nearest_misses(home):
    found = home.json(*JIRA)
    assert [one["decision"]["outcome"] for one in found] == ["fired", "missed", "missed", "missed", "missed"]
    missing = [sum(trace["held"] is not True for trace in one["decision"]["trace"]) for one in found]
    assert missing == sorted(missing)
    assert len({one["decision"]["mapping"] for one in found}) == 5


def test_every_condition_is_shown_with_the_value_that_it_saw(home):
    text = home.run(*JIRA).stdout
    assert "yes change.status.to is 'Approved', the mapping wants 'Approved'" in text
    assert "no  the ticket was updated, the mapping wants created" in text
    assert " ?  change.state.to is missing, the mapping wants 'In Progress'" in text


def test_the_request_is_the_one_that_would_leave_with_its_password_masked(home, sandbox):
    (request,) = home.json(*JIRA)[0]["requests"]
    assert request["method"] == "POST"
    assert request["url"] == f"{sandbox.nexthink_url}/api/remoteaction/v2/run"
    assert ["Authorization", "Basic ********"] in request["headers"]
    assert request["body"] == {
        "requestUid": "<run>-1-1",
        "remoteActionUid": "07844969-1889-4de3-9026-020af94be855",
        "deviceUids": ["<UID of WS-ABC-12345>"],
        "engineDatabaseUids": ["<UIDs of the Engines that know the device>"],
        "timeoutSeconds": 60,
        "params": {"Mode": "prompt", "Asked by": "Ada Example"},
    }
    people = home.run(*JIRA).stdout
    assert "Authorization: Basic ********" in people
    encoded = known.basic(known.NEXTHINK_USERNAME, known.NEXTHINK_PASSWORD).removeprefix("Basic ")
    assert encoded not in people


def test_every_bound_is_named_with_whose_it_is_and_which_is_the_tightest(home):
    catalogue = home.folder / "mappings" / "actions.yaml"
    catalogue.write_text(
        catalogue.read_text().replace(
            "    max_devices: 5\n", "    max_devices: 5\n    limits: {per_hour: 50, cooldown: 1h}\n"
        )
    )
    file = home.folder / "mappings" / "jira-office-repair.yaml"
    file.write_text(
        file.read_text().replace(
            "      max_age: 30m\n",
            "      max_age: 30m\n      per_hour: 20\n      cooldown: 90s\n"
            "    approval: {above: 2, system: true, by_group: Leads, expires: 20m}\n"
            "    send_again: {times: 2, wait: 10m}\n    after: {unknown: {label: look, state: Escalated}}\n",
        )
    )
    lines = [text.strip() for text in home.run(*JIRA).stdout.splitlines()]
    begins = lines.index("at most     3 devices (set for this mapping)")
    assert lines[begins : begins + 13] == [
        "at most     3 devices (set for this mapping)",
        "age         sent within 30 min of the change (set for this mapping)",
        "limit       100 runs an hour for the whole bridge",
        "limit       50 runs an hour for this action",
        "limit       one run on a device within 1 h (set for this action), the tightest of its kind",
        "limit       20 runs an hour for this mapping, the tightest of its kind",
        "limit       one run on a device within 90 s (set for this mapping)",
        "approval    needed on more than 2 devices, so not for this one",
        "approval    given by the ticket's own approvals or bridge approve, within 20 min",
        "approval    never by person, actor, only by the group Leads",
        "again       up to 2 times, 10 min after an answer",
        "after       unknown: state Escalated, label look",
        "told        internal",
    ]
    tightest = home.json(*JIRA)[0]["tightest"]
    assert [(one["kind"], one["layer"], one["most"]) for one in tightest] == [
        ("per_hour", "mapping", 20),
        ("cooldown", "action", 1),
    ]


def test_by_user_the_request_names_whose_devices_stand_in_it(home):
    catalogue = home.folder / "mappings" / "actions.yaml"
    catalogue.write_text(
        catalogue.read_text().replace("max_devices: 5\n", "max_devices: 5\n    approval: {above: 1}\n")
    )
    file = home.folder / "mappings" / "servicenow-incident.yaml"
    file.write_text(
        file.read_text().replace(
            "from: ticket.affected_item", "from: ticket.person.login\n      by: user\n      domain: CORP"
        )
    )
    path = home.folder / "mappings" / "samples" / "servicenow-incident.json"
    sample = json.loads(path.read_text())
    login = home.json("explain", str(path), "--source", "servicenow")[0]["decision"]["result"]["devices"][0]
    assert login in json.dumps(sample)
    text = home.run("explain", str(path), "--source", "servicenow").stdout
    assert f"only devices that {login}@CORP has used within 7 days" in text
    assert "how many this person has is not known yet" in text
    assert f"<UIDs of the devices of {login}>" in text


def test_nobody_approves_by_a_field_of_a_source_whose_history_is_not_read(home):
    file = home.folder / "mappings" / "servicenow-incident.yaml"
    approval = "    approval: {field: state, becomes: Authorized}\n    mode: live"
    file.write_text(file.read_text().replace("    mode: live", approval))
    assert "who changed 'state' cannot be read" in home.run("check", code=1).output
    home.write_settings(BRIDGE_SOURCES__SERVICENOW__HISTORY="sys_audit")
    assert "who changed" not in home.run("check").output


def test_looking_up_reads_the_uids_and_runs_nothing(home, sandbox):
    (request,) = home.json(*JIRA, "--look-up")[0]["requests"]
    control = NexthinkControl(url=sandbox.nexthink_url)
    world = control.world()
    uid = next(device["uid"] for device in world["devices"] if device["name"] == "WS-ABC-12345")
    engine = next(engine["uid"] for engine in world["engines"] if engine["name"] == "engine-emea-1")
    assert request["body"]["deviceUids"] == [uid]
    assert request["body"]["engineDatabaseUids"] == [engine]
    assert control.calls()["calls"] == []


def test_a_device_that_nobody_knows_shows_why_nothing_would_be_sent(home):
    sample = home.folder / "mappings" / "samples" / "jira-approved.json"
    sample.write_text(sample.read_text().replace("WS-ABC-12345", "WS-ABC-99999"))
    assert (
        "would be refused: no Engine knows WS-ABC-99999 (device_not_found)"
        in home.run(*JIRA, "--look-up").stdout
    )


def test_an_action_that_cannot_be_planned_names_the_field(home):
    path = "mappings/samples/servicenow-request-item-unknown.json"
    text = home.run("explain", path, "--source", "servicenow").stdout
    assert text.startswith("software-for-request-item: fires, but no action can be planned (mode live)")
    assert "Package: the mapping has no 'Package' for the value 'Solitaire'" in text


def test_the_files_are_read_as_they_stand(home):
    file = home.folder / "mappings" / "jira-office-repair.yaml"
    file.write_text(file.read_text().replace("equals: Approved", "equals: Granted"))
    assert "no  change.status.to is 'Approved', the mapping wants 'Granted'" in home.run(*JIRA).stdout


def test_it_works_where_nothing_is_configured(home):
    (home.folder / ".env").unlink()
    result = home.run(*JIRA)
    assert "POST https://nexthink.example.com/api/remoteaction/v2/run" in result.stdout
    assert "assumed: main" in result.stderr


def test_a_source_of_a_kind_need_not_be_configured(home):
    text = (home.folder / "mappings" / "samples" / "jira-approved.json").read_text()
    for file in (home.folder / "mappings").glob("servicenow-*.yaml"):
        file.unlink()
    for file in (home.folder / "mappings").glob("jira-*.yaml"):
        file.write_text(file.read_text().replace("source: jira", "source: helpdesk"))
    result = home.run("explain", "-", "--source", "helpdesk=jira", given=text)
    assert result.stdout.startswith("office-repair-when-approved: fires")


def test_a_delivery_that_is_ignored_says_why(home):
    body = json.dumps({"webhookEvent": "jira:version_released"})
    result = home.run("explain", "-", "--source", "jira", given=body)
    assert result.stdout == "ignored: jira:version_released (unserved_kind)\n"
    assert home.run("explain", "-", "--source", "jira", "--json", given=body).exit_code == 0


@pytest.mark.parametrize(
    ("body", "why"),
    [("{}", "400: the body names no issue"), ('{"a": 1, "a": 2}', "400: the body is not valid JSON")],
)
def test_a_payload_that_the_bridge_refuses_is_a_problem(home, body, why):
    assert why in home.run("explain", "-", "--source", "jira", code=1, given=body).stderr


def test_an_unknown_source_is_told_the_known_ones(home):
    path = "mappings/samples/jira-approved.json"
    result = home.run("explain", path, "--source", "jura", code=1)
    assert "there is no source jura (known: jira, servicenow; or say jura=KIND)" in result.stderr


def test_only_a_configured_portal_can_be_asked(home):
    assert "--look-up" in home.run(*JIRA, "--look-up", "--portal", "main", code=2).stderr


@pytest.mark.parametrize("engines", ["[engine-emea-1]", "all"])
def test_without_queries_names_are_refused_whatever_the_engines(home, engines):
    home.write_settings(BRIDGE_PORTALS__MAIN__NXQL_URL=None)
    file = home.folder / "mappings" / "actions.yaml"
    file.write_text(file.read_text().replace("max_devices: 5\n", f"max_devices: 5\n    engines: {engines}\n"))
    assert "would be refused: device names cannot be looked up" in home.run(*JIRA).stdout


@pytest.mark.parametrize(
    ("engines", "sent"), [("[engine-emea-1]", ["<UID of engine-emea-1>"]), ("all", None)]
)
def test_the_request_names_engines_only_where_the_catalogue_does(home, engines, sent):
    file = home.folder / "mappings" / "actions.yaml"
    file.write_text(file.read_text().replace("max_devices: 5\n", f"max_devices: 5\n    engines: {engines}\n"))
    (request,) = home.json(*JIRA)[0]["requests"]
    assert request["body"].get("engineDatabaseUids") == sent
