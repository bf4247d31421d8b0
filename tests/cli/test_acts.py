"""`resolve`, `cancel`, `release`, `declare-restored`: what a person decides, with who and why."""

import getpass

import pytest

from bridge.errors import Reason
from bridge.models import EngineCode

WHY = ("--reason", "looked into Nexthink")


@pytest.fixture
def unknown(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        return ledger.lose_answer()


def state(home, run):
    return home.json("runs", "show", run)["run"]["state"]


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        (("--ran",), "answered"),
        (("--not-ran",), "refused"),
        (("--not-ran", "--send-again", "--attempt", "1"), "queued"),
    ],
)
def test_an_unknown_run_becomes_what_a_person_says_and_the_ticket_is_told(home, unknown, answer, after):
    assert f"run {unknown} is {after} now." in home.run("resolve", unknown, *answer, *WHY).stdout
    story = home.json("runs", "show", unknown)
    assert story["run"]["state"] == after
    assert story["history"][-1]["detail"] == "looked into Nexthink"
    assert story["history"][-1]["by"].startswith(f"{getpass.getuser()}@")
    assert [comment["owed"]["occasion"] for comment in story["comments"]] == ["resolved"]


def test_a_second_person_is_told_that_it_was_decided(home, unknown):
    home.run("resolve", unknown, "--not-ran", *WHY)
    assert "is refused; this needs unknown" in home.run("resolve", unknown, "--ran", *WHY, code=1).stderr


def test_an_attempt_that_is_not_the_newest_decides_nothing(home, unknown):
    result = home.run("resolve", unknown, "--ran", "--attempt", "2", *WHY, code=1)
    assert "is at attempt 1, not 2" in result.stderr
    assert state(home, unknown) == "unknown"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--reason", "x"),
        ("--send-again", "--reason", "x"),
        ("--ran", "--not-ran", "--reason", "x"),
        ("--ran",),
        ("--ran", "--send-again", "--reason", "x"),
        ("--ran", "--reason", "  "),
        ("--ran", "--reason", "x", "--author", " "),
        ("--ran", "--reason", "x", "--author", "B" * 201),
        ("--ran", "--attempt", "0", "--reason", "x"),
    ],
)
def test_a_decision_that_is_not_whole_is_wrong_usage(home, unknown, arguments):
    home.run("resolve", unknown, *arguments, code=2)
    assert state(home, unknown) == "unknown"


def test_a_waiting_run_can_be_cancelled_and_one_that_was_sent_cannot(home, unknown):
    with home.ledger() as ledger:
        waiting = ledger.arrive("servicenow-incident.json", "servicenow")["runs"][0]
    home.run("cancel", waiting, *WHY)
    assert state(home, waiting) == "cancelled"
    assert "only a queued or held run can be cancelled" in home.run("cancel", unknown, *WHY, code=1).stderr


def test_an_answered_run_is_sent_again_to_the_engine_that_missed_it(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        missed = ledger.answer(code=EngineCode.NOT_CONNECTED)
    assert f"bridge send-again {missed} --attempt 1 --reason TEXT" in home.run("runs", missed).stdout
    home.run("send-again", missed, *WHY, code=2)
    stale = home.run("send-again", missed, "--attempt", "2", *WHY, code=1)
    assert "is at attempt 1, not 2" in stale.stderr
    said = home.run("send-again", missed, "--attempt", "1", *WHY).stdout
    assert f"run {missed} is queued for 1 Engine(s): engine-1 {'e' * 32}\n" in said
    story = home.json("runs", "show", missed)
    assert story["run"]["state"] == "queued"
    assert story["history"][-1]["detail"] == "looked into Nexthink"
    assert story["comments"][-1]["owed"]["occasion"] == "again"
    assert (
        "is queued; only an answered run"
        in home.run("send-again", missed, "--attempt", "1", *WHY, code=1).stderr
    )


def test_a_run_that_no_engine_missed_is_not_sent_again(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        accepted = ledger.answer()
    assert "send-again" not in home.run("runs", accepted).stdout
    result = home.run("send-again", accepted, "--attempt", "1", *WHY, code=1)
    assert "was not missed by any Engine" in result.stderr
    assert state(home, accepted) == "answered"


def test_a_held_run_is_released(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        run = ledger.hold(Reason.LOOP)
    assert f"bridge release {run} --reason TEXT" in home.run("runs", "show", run).stdout
    home.run("release", run, *WHY)
    assert state(home, run) == "queued"


def test_a_run_whose_portal_is_still_paused_is_not_released_by_itself(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        run = ledger.hold()
    shown = home.run("runs", "show", run).stdout
    assert "bridge release --portal main --reason TEXT" in shown
    assert f"bridge release {run} " not in shown
    refused = home.run("release", run, *WHY, code=1).stderr
    assert "portal main, which is still paused" in refused
    assert "bridge resume portal main" in refused
    assert state(home, run) == "held"


def test_a_held_run_says_why_it_waits_and_what_lets_it_go_on(home):
    home.migrate()
    home.run("pause", "devices", "WS-.*", "--for", "2h", "--author", "ada", *WHY)
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        run = ledger.hold(Reason.PAUSED, "devices WS-.*")
    shown = home.run("runs", "show", run).stdout
    assert "pause       devices WS-.*, since 20" in shown
    assert "by ada (by_operator: looked into Nexthink)" in shown
    assert "bridge resume devices 'WS-.*' --reason TEXT" in shown
    assert "expires     20" in shown


def test_a_run_over_a_limit_is_released_by_a_person(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        run = ledger.hold(Reason.OVER_LIMIT, "per_hour")
    assert f"bridge release {run} --reason TEXT" in home.run("runs", "show", run).stdout
    home.run("release", run, *WHY)
    assert home.json("runs", "show", run)["run"]["waived"] is True
    assert "a person released it over them" in home.run("runs", "show", run).stdout


def test_a_run_that_waits_for_approval_shows_what_would_be_sent(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        run, plan = ledger.ask_for_approval()
    shown = home.run("runs", "show", run).stdout
    assert f"bridge approve {run} --plan {plan[:12]} --reason TEXT" in shown
    assert f"device      WS-ABC-12345 {'d' * 32}" in shown
    assert "may be approved until 20" in shown
    assert "bridge approve" in home.run("release", run, *WHY, code=1).stderr


def test_a_portal_that_does_not_exist_is_told_with_those_that_do(home):
    home.migrate()
    assert (
        "there is no portal 'mian' (did you mean 'main'?)"
        in home.run("release", "--portal", "mian", *WHY, code=1).stderr
    )


def test_a_paused_portal_is_released_with_what_it_held(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        run = ledger.hold()
    assert "portal main is open again, runs queued: 1" in home.run("release", "--portal", "main", *WHY).stdout
    assert state(home, run) == "queued"
    assert "portal main is not paused" in home.run("release", "--portal", "main", *WHY, code=1).stderr


def test_a_restore_that_is_declared_holds_every_unfinished_run_until_it_is_released(home):
    with home.ledger() as ledger:
        run = ledger.arrive("jira-approved.json")["runs"][0]
    assert home.run("declare-restored").stdout == "runs held: 1\n"
    assert home.json("runs", "show", run)["run"]["reason"] == Reason.RESTORED
    assert "bridge release --restored --reason TEXT" in home.run("runs", run).stdout
    assert home.run("release", "--restored", *WHY).stdout == "runs queued: 1\n"
    assert state(home, run) == "queued"


@pytest.mark.parametrize("what", [(), ("r1", "--restored"), ("--portal", "main", "--restored")])
def test_exactly_one_thing_is_released(home, what):
    home.migrate()
    assert "only one of them" in home.run("release", *what, *WHY, code=2).stderr


def test_people_look_and_decide_on_either_database(home, database_url):
    home.write_settings(BRIDGE_DATABASE_URL=database_url)
    home.run("migrate")
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        run = ledger.lose_answer()
    assert [one["id"] for one in home.json("runs", "--state", "unknown")] == [run]
    home.run("resolve", run, "--not-ran", *WHY)
    assert state(home, run) == "refused"
    assert len(home.json("why", "SUP-101")["runs"]) == 1
