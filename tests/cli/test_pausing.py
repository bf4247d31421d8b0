"""`pause`, `resume`, `pauses`: what a person stops, with who and why, and how it is seen and lifted."""

import pytest

from bridge.errors import Reason

WHY = ("--reason", "wrong script")


@pytest.fixture
def ready(home):
    """A home with a mapping set in force, on its ledger."""
    home.migrate()
    home.put_in_force()
    return home


@pytest.mark.parametrize(
    ("scope", "value"),
    [
        ("source", "jira"),
        ("mapping", "office-repair-when-approved"),
        ("action", "repair-office"),
        ("portal", "main"),
        ("engine", "engine-emea-1"),
        ("devices", "WS-.*"),
    ],
)
def test_a_pause_is_listed_and_lifted(ready, scope, value):
    assert f"{scope} {value} is paused until it is resumed." in ready.run("pause", scope, value, *WHY).stdout
    (one,) = ready.json("pauses")
    assert (one["scope"], one["value"], one["detail"]) == (scope, value, "wrong script")
    assert one["author"]
    assert f"{scope} {value} is open again" in ready.run("resume", scope, value, *WHY).stdout
    assert ready.json("pauses") == []


def test_everything_is_paused_for_a_time(ready):
    assert "everything is paused until 20" in ready.run("pause", "everything", "--for", "2h", *WHY).stdout
    shown = ready.run("pauses").stdout
    assert "everything" in shown
    assert "by_operator: wrong script" in shown
    assert (
        "everything is paused already" in ready.run("pause", "everything", "--for", "1h", *WHY, code=1).stderr
    )


@pytest.mark.parametrize(
    ("scope", "value", "lasting", "told"),
    [
        ("mapping", "office-repair-when-approved", "30m", "of office-repair-when-approved after 30 min."),
        ("mapping", "office-repair-when-approved", "29m", None),
        # A mapping that only records has nothing that could wait.
        ("mapping", "teams-cache-of-the-caller", "7d", None),
        ("action", "repair-office", "2h", "of office-repair-when-approved after 30 min."),
        ("source", "servicenow", "3h", None),
        ("source", "servicenow", "4h", "of software-for-request-item after 4 h."),
        (
            "portal",
            "main",
            "4h",
            "of office-repair-when-approved after 30 min, of 1 other mapping no sooner.",
        ),
        (
            "devices",
            "WS-.*",
            "7d",
            "of office-repair-when-approved after 30 min, of 3 other mappings no sooner.",
        ),
        (
            "everything",
            "",
            None,
            "of office-repair-when-approved after 30 min, of 3 other mappings no sooner.",
        ),
    ],
)
def test_a_pause_says_what_becomes_too_old_while_it_lasts(ready, scope, value, lasting, told):
    ending = ("--for", lasting) if lasting else ()
    shown = ready.run("pause", scope, *([value] if value else []), *ending, *WHY).stdout
    if told is None:
        assert "too old" not in shown
    else:
        assert f"What waits meanwhile expires when it is too old: {told}" in shown


@pytest.mark.parametrize(
    ("scope", "value", "nearest"),
    [
        ("mapping", "office-repair-when-aproved", "office-repair-when-approved"),
        ("action", "repair-ofice", "repair-office"),
        ("source", "servicenov", "servicenow"),
        ("portal", "mian", "main"),
    ],
)
def test_a_name_that_is_not_configured_is_told_with_the_nearest(ready, scope, value, nearest):
    for command in ("pause", "resume"):
        told = ready.run(command, scope, value, *WHY, code=1).stderr
        assert f"there is no {scope} '{value}' (did you mean '{nearest}'?)" in told
    assert ready.json("pauses") == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("everything",),
        ("everythin", *WHY),
        ("everything", "--for", "soon", *WHY),
        ("everything", "--for", "366d", *WHY),
        ("everything", "--for", "999999999d", *WHY),
        ("everything", "--reason", " "),
    ],
)
def test_a_pause_that_is_not_whole_is_wrong_usage(ready, arguments):
    ready.run("pause", *arguments, code=2)
    assert ready.json("pauses") == []


def test_resuming_queues_what_the_pause_held(ready):
    ready.run("pause", "action", "repair-office", *WHY)
    with ready.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        run = ledger.hold(Reason.PAUSED, "action repair-office")
    refused = ready.run("release", run, *WHY, code=1).stderr
    assert "waits for action repair-office, which is still paused" in refused
    assert "runs queued: 1" in ready.run("resume", "action", "repair-office", *WHY).stdout
    assert ready.json("runs", "show", run)["run"]["state"] == "queued"
    assert "is not paused (see `bridge pauses`)" in (
        ready.run("resume", "action", "repair-office", *WHY, code=1).stderr
    )


def test_the_case_of_engines_and_devices_does_not_matter_but_that_of_an_escape_does(ready):
    ready.run("pause", "devices", r"WS-\D+", *WHY)
    ready.run("pause", "engine", "Engine-EMEA-1", *WHY)
    assert "is not paused" in ready.run("resume", "devices", r"ws-\d+", *WHY, code=1).stderr
    ready.run("resume", "devices", r"ws-\D+", *WHY)
    ready.run("resume", "engine", "engine-emea-1", *WHY)
    assert ready.json("pauses") == []


def test_of_two_that_differ_in_case_alone_the_one_that_is_written_is_lifted(ready):
    for value in ("WS-.*", "ws-.*"):
        ready.run("pause", "devices", value, *WHY)
    assert "is not paused" in ready.run("resume", "devices", "Ws-.*", *WHY, code=1).stderr
    ready.run("resume", "devices", "ws-.*", *WHY)
    assert [one["value"] for one in ready.json("pauses")] == ["WS-.*"]


def test_a_mapping_that_cannot_be_looked_up_is_paused_with_a_note(home):
    home.migrate()
    assert "nobody knows whether 'office' exists" in home.run("pause", "mapping", "office", *WHY).stderr
    assert "nobody knows" not in home.run("pause", "portal", "main", *WHY).stderr


def test_a_pause_works_on_either_database(home, database_url):
    home.write_settings(BRIDGE_DATABASE_URL=database_url)
    home.migrate()
    home.run("pause", "portal", "main", "--for", "30m", *WHY)
    assert [one["scope"] for one in home.json("pauses")] == ["portal"]
    home.run("resume", "portal", "main", *WHY)
    assert home.json("pauses") == []
