"""`copy`: the ledger of a folder is copied by one command, and used in its new place by the next."""

from bridge.errors import Reason
from bridge.ledger import sessions
from bridge.models import SessionId

WHY = ("--reason", "compared with the tickets")


def test_a_ledger_is_copied_and_its_runs_go_on_when_a_person_says_so(home, database_url):
    with home.ledger() as opened:
        run = opened.arrive("jira-approved.json")["runs"][0]
    target = database_url.replace("bridge.sqlite3", "copy.sqlite3")
    told = home.run("copy", target).stdout
    assert "\nruns: 1\n" in told
    assert "all rows are the same: " in told
    home.write_settings(BRIDGE_DATABASE_URL=target)
    with home.ledger() as opened:
        opened.ledger.write(sessions.open_session, session=SessionId("s1"), host="test", pid=1)
    assert home.json("runs", "show", run)["run"]["reason"] == Reason.RESTORED
    assert home.run("release", "--restored", *WHY).stdout == "runs queued: 1\n"


def test_a_ledger_that_a_worker_works_on_is_not_copied(home, tmp_path):
    with home.ledger() as opened:
        opened.arrive("jira-approved.json")
        opened.claimed()
    told = home.run("copy", f"sqlite:///{tmp_path}/copy.sqlite3", code=1).stderr
    assert "in use by a worker on test" in told
    assert "wait for 30 seconds" in told


def test_an_address_that_is_none_is_told_as_the_targets(home):
    home.migrate()
    assert "TARGET_URL: neither sqlite" in home.run("copy", "mysql://x/y", code=1).stderr
    assert "TARGET_URL: not a database address" in home.run("copy", "nonsense", code=1).stderr


def test_the_ledger_itself_is_no_target(home):
    home.migrate()
    url = home.variables["BRIDGE_DATABASE_URL"]
    assert "name a database of another name" in home.run("copy", url, code=1).stderr
