"""`runs`: lists that cut nothing, and the whole story of one run."""

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from bridge.errors import Reason
from bridge.ledger import outbox, working
from bridge.models import SessionId, SourceName

SESSION = SessionId("s-test")


def test_runs_are_listed_and_filtered(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        unknown = ledger.lose_answer()
        queued = ledger.arrive("servicenow-incident.json", "servicenow")["runs"][0]
    assert {run["id"] for run in home.json("runs")} == {unknown, queued}
    for option, value in (
        ("--state", "unknown"),
        ("--ticket", "SUP-101"),
        ("--mapping", "office-repair-when-approved"),
    ):
        assert [run["id"] for run in home.json("runs", "list", option, value)] == [unknown], option
    (named,) = home.json("runs", "--mapping", "office-repair-when-approved")
    device = named["plan"]["devices"][0]
    assert {run["id"] for run in home.json("runs", "--device", device)} == {unknown, queued}
    assert home.json("runs", "--device", device[:-1]) == []
    assert len(home.json("runs", "--limit", "1")) == 1
    home.run("runs", "--state", "lost", code=2)


def test_a_run_that_cannot_be_read_is_named_and_keeps_no_other_back(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        unknown = ledger.lose_answer()
        queued = ledger.arrive("servicenow-incident.json", "servicenow")["runs"][0]
        damage = text("UPDATE runs SET plan = '{' WHERE id = :run")
        ledger.ledger.write(lambda tx: tx.connection.execute(damage, {"run": queued}))
    told = home.run("runs", "--json")
    assert [run["id"] for run in json.loads(told.stdout)] == [unknown]
    assert f"not shown, because this version cannot read them: {queued}" in told.stderr
    assert f"run {queued} was written by another version" in home.run("runs", queued, code=1).stderr


def test_listing_is_what_runs_does_by_itself(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
    assert home.run("runs").stdout == home.run("runs", "list").stdout
    told = home.run("runs", "--help").stdout
    assert "show" in told
    assert "--state" in told


def test_an_identifier_after_runs_shows_that_run(home):
    with home.ledger() as ledger:
        run = ledger.arrive("jira-approved.json")["runs"][0]
    assert home.run("runs", run).stdout == home.run("runs", "show", run).stdout
    assert "there is no run lsit" in home.run("runs", "lsit", code=1).stderr


def test_the_case_of_a_key_does_not_matter(home):
    with home.ledger() as ledger:
        run = ledger.arrive("jira-approved.json")["runs"][0]
    assert f"run {run} is queued" in home.run("why", "sup-101").stdout
    assert [one["id"] for one in home.json("runs", "--ticket", "sup-101")] == [run]
    assert len(home.json("deliveries", "--ticket", "Sup-101")) == 1


def test_nothing_is_cut_and_no_colours_go_into_a_pipe(home, ended):
    with home.ledger() as ledger:
        run = ledger.arrive("jira-approved.json")["runs"][0]
    process = ended(home.start("runs", COLUMNS="20", FORCE_COLOR="1", TERM="xterm-256color"))
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "\x1b" not in out
    (line,) = (line for line in out.splitlines() if run in line)
    assert "office-repair-when-approved" in line
    assert "repair-office" in line
    assert line == line.rstrip()


def test_on_a_narrow_terminal_the_identifier_stays_in_one_piece(home, on_terminal):
    with home.ledger() as ledger:
        run = ledger.arrive("jira-approved.json")["runs"][0]
    lines = on_terminal(sys.executable, "-m", "bridge", "runs", columns=60, cwd=home.folder)
    assert any(run in line for line in lines)
    assert max(map(len, lines)) <= 60


def test_a_ticket_cannot_steer_the_terminal(home):
    payload = json.loads((home.folder / "mappings" / "samples" / "jira-in-progress.json").read_text())
    payload["issue"]["fields"]["labels"] = [
        "\x1b[2J\x1b]0;owned\x07",
        "[red]auto-remediate[/red]",
        "\u202eevil",
    ]
    payload["issue"]["fields"]["status"]["name"] = "Approved"
    payload["changelog"]["items"][0]["toString"] = "Approved"
    with home.ledger() as ledger:
        ledger.arrive(payload)
    out = home.run("why", "SUP-101").output
    assert all(character.isprintable() or character == "\n" for character in out)
    assert "\\x1b[2J" in out
    assert "\\u202eevil" in out


def test_the_story_of_a_run_has_every_step(home):
    with home.ledger() as ledger:
        delivery = ledger.arrive("jira-approved.json")["delivery"]
        run = ledger.answer("done")
    text = home.run("runs", "show", run).stdout
    steps = (
        f"received        delivery {delivery} from jira",
        "matched         office-repair-when-approved",
        "queued",
        f"request 1: part 1, attempt 1 begins, {run}-1-1",
        f"on Engine engine-1 {'e' * 32}",
        "request 1: part 1, attempt 1 is answered",
        "Z  answered",
    )
    places = [text.index(step) for step in steps]
    assert places == sorted(places)
    assert "WS-ABC-12345 " + "d" * 32 in text
    assert "engine-1 ok: done" in text
    story = home.json("runs", "show", run)
    assert story["run"]["state"] == "answered"
    assert story["calls"][0]["result"]["outcomes"][0]["code"] == "ok"


def test_a_change_that_the_ticket_did_not_take_stands_in_the_story_with_the_reason(home):
    file = home.folder / "mappings" / "jira-office-repair.yaml"
    after = "    mode: live\n    after: {refused: {label: bridge-refused, state: Escalated}}\n"
    file.write_text(file.read_text().replace("    mode: live\n", after, 1))
    with home.ledger() as opened:
        run = opened.arrive("jira-approved-vip.json")["runs"][0]
        refused = {"reason": Reason.REJECTED, "detail": "no transition from Approved"}
        for _ in range(2):  # the comment, then the change behind it
            (row,) = opened.ledger.write(
                outbox.claim_comments,
                session=SESSION,
                limit=1,
                rooms={SourceName("jira"): 1},
                lasting=timedelta(hours=1),
            )
            opened.ledger.write(outbox.undeliverable, comment=row, session=SESSION, **refused)
    shown = " ".join(home.run("runs", "show", run).stdout.split())
    wanted = "label bridge-refused, state Escalated"
    end = "undeliverable, rejected after 1 tries (no transition from Approved)"
    assert f"change owed {wanted}: {end}" in shown


def test_the_story_of_an_unknown_run_shows_the_ways_out(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        run = ledger.lose_answer()
    text = home.run("runs", "show", run).stdout
    assert "part 1, attempt 1 is unknown" in text
    assert f"bridge resolve {run} --not-ran --send-again --attempt 1 --reason TEXT" in text


def test_of_a_run_that_goes_on_by_itself_it_is_said_when(home):
    with home.ledger() as ledger:
        ledger.arrive("servicenow-incident.json", "servicenow")
        ledger.hold(Reason.LOOP)
        ledger.arrive("jira-approved.json")
        run = ledger.claimed()
        soon = datetime.now(UTC) + timedelta(minutes=10)
        held = {"run": run, "reason": Reason.OVER_LIMIT, "detail": "per_hour", "comment": None}
        ledger.ledger.write(working.hold, due_at=soon, **held)
    shown = home.run("runs").stdout
    assert f"over_limit until {soon:%Y-%m-%d %H:%M:%S}Z" in shown
    assert "loop\n" in shown


def test_a_pause_of_an_engine_says_until_when(home):
    home.migrate()
    home.run("pause", "engine", "engine-1", "--for", "10m", "--reason", "maintenance")
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        run = ledger.hold(Reason.PAUSED, "engine engine-1")
    (pause,) = home.json("pauses")
    assert f"not before  {pause['expires_at'][:19].replace('T', ' ')} UTC" in home.run("runs", run).stdout


def test_a_call_under_way_stands_in_the_story(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        call = ledger.intend(ledger.claimed())
    assert f"begins, {call.request_uid}" in home.run("runs", "show", call.run).stdout


def test_who_decided_what_stands_in_the_story(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        run = ledger.lose_answer()
    home.run("resolve", run, "--ran", "--reason", "saw it run", "--author", "Bo")
    text = home.run("runs", "show", run).stdout
    assert "answered        by Bo: saw it run" in text
    assert "comment owed    resolved 1, internal: owed" in text


def test_who_stands_in_another_folder_is_told_so(home):
    (home.folder / ".env").unlink()
    result = home.run("runs", code=1)
    assert f"at {home.folder}/data/bridge.sqlite3 (go to the folder with the bridge's .env" in result.stderr


@pytest.mark.parametrize("command", [("runs",), ("why", "SUP-1"), ("runs", "show", "r1"), ("deliveries",)])
def test_looking_makes_no_ledger(home, command):
    result = home.run(*command, code=1)
    assert "there is no ledger at" in result.stderr
    assert "(make one by `bridge migrate`)" in result.stderr
    assert not (home.folder / "data").exists()


def test_a_run_that_does_not_exist_says_where_to_look(home):
    home.migrate()
    assert home.run("runs", "show", "r1", code=1).stderr == "there is no run r1 (see `bridge runs`)\n"


def test_looking_puts_no_mapping_files_into_force(home):
    with home.ledger() as ledger:
        ledger.arrive("jira-approved.json")
        run = ledger.lose_answer()
    home.run("runs")
    home.run("resolve", run, "--ran", "--reason", "saw it")
    with home.ledger() as ledger:
        assert ledger.mapping_set_in_force() is None
