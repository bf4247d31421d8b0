"""`token` and `approve`: who somebody is comes from a token that is in no argument."""

import json

import pytest

WHY = ("--reason", "approver of the desk")


@pytest.fixture
def token_file(home):
    home.migrate()
    made = home.run("token", "make", "grace", "--identity", "jira=5b10ac8d82e05b22cc7d4e02", *WHY)
    (secret,) = (line for line in made.stdout.splitlines() if line.startswith("bridge_"))
    assert "counts until" in made.stderr
    file = home.folder / "token"
    file.write_text(secret + "\n")
    file.chmod(0o600)
    return file


def test_a_token_is_listed_without_its_secret_and_revoked(home, token_file):
    (one,) = home.json("token", "list")
    assert one["identities"] == [{"source": "jira", "text": "5b10ac8d82e05b22cc7d4e02"}]
    assert token_file.read_text().strip() not in home.run("token", "list").stdout + json.dumps(one)
    assert home.run("token", "revoke", "grace", *WHY).stdout == "token grace is revoked.\n"
    assert home.json("token", "list")[0]["revoked_at"]
    assert "no token grace" in home.run("token", "revoke", "grace", *WHY, code=1).stderr


def test_a_token_from_a_file_or_the_standard_input_says_who_approves(home, token_file):
    with home.ledger() as ledger:
        run = ledger.arrive("jira-approved.json")["runs"][0]
    approve = ("approve", run, "--plan", "0" * 12, *WHY)
    for given in (("--token-file", str(token_file)), ("--token-file", "-")):
        told = home.run(*approve, *given, given=token_file.read_text(), code=1).stderr
        assert f"run {run} does not wait for approval" in told
    told = home.run(*approve, "--token-file", "-", given="bridge_made-up\n", code=1).stderr
    assert "this token is not known" in told


def test_a_token_that_others_can_read_is_refused(home, token_file):
    token_file.chmod(0o640)
    told = home.run("approve", "r1", "--plan", "0" * 12, "--token-file", str(token_file), *WHY, code=1)
    assert "chmod 600" in told.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("approve", "r1", *WHY),
        ("approve", "r1", "--plan", "0" * 12, *WHY),
        ("token", "make", "linus", *WHY),
        ("token", "make", "linus", "--identity", "jira", *WHY),
        ("token", "make", "linus", "--identity", "jira=a@example.com", "--valid", "400d", *WHY),
    ],
)
def test_what_is_not_whole_is_wrong_usage(home, arguments):
    home.migrate()
    home.run(*arguments, code=2)
    assert home.json("token", "list") == []
