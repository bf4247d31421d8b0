"""Commands by which a person decides: `resolve`, `cancel`, `release`, `declare-restored`.

They must not change the ledger by themselves; every one goes through `Operations`.
"""

import click

from bridge.cli.opening import bridge_to_act
from bridge.cli.options import act_of, reason_option
from bridge.cli.showing import line
from bridge.models import PauseScope, RunId, RunState

_RESOLVED = {
    RunState.ANSWERED: "It is closed: a person says that the action ran.",
    RunState.REFUSED: "It is closed: a person says that the action did not run.",
    RunState.QUEUED: "A further attempt is made as soon as the one before is over for certain.",
}


@click.command()
@click.argument("run")
@click.option("--ran", is_flag=True, help="You found out in Nexthink that the action ran.")
@click.option("--not-ran", is_flag=True, help="You found out in Nexthink that the action did not run.")
@click.option("--send-again", is_flag=True, help="With --not-ran: make one further attempt.")
@click.option(
    "--attempt",
    type=click.IntRange(1),
    help="How many requests had been made when you looked (`bridge runs show` says it); if there was another "
    "since, nothing happens. --send-again needs it.",
)
@reason_option
def resolve(
    run: str,
    ran: bool,
    not_ran: bool,
    send_again: bool,
    attempt: int | None,
    reason: str,
    author: str | None,
) -> None:
    """Say what became of a run whose outcome is unknown. The ticket is told that it is your word."""
    if ran == not_ran:
        raise click.UsageError("say --ran or --not-ran, one of them")
    if ran and send_again:
        raise click.UsageError("--send-again goes with --not-ran: what ran is not sent again")
    if send_again and attempt is None:
        raise click.UsageError("--send-again needs --attempt: `bridge runs show` says which one you look at")
    with bridge_to_act() as bridge:
        state = bridge.operations.resolve(
            RunId(run), ran=ran, send_again=send_again, attempt=attempt, act=act_of(author, reason)
        )
    line(f"run {run} is {state} now. {_RESOLVED[state]}")


@click.command()
@click.argument("run")
@reason_option
def cancel(run: str, reason: str, author: str | None) -> None:
    """Cancel a run that waits (queued or held). The ticket is told."""
    with bridge_to_act() as bridge:
        state = bridge.operations.cancel(RunId(run), act=act_of(author, reason))
    rest = "" if state is RunState.CANCELLED else " A part had been sent; the rest is not."
    line(f"run {run} is {state}.{rest}")


@click.command()
@click.argument("run", required=False)
@click.option("--portal", metavar="NAME", help="Lift this portal's pause and release what it held.")
@click.option("--restored", is_flag=True, help="Release what was held because the ledger looked restored.")
@reason_option
def release(run: str | None, portal: str | None, restored: bool, reason: str, author: str | None) -> None:
    """Let what is held go on: one run, what a portal's pause held, or what a restore held.

    A run that a limit holds passes its limits then; age, pauses and approval are looked at again.
    """
    if sum((run is not None, portal is not None, restored)) != 1:
        raise click.UsageError("name a RUN, or --portal NAME, or --restored, and only one of them")
    act = act_of(author, reason)
    with bridge_to_act() as bridge:
        if run is not None:
            bridge.operations.release(RunId(run), act=act)
            line(f"run {run} is queued.")
        elif portal is not None:
            count = bridge.operations.resume(PauseScope.PORTAL, portal, act=act)
            line(f"portal {portal} is open again, runs queued: {count}")
        else:
            line(f"runs queued: {bridge.operations.release_restored(act=act)}")


@click.command("declare-restored")
def declare_restored() -> None:
    """Hold every unfinished run, after a restore or failover that the bridge cannot see.

    More may have been sent than such a ledger knows. `bridge release --restored` lets the runs go on.
    """
    with bridge_to_act() as bridge:
        count = bridge.operations.declare_restored()
    line(f"runs held: {count}")
