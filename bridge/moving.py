"""Moves a ledger to another database: everything stopped, one pass, compared, and held in both places (W7).

It must not decide which of the two is the ledger from then on; a person says so by the settings.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bridge.errors import NotPossible
from bridge.ledger import Ledger, Tx, copying, queries, sessions, verifying
from bridge.ledger.connecting import place_of
from bridge.ledger.copying import Content
from bridge.ledger.verifying import Verification
from bridge.vitals import COMMITTED_WITHIN, PROBE

_WEB_SECONDS: Final = timedelta(seconds=COMMITTED_WITHIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What was copied, table by table, and what the audit's hashes say of it in its new place."""

    tables: tuple[Content, ...]
    audit: Verification


def move(
    source: Ledger, target: Ledger, *, worker: timedelta, kept: timedelta, say: Callable[[Content], None]
) -> Moved:
    """Copy a ledger into an empty one, and compare all of it; both hold their unfinished runs afterwards.

    `worker` is how long ago a living worker has beaten at most, `kept` how long rows of the audit are kept;
    `say` is told of every table. Raises NotPossible where something still runs on the ledger, the target is
    not empty, or the two differ; nothing is changed then.
    """
    if source.read(_place) == target.read(_place):
        raise NotPossible(
            "the target is the ledger, or cannot be told from it: name a database of another name"
        )
    # The source commits first: where only one of the two commits, it is the one that would go on by itself.
    with target.alone() as into, source.alone() as out:
        _refuse_while_in_use(out, worker)
        filled = copying.first_filled(into)
        if filled is not None:
            raise NotPossible(
                f"the target holds rows already (table {filled}): give one that is new, or make it anew"
            )
        read = []
        for table in copying.copy_rows(out, into):
            read.append(table)
            say(table)
        audit = _compare(out, into, read, kept)
        sessions.leave_place(into)
        sessions.leave_place(out)
    return Moved(tables=tuple(read), audit=audit)


def _place(tx: Tx) -> str:
    return place_of(tx.connection)


def _refuse_while_in_use(tx: Tx, worker: timedelta) -> None:
    alive = tuple(_alive(tx, worker))
    if alive:
        raise NotPossible(
            f"the ledger is in use by {', '.join(alive)}: stop every web process and worker, wait for "
            f"{max(worker, _WEB_SECONDS).total_seconds():.0f} seconds where one was killed, and try again"
        )


def _alive(tx: Tx, worker: timedelta) -> Iterator[str]:
    seen = queries.figures(tx)
    yield from (f"a worker on {each.host}" for each in seen.sessions if abs(tx.now - each.beat_at) <= worker)
    for total in seen.totals:
        if (total.kind, total.name, total.label) == PROBE and abs(tx.now - total.last_at) <= _WEB_SECONDS:
            yield "a web process"


def _compare(out: Tx, into: Tx, read: list[Content], kept: timedelta) -> Verification:
    for before, after in zip(read, copying.content(into), strict=True):
        if before != after:
            raise NotPossible(
                f"the table {before.table} arrived otherwise than it was "
                f"({before.rows} and {after.rows} rows); nothing was copied"
            )
    before_, after_ = (verifying.verify(tx, kept=kept) for tx in (out, into))
    if (before_.head, before_.rows, before_.faults) != (after_.head, after_.rows, after_.faults):
        raise NotPossible("the audit's hashes say something else of the copy; nothing was copied")
    return after_
