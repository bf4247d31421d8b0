"""Commands by which a person decides: `resolve`, `cancel`, `release`, `replay`, `declare-restored`.

They must not change the ledger by themselves; every one goes through `Operations`.
"""

import click

from bridge.cli.many import on_each, require_one_way, where_options
from bridge.cli.opening import bridge_to_act
from bridge.cli.options import act_of, reason_option
from bridge.cli.showing import line
from bridge.ledger import people, replaying
from bridge.ledger.choosing import Choice
from bridge.models import PauseScope, RunId, RunState

_RAN = "It is closed: a person says that the action ran."
_NOT_RAN = "It is closed: a person says that the action did not run."
_AGAIN = "A further attempt is made as soon as the one before is over for certain."


@click.command()
@where_options
@click.option("--ran", is_flag=True, help="You found out in Nexthink that the action ran.")
@click.option("--not-ran", is_flag=True, help="You found out in Nexthink that the action did not run.")
@click.option("--send-again", is_flag=True, help="With --not-ran: make one further attempt.")
@click.option(
    "--attempt",
    type=click.IntRange(1),
    help="How many requests had been made when you looked (`bridge runs show` numbers them); if there was "
    "another since, nothing happens. --send-again needs it.",
)
@reason_option
def resolve(
    run: str | None,
    choice: Choice | None,
    dry_run: bool,
    yes: bool,
    ran: bool,
    not_ran: bool,
    send_again: bool,
    attempt: int | None,
    reason: str,
    author: str | None,
) -> None:
    """Say what became of a run whose outcome is unknown. The ticket is told that it is your word."""
    require_one_way(run, choice, dry_run=dry_run, yes=yes)
    if ran == not_ran:
        raise click.UsageError("say --ran or --not-ran, one of them")
    if ran and send_again:
        raise click.UsageError("--send-again goes with --not-ran: what ran is not sent again")
    if choice is not None and attempt is not None:
        raise click.UsageError("--attempt goes with a RUN: with --where it is the one that each run is at")
    if run is not None and send_again and attempt is None:
        raise click.UsageError("--send-again needs --attempt: `bridge runs show` says which one you look at")
    act = act_of(author, reason)
    with bridge_to_act() as bridge:

        def do(seen: RunId, attempt: int | None) -> RunState:
            return bridge.operations.resolve(seen, ran=ran, send_again=send_again, attempt=attempt, act=act)

        if choice is not None:
            said = "Resolve, as seen in Nexthink for each of them,"
            on_each(
                bridge,
                choice,
                lambda one: do(one.run, one.attempt),
                what=said,
                states=people.RESOLVABLE,
                dry_run=dry_run,
                yes=yes,
            )
        elif run is not None:
            state = do(RunId(run), attempt)
            line(f"run {run} is {state} now. {_RAN if ran else _AGAIN if send_again else _NOT_RAN}")


@click.command()
@where_options
@reason_option
def cancel(
    run: str | None, choice: Choice | None, dry_run: bool, yes: bool, reason: str, author: str | None
) -> None:
    """Cancel a run that waits (queued or held). The ticket is told."""
    require_one_way(run, choice, dry_run=dry_run, yes=yes)
    act = act_of(author, reason)
    with bridge_to_act() as bridge:

        def do(seen: RunId) -> RunState:
            return bridge.operations.cancel(seen, act=act)

        if choice is not None:
            on_each(
                bridge,
                choice,
                lambda one: do(one.run),
                what="Cancel",
                states=people.CANCELLABLE,
                dry_run=dry_run,
                yes=yes,
            )
        elif run is not None:
            state = do(RunId(run))
            rest = "" if state is RunState.CANCELLED else " A part had been sent; the rest is not."
            line(f"run {run} is {state}.{rest}")


@click.command()
@where_options
@reason_option
def replay(
    run: str | None, choice: Choice | None, dry_run: bool, yes: bool, reason: str, author: str | None
) -> None:
    """Send the plan of a run that ended as a new run, under every limit, pause and approval again.

    Its devices are looked up anew; what is too old is not replayed. A run is replayed once: then its replay
    can be. The ticket is told by the new run, which names the old one.
    """
    require_one_way(run, choice, dry_run=dry_run, yes=yes)
    act = act_of(author, reason)
    with bridge_to_act() as bridge:

        def do(seen: RunId) -> str:
            return f"replayed as {bridge.operations.replay(seen, act=act)}"

        if choice is not None:
            on_each(
                bridge,
                choice,
                lambda one: do(one.run),
                what="Replay",
                states=replaying.REPLAYABLE,
                dry_run=dry_run,
                yes=yes,
            )
        elif run is not None:
            line(f"run {run} is {do(RunId(run))}.")


@click.command()
@where_options
@click.option("--portal", metavar="NAME", help="Lift this portal's pause and release what it held.")
@click.option("--restored", is_flag=True, help="Release what was held because the ledger looked restored.")
@reason_option
def release(
    run: str | None,
    choice: Choice | None,
    dry_run: bool,
    yes: bool,
    portal: str | None,
    restored: bool,
    reason: str,
    author: str | None,
) -> None:
    """Let what is held go on: one run, what a portal's pause held, or what a restore held.

    A run that a limit holds passes its limits then; age, pauses and approval are looked at again.
    """
    if sum((run is not None, choice is not None, portal is not None, restored)) != 1:
        raise click.UsageError("name a RUN, --where, --portal NAME or --restored, and only one of them")
    if choice is None and (dry_run or yes):
        raise click.UsageError("--dry-run and --yes go with --where")
    act = act_of(author, reason)
    with bridge_to_act() as bridge:

        def do(seen: RunId) -> str:
            bridge.operations.release(seen, act=act)
            return "queued"

        if choice is not None:
            on_each(
                bridge,
                choice,
                lambda one: do(one.run),
                what="Release",
                states=people.RELEASABLE,
                dry_run=dry_run,
                yes=yes,
            )
        elif run is not None:
            line(f"run {run} is {do(RunId(run))}.")
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
