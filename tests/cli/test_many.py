"""`--where`: the same act on many runs, counted before, each its own, told one by one."""

import pytest

from bridge.errors import Reason

WHY = ("--reason", "looked into Nexthink")


@pytest.fixture
def held(home):
    """Two runs that a limit holds, and one that is queued."""
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        first = ledger.hold(Reason.OVER_LIMIT, "per_hour")
        ledger.arrive("servicenow-incident.json", "servicenow")
        second = ledger.hold(Reason.OVER_LIMIT, "per_hour")
    return {first, second}


def states(home):
    return {run["id"]: run["state"] for run in home.json("runs")}


def test_a_dry_run_counts_runs_tickets_and_devices_and_changes_nothing(home, held):
    before = states(home)
    shown = home.run("cancel", "--where", "state=held", "--dry-run", *WHY).stdout
    assert shown == "2 run(s), 2 ticket(s), 1 device(s)\n" or shown.startswith("2 run(s), 2 ticket(s)")
    assert states(home) == before


def test_each_run_is_told_and_one_that_is_in_the_way_stops_no_other(home, held):
    home.migrate()
    home.run("pause", "source", "jira", *WHY)
    result = home.run("release", "--where", "reason=over_limit", "--yes", *WHY, code=1)
    assert "done: 1, not done: 1" in result.stdout
    assert "still paused (`bridge resume source jira --reason TEXT`" in result.stdout
    assert sorted(states(home).values()) == ["held", "queued"]


def test_runs_are_chosen_by_what_they_have_in_common(home, held):
    for where, count in (
        ("state=held", 2),
        ("state=held,mapping=office-repair-when-approved", 1),
        ("source=servicenow", 1),
        ("ticket=sup-101", 1),
        ("action=repair-office,portal=main", 2),
        ("state=unknown", 0),
        ("since=2h", 2),
        ("since=2099-01-01", 0),
    ):
        shown = home.run("cancel", "--where", where, "--dry-run", *WHY).stdout
        assert shown.startswith(f"{count} run(s)"), where


def test_nobody_is_asked_where_nobody_can_answer_so_yes_is_needed(home, held):
    assert "--yes" in home.run("cancel", "--where", "state=held", *WHY, code=2).stderr
    home.run("cancel", "--where", "state=held", "--yes", *WHY)
    assert set(states(home).values()) == {"cancelled"}
    replayed = home.run("replay", "--where", "state=cancelled", "--yes", *WHY).stdout
    assert replayed.count("replayed as r") == 2
    assert sorted(states(home).values()) == ["cancelled", "cancelled", "queued", "queued"]


def test_unknown_runs_are_resolved_together(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        run = ledger.lose_answer()
    where = ("--where", "state=unknown,since=1h", "--yes")
    home.run("resolve", *where, "--not-ran", "--send-again", "--attempt", "1", *WHY, code=2)
    assert f"{run}: refused" in home.run("resolve", *where, "--not-ran", *WHY).stdout


def test_what_it_cannot_be_done_to_is_not_counted_and_told(home, held):
    home.run("cancel", "--where", "source=jira", "--yes", *WHY)
    for command, counted, told in (
        (("cancel",), 1, "not counted, for this needs queued or held: 1 cancelled"),
        (("release",), 1, "not counted, for this needs held: 1 cancelled"),
        (("resolve", "--ran"), 0, "not counted, for this needs unknown: 1 cancelled, 1 held"),
        (("replay",), 1, "answered or refused or expired or cancelled or dead: 1 held"),
    ):
        shown = home.run(*command, "--where", "portal=main", "--dry-run", *WHY)
        assert shown.stdout.startswith(f"{counted} run(s)")
        assert told in shown.stderr
    assert "not done" not in home.run("cancel", "--where", "portal=main", "--yes", *WHY).stdout


def test_a_name_that_nothing_bears_is_told_with_the_nearest(home, held):
    home.put_in_force()
    for where, told in (
        (
            "mapping=office-repair-when-aproved",
            "there is no mapping 'office-repair-when-aproved' (did you mean",
        ),
        ("action=repair-ofice,portal=mian", "there is no portal 'mian' (did you mean 'main'?)"),
        ("source=jirra", "there is no source 'jirra' (did you mean 'jira'?)"),
    ):
        shown = home.run("cancel", "--where", where, "--dry-run", *WHY)
        assert shown.stdout.startswith("0 run(s)")
        assert told in shown.stderr
    known = home.run("cancel", "--where", "mapping=teams-cache-when-chosen", "--dry-run", *WHY)
    assert "there is no" not in known.stderr


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("state", "NAME=VALUE"),
        ("stat=held", "did you mean 'state'"),
        ("state=hled", "did you mean 'held'"),
        ("state=held,state=queued", "stands twice"),
        ("since=yesterday", "since is 30m"),
    ],
)
def test_a_mistake_in_what_is_chosen_is_wrong_usage(home, where, told):
    home.migrate()
    assert told in home.run("cancel", "--where", where, "--dry-run", *WHY, code=2).stderr


@pytest.mark.parametrize(
    "arguments", [(), ("r1", "--where", "state=held"), ("r1", "--yes"), ("r1", "--dry-run")]
)
@pytest.mark.parametrize("command", ["cancel", "replay", "release"])
def test_a_run_or_a_choice_and_only_one_of_them(home, command, arguments):
    home.migrate()
    home.run(command, *arguments, *WHY, code=2)
