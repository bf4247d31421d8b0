"""The command that moves a ledger to another database: `copy`.

It must not choose the ledger that is used from then on: BRIDGE_DATABASE_URL does.
"""

from datetime import timedelta

import click

from bridge.bootstrap import open_copy
from bridge.cli.opening import ledger_to_read, read_settings
from bridge.cli.showing import line, moment
from bridge.ledger.copying import Content
from bridge.moving import move
from bridge.undertaking import DEAD_AFTER_BEATS


@click.command()
@click.argument("target_url")
def copy(target_url: str) -> None:
    """Copy the ledger into another, empty database, while nothing runs on it; SQLite or PostgreSQL.

    TARGET_URL is as BRIDGE_DATABASE_URL. What the target holds is compared with the ledger, row by row and by
    the audit's hashes. Every unfinished run is held in both afterwards.
    """
    settings = read_settings()
    with ledger_to_read() as source, open_copy(target_url) as target:
        moved = move(
            source,
            target,
            worker=timedelta(seconds=DEAD_AFTER_BEATS * settings.beat_seconds),
            kept=settings.keep_audit,
            say=_say,
        )
    audit = moved.audit
    line(f"all rows are the same: {sum(table.rows for table in moved.tables)} in {len(moved.tables)} tables")
    if audit.head is not None:
        line(
            f"the audit's head is segment {audit.head.id}, sealed {moment(audit.head.at)}: {audit.head.chain}"
        )
    if audit.faults:
        line(f"the audit has faults, before as after: {len(audit.faults)} (see `bridge audit verify`)")
    line("Set BRIDGE_DATABASE_URL to the new address on every host, start a worker, then the web processes.")
    line("Unfinished runs are held then, there and in the old ledger, until `bridge release --restored`.")


def _say(table: Content) -> None:
    line(f"{table.table}: {table.rows}")
