"""Commands that remove what is kept: `purge`, `erase`.

They must not decide what may go; the use cases do.
"""

import sys

import click

from bridge.bootstrap import retaining
from bridge.cli.opening import bridge_to_act
from bridge.cli.options import act_of, reason_option
from bridge.cli.showing import line
from bridge.erasing import Erasing

# A shorter word would be found everywhere.
_SHORTEST = 3


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count what would be removed.")
def purge(dry_run: bool) -> None:
    """Remove now what has been kept as long as the settings say. A worker does the same once a day."""
    with bridge_to_act() as bridge:
        keeping = retaining(bridge)
        done = keeping.preview() if dry_run else keeping.purge()
    line(f"{'that would go' if dry_run else 'removed'}:")
    line(f"payloads of deliveries  {done.payloads}", indent=2)
    line(f"what mappings saw       {done.findings} deliveries", indent=2)
    line(f"all but the key of      {done.runs} runs", indent=2)
    line(f"all but the seal of     {done.segments} segments of the audit", indent=2)


@click.command()
@click.option(
    "--person",
    "persons",
    metavar="IDENTIFIER",
    multiple=True,
    required=True,
    help="The person's login, e-mail, account id or display name, each as a whole; give all that they have.",
)
@click.option("--dry-run", is_flag=True, help="Only list what names the person.")
@reason_option
def erase(persons: tuple[str, ...], dry_run: bool, reason: str, author: str | None) -> None:
    """Erase one person from payloads, runs, comments and timelines; exit 1 where something is left.

    What waits or is under way is left, and told. Tickets, logs and backups are not reached.
    """
    identifiers = frozenset(person.strip() for person in persons)
    if any(len(identifier) < _SHORTEST for identifier in identifiers):
        raise click.UsageError(f"--person needs at least {_SHORTEST} characters, or it would find everybody")
    act = act_of(author, reason)
    with bridge_to_act() as bridge:
        erasing = Erasing(ledger=bridge.ledger)
        done = erasing.preview(identifiers) if dry_run else erasing.erase(identifiers, act=act)
    for name, ids in (("delivery", done.deliveries), ("run", done.runs), ("timeline of run", done.mentions)):
        for each in ids:
            line(f"{'names the person' if dry_run else 'erased'}: {name} {each}")
    for each in done.left:
        line(f"left: {each}")
    line(f"deliveries {len(done.deliveries)}, runs {len(done.runs)}, timelines {len(done.mentions)}")
    if done.left and not dry_run:
        sys.exit(1)
