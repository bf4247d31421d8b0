"""The command `send-again`: an answered run once more, to the Engines that missed it.

It must not choose the Engines; the use case does, and says which.
"""

import click

from bridge.cli.opening import bridge_to_act
from bridge.cli.options import act_of, reason_option
from bridge.cli.showing import line
from bridge.comments.second_sends import engine_names
from bridge.ledger import working
from bridge.models import RunId
from bridge.recounting import named


@click.command("send-again")
@click.argument("run")
@click.option(
    "--attempt",
    type=click.IntRange(1),
    required=True,
    help="How many requests had been made when you looked (`bridge runs show` numbers them); if there was "
    "another since, nothing happens.",
)
@reason_option
def send_again(run: str, attempt: int, reason: str, author: str | None) -> None:
    """Send an answered run again, to exactly the Engines that missed it. The ticket is told.

    Those are the Engines that answered not_connected, or timeout where the catalogue calls the action
    repeatable. Age, pauses, approval and limits are looked at again before anything is sent.
    """
    with bridge_to_act() as bridge:
        parts = bridge.operations.send_again(RunId(run), attempt=attempt, act=act_of(author, reason))
        names = engine_names(bridge.ledger.read(working.calls_of, run=RunId(run)))
    engines = dict.fromkeys(engine for part in parts for engine in part.engines or ())
    line(f"run {run} is queued for {len(engines)} Engine(s): {', '.join(named(engines, names))}")
