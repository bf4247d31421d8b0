"""Commands that start something: `migrate`, `worker`, `sandbox`, `demo`.

They must not do its work; each hands over to what does.
"""

import click

from bridge.cli import working
from bridge.cli.opening import read_settings
from bridge.cli.showing import line
from bridge.ledger.connecting import open_database
from bridge.ledger.migrating import migrate as bring_up_to_date


@click.command()
def migrate() -> None:
    """Make the ledger, or bring an older one to the schema of this version."""
    engine = open_database(read_settings().database_url.get_secret_value())
    before, after = bring_up_to_date(engine)
    engine.dispose()
    if before == after:
        line(f"the ledger is at schema {after} already")
    else:
        line(f"the ledger was {f'at schema {before}' if before else 'empty'}, and is at schema {after} now")


@click.command()
def worker() -> None:
    """Run a worker: it sends the actions and writes the comments. Start as many as you like.

    SIGTERM and SIGINT end it with grace: nothing new is begun, and what is in flight may end.
    """
    working.leave(working.work())


@click.command()
@click.option("--nexthink-port", type=click.IntRange(0, 65_535), default=9101, show_default=True)
@click.option("--jira-port", type=click.IntRange(0, 65_535), default=9102, show_default=True)
@click.option("--servicenow-port", type=click.IntRange(0, 65_535), default=9103, show_default=True)
@click.option(
    "--action",
    "actions",
    metavar="UID",
    multiple=True,
    help="A further remote action that the simulated Nexthink knows, such as one of your catalogue.",
)
def sandbox(nexthink_port: int, jira_port: int, servicenow_port: int, actions: tuple[str, ...]) -> None:
    """Simulate Nexthink, Jira and ServiceNow on loopback, until Ctrl-C. Port 0 takes any free one."""
    from bridge.sandbox.running import serve  # noqa: PLC0415 - 10 MB that no worker needs, nor --help

    serve(
        nexthink_port=nexthink_port,
        jira_port=jira_port,
        servicenow_port=servicenow_port,
        action_uids=tuple(uid.lower() for uid in actions),
    )


@click.command()
@click.option("--once", is_flag=True, help="End after the two comments; exit 1 if they do not come in 60 s.")
def demo(once: bool) -> None:
    """Watch one Jira and one ServiceNow ticket become remote actions and comments, all simulated here.

    Starts everything in a temporary folder on free loopback ports and stays up until Ctrl-C.
    """
    from bridge import demo as demonstration  # noqa: PLC0415 - 10 MB that no worker needs, nor --help

    raise click.exceptions.Exit(demonstration.run(once=once, say=line))
