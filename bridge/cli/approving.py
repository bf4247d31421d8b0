"""Commands of those who approve: `approve`, and `token` for what proves who they are.

They must not take a token from the command line, where every process of the host can read it.
"""

import os
import stat
import sys
from datetime import timedelta
from typing import IO

import click

from bridge.cli.opening import bridge_to_act, ledger_to_read
from bridge.cli.options import DurationParam, act_of, json_option, reason_option
from bridge.cli.showing import as_json, line, moment, note
from bridge.cli.tables import table
from bridge.errors import NotPossible
from bridge.ledger import tokens
from bridge.models import Identity, RunId, RunState, SourceName

_LONGEST = timedelta(days=366)


class IdentityParam(click.ParamType[Identity]):
    """SOURCE=ID."""

    name = "identity"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Identity:
        """Read who somebody is in a source; what is not written so is a mistake of usage."""
        source, _, text = str(value).partition("=")
        if not source.strip() or not text.strip():
            self.fail("write it as SOURCE=ID, such as servicenow=ada.example", param, ctx)
        return Identity(source=SourceName(source.strip().lower()), text=text.strip())


@click.command()
@click.argument("run")
@click.option(
    "--plan",
    "plan_hash",
    metavar="HASH",
    required=True,
    help="The plan that you looked at: its first 12 digits, which `bridge runs show` prints.",
)
@click.option("--decline", is_flag=True, help="Decline it: the run is cancelled, and the ticket is told.")
@click.option(
    "--token-file",
    type=click.File("r"),
    help="A file with your personal token, `-` for the standard input. Default: you are asked for it.",
)
@click.option("--reason", metavar="TEXT", required=True, help="Why; it is kept with what you do.")
def approve(run: str, plan_hash: str, decline: bool, token_file: IO[str] | None, reason: str) -> None:
    """Approve, or decline, exactly the plan that a run waits with. Whoever asked for it cannot approve it."""
    act = act_of(None, reason)
    secret = _secret(token_file)
    with bridge_to_act() as bridge:
        state = bridge.operations.approve(
            RunId(run), secret=secret, plan_hash=plan_hash, approve=not decline, reason=act.reason
        )
    done = "approved and is queued" if state is RunState.QUEUED else f"{state}"
    line(f"run {run} is {done}.")


@click.group()
def token() -> None:
    """Make, list and revoke the personal tokens of those who may approve."""


@token.command("make")
@click.argument("name")
@click.option(
    "--identity",
    "identities",
    metavar="SOURCE=ID",
    type=IdentityParam(),
    multiple=True,
    required=True,
    help="What a source knows the person by: account id, sys_id, login or e-mail. May stand several times.",
)
@click.option(
    "--valid",
    "lasting",
    metavar="DURATION",
    type=DurationParam(longest=_LONGEST),
    default="90d",
    show_default=True,
    help="How long it counts, such as 8h or 90d.",
)
@reason_option
def make_token(
    name: str, identities: tuple[Identity, ...], lasting: timedelta, reason: str, author: str | None
) -> None:
    """Make a personal token and print it, this once: only a digest of it is kept."""
    act = act_of(author, reason)
    with bridge_to_act() as bridge:
        secret, made = bridge.tokens.make(name, identities, lasting=lasting, act=act)
    line(secret)
    note(f"token {made.name} counts until {moment(made.expires_at)}; it is not shown again")


@token.command("list")
@json_option
def list_tokens(for_programs: bool) -> None:
    """List the tokens that were made, never their secrets."""
    with ledger_to_read() as ledger:
        found = ledger.read(tokens.all_made)
    if for_programs:
        as_json(found)
        return
    table(
        ("token", "made", "by", "until", "revoked", "identities"),
        [
            (
                one.name,
                moment(one.made_at),
                one.made_by,
                moment(one.expires_at),
                moment(one.revoked_at),
                ", ".join(f"{each.source}={each.text}" for each in one.identities),
            )
            for one in found
        ],
    )


@token.command("revoke")
@click.argument("name")
@reason_option
def revoke_token(name: str, reason: str, author: str | None) -> None:
    """Have a token count no more, at once and on every host."""
    act = act_of(author, reason)
    with bridge_to_act() as bridge:
        bridge.tokens.revoke(name, act=act)
    line(f"token {name} is revoked.")


def _secret(file: IO[str] | None) -> str:
    """Return a token from a file, or from a prompt that shows nothing of it."""
    if file is None:
        if not sys.stdin.isatty():
            raise click.UsageError("give --token-file FILE, or `--token-file -` for the standard input")
        return str(click.prompt("Your personal token", hide_input=True))
    _require_private(file)
    return file.readline().strip()


def _require_private(file: IO[str]) -> None:
    try:
        mode = os.fstat(file.fileno()).st_mode
    except OSError:
        # What has no descriptor is no file that others could read.
        return
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise NotPossible(f"others can read the token in {file.name} (run `chmod 600 {file.name}`)")
