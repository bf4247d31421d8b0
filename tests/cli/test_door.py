"""Every way in which a command can end: exit codes, short messages, and no data in them."""

import signal

import click
import pytest
from click.testing import CliRunner

from bridge.cli.door import Door, Found
from bridge.errors import ConfigurationError, LedgerUnavailable, NotPossible


def door(error):
    @click.group(cls=Door)
    def group() -> None:
        """Stand for the whole command line."""

    @group.command()
    def fail() -> None:
        """Fail in one way."""
        raise error

    return group


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigurationError(("first: a", "second: b")), 1, "first: a\nsecond: b\n"),
        (PermissionError(13, "Permission denied", "/x/y"), 1, "Permission denied: /x/y\n"),
        (NotPossible("it is over (way out)"), 1, "it is over (way out)\n"),
        (LedgerUnavailable("locked"), 1, "the ledger does not answer: locked (see `bridge doctor`)\n"),
        (click.UsageError("wrong"), 2, "Error: wrong\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_is_expected_has_its_own_code_and_sentence(error, code, said):
    result = CliRunner().invoke(door(error), ["fail"])
    assert result.exit_code == code
    assert result.stderr.endswith(said)
    assert "Traceback" not in result.output


def test_what_nobody_foresaw_is_3_and_keeps_its_text_to_itself(monkeypatch):
    monkeypatch.delenv("BRIDGE_LOG_LEVEL", raising=False)
    result = CliRunner().invoke(door(RuntimeError("canary-9d2f")), ["fail"])
    assert result.exit_code == 3
    assert result.stderr.startswith("unexpected: RuntimeError at cli/test_door.py:")
    assert "canary" not in result.output


def test_a_command_whose_module_raises_a_key_error_is_not_called_unknown(monkeypatch, tmp_path):
    monkeypatch.delenv("BRIDGE_LOG_LEVEL", raising=False)
    (tmp_path / "broken_command.py").write_text("{}['canary']")
    monkeypatch.syspath_prepend(tmp_path)
    group = Door("bridge", commands=Found({"broken": "broken_command:broken"}))
    result = CliRunner().invoke(group, ["broken"])
    assert result.exit_code == 3
    assert result.stderr.startswith("unexpected: KeyError at ")
    assert (
        "No such command 'brocken'. Did you mean 'broken'?" in CliRunner().invoke(group, ["brocken"]).stderr
    )


def test_debugging_shows_the_traceback():
    result = CliRunner(env={"BRIDGE_LOG_LEVEL": "debug"}).invoke(door(RuntimeError("canary")), ["fail"])
    assert result.exit_code == 3
    assert "Traceback" in result.stderr
    assert "RuntimeError: canary" in result.stderr


def test_a_database_that_cannot_be_reached_is_expected(home):
    home.write_settings(BRIDGE_DATABASE_URL="postgresql://bridge:canary-77@127.0.0.1:1/bridge")
    for command in ("runs", "migrate"):
        result = home.run(command, code=1)
        assert result.stderr == "the ledger does not answer: OperationalError (see `bridge doctor`)\n"


def test_settings_that_cannot_be_used_are_told_together_and_never_with_a_value(home):
    home.write_settings(BRIDGE_WEB_THREADS="canary", BRIDGE_SOURCES__JIRA__SECRETS='["canary"]')
    result = home.run("config", code=1)
    assert result.stdout == ""
    assert result.stderr.count("BRIDGE_") == 1
    assert "canary" not in result.stderr


def test_the_configuration_is_shown_with_its_secrets_masked(home):
    people, programs = home.run("config").stdout, home.json("config")
    for name, value in home.variables.items():
        secret = name.endswith(("SECRETS", "PASSWORD", "TOKEN"))
        shown = "********" if secret else value
        assert programs[name] == shown
        assert not secret or value.strip('[]"') not in people


def test_the_ledger_is_made_and_then_left_alone(home):
    assert "the ledger was empty, and is at schema" in home.run("migrate").stdout
    assert "already" in home.run("migrate").stdout


def test_each_code_reaches_the_shell(home, ended):
    home.migrate()
    ends = {("config",): 0, ("runs", "show", "r1"): 1, ("runs", "--no-such-option"): 2}
    started = {arguments: ended(home.start(*arguments)) for arguments in ends}
    for arguments, process in started.items():
        assert process.wait(30) == ends[arguments], arguments


def test_the_sandbox_ends_cleanly_when_it_is_interrupted(home, ended, interrupt):
    ports = ("--nexthink-port", "0", "--jira-port", "0", "--servicenow-port", "0")
    process = ended(home.start("sandbox", *ports))
    assert process.stdout.readline().startswith("Nexthink   http://127.0.0.1:")
    assert interrupt(process, signal.SIGINT) == 0
