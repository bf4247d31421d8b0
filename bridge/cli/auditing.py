"""Commands about the audit: `audit verify`, `audit export`, `audit head`.

They must not change the ledger; rows are written with what they tell of, and sealed by a worker.
"""

import json
import re
import sys
from datetime import UTC, datetime
from typing import Any

import click

from bridge.cli.opening import ledger_to_read, read_settings
from bridge.cli.options import json_option
from bridge.cli.showing import as_json, line, moment
from bridge.errors import NotPossible
from bridge.ledger import auditing, verifying
from bridge.ledger.verifying import Verification
from bridge.models import Json

_TIMES = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ")
_HEAD = re.compile("[0-9a-f]{64}")


class HeadParam(click.ParamType[str]):
    """The hash of a seal, whole: a part of one, or none, would be called a chain that was made anew."""

    name = "head"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read a hash; what is none is a mistake of usage."""
        text = str(value).strip().lower()
        if not _HEAD.fullmatch(text):
            self.fail("give the whole hash, 64 hex digits, as `bridge audit head` prints it", param, ctx)
        return text


@click.group()
def audit() -> None:
    """Verify, export and name the head of the audit."""


@audit.command()
@click.option(
    "--head",
    "heads",
    metavar="HASH",
    type=HeadParam(),
    multiple=True,
    help="A head that was noted before, from the log or from `bridge audit head`: it must be in the chain. "
    "May be given again.",
)
@json_option
def verify(heads: tuple[str, ...], for_programs: bool) -> None:
    """Find rows and seals of the audit that were changed, removed or put in; exit 1 where there are any."""
    kept = read_settings().keep_audit
    with ledger_to_read() as ledger:
        found = ledger.read(verifying.verify, heads=heads, kept=kept)
    if for_programs:
        as_json(found)
    else:
        _print(found)
    if found.faults:
        sys.exit(1)


@audit.command()
@click.option(
    "--since",
    metavar="TIME",
    type=click.DateTime(_TIMES),
    help="Leave out what was before, such as 2026-01-31.",
)
@click.option(
    "--until", metavar="TIME", type=click.DateTime(_TIMES), help="Leave out what was then or later, in UTC."
)
@click.option("--run", metavar="RUN", help="Only what is about this run.")
def export(since: datetime | None, until: datetime | None, run: str | None) -> None:
    """Print the audit as lines of JSON, each seal behind the rows of its segment."""
    with ledger_to_read() as ledger:
        ledger.read(auditing.export, emit=_emit, since=_utc(since), until=_utc(until), about=run)


@audit.command()
@json_option
def head(for_programs: bool) -> None:
    """Print the newest seal: its segment and hash, to be noted where nobody can change it."""
    with ledger_to_read() as ledger:
        seal = ledger.read(auditing.newest_seal)
    if seal is None:
        raise NotPossible("nothing is sealed yet (a worker seals every second: start `bridge worker`)")
    if for_programs:
        as_json(seal)
    else:
        line(f"segment {seal.id}, sealed {moment(seal.at)}: {seal.chain}")


def _print(found: Verification) -> None:
    for fault in found.faults:
        place = "the audit" if fault.segment is None else f"segment {fault.segment}"
        line(f"{place}: {fault.what}")
    purged = f", the first {found.purged_segments} of them purged" if found.purged_segments else ""
    line(f"{found.rows} rows in {found.segments} segments{purged}: faults: {len(found.faults)}")
    if found.head is not None:
        line(f"the head is segment {found.head.id}, sealed {moment(found.head.at)}: {found.head.chain}")
    if found.unsealed.count:
        line(
            f"{found.unsealed.count} rows are not sealed yet, the oldest from {moment(found.unsealed.oldest)}"
        )


def _emit(content: Json) -> None:
    click.echo(json.dumps(content).replace("\x7f", "\\u007f"))


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)
