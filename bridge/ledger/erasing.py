"""Finds every row that names one person, and empties what has ended; nothing that waits is touched.

It must not guess: a row is found by an exact identifier, whole and in any case. Ids, keys and digests stay.
"""

import html
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Table, exists, select, update

from bridge.ledger import Tx
from bridge.ledger.people import Act
from bridge.ledger.pseudonyms import WHO, WHY
from bridge.ledger.retention import EMPTIED, NO_FINDINGS, remove_all_of, settled
from bridge.ledger.tables import (
    approvals,
    calls,
    comments,
    deliveries,
    history,
    pauses,
    runs,
    sign_ins,
    tokens,
)
from bridge.ledger.working import ENDED
from bridge.models import DeliveryState, Json

# What stands where a name was that must not be empty.
ERASED: Final = "erased"
# Rows are looked through in portions, however many there are.
PORTION: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Columns of a table in which persons may stand; rows of `key` are what is emptied.

    Columns of `page` order the table, so that it is read in portions.
    """

    table: Table
    key: Column[Any]
    page: Column[Any]
    columns: tuple[Column[Any], ...]


DELIVERIES: Final = Place(
    table=deliveries,
    key=deliveries.c.id,
    page=deliveries.c.id,
    columns=(deliveries.c.payload, deliveries.c.findings, deliveries.c.detail),
)
# A run is emptied as a whole where its plan, a call or a comment names the person.
OF_RUNS: Final = (
    Place(table=runs, key=runs.c.id, page=runs.c.id, columns=(runs.c.plan, runs.c.detail)),
    Place(table=calls, key=calls.c.run, page=calls.c.run, columns=(calls.c.content, calls.c.result)),
    Place(
        table=comments,
        key=comments.c.run,
        page=comments.c.run,
        columns=(comments.c.text, comments.c.detail, comments.c.change),
    ),
)
# Who did something to a run is taken out of its timeline, which stays.
MENTIONS: Final = (
    Place(table=history, key=history.c.run, page=history.c.run, columns=(history.c.by, history.c.detail)),
    Place(table=approvals, key=approvals.c.run, page=approvals.c.run, columns=(approvals.c.decided_by,)),
)
# What stands until somebody removes it: it is only told.
STANDING: Final = (
    Place(
        table=tokens, key=tokens.c.name, page=tokens.c.name, columns=(tokens.c.identities, tokens.c.made_by)
    ),
    Place(table=pauses, key=pauses.c.scope, page=pauses.c.id, columns=(pauses.c.author, pauses.c.detail)),
    Place(table=sign_ins, key=sign_ins.c.name, page=sign_ins.c.digest, columns=(sign_ins.c.name,)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The keys of a portion whose rows name the person, and where the next one begins; None: nowhere."""

    keys: tuple[str, ...]
    after: Any


def naming(identifiers: Collection[str]) -> re.Pattern[str]:
    """Return the pattern that finds any of the identifiers as a whole, in any case."""
    words = "|".join(re.escape(identifier) for identifier in sorted(identifiers, key=len, reverse=True))
    return re.compile(rf"(?<![\w@.+-])(?:{words})(?![\w@+-]|\.\w)", re.IGNORECASE)


def look(tx: Tx, *, place: Place, person: re.Pattern[str], after: Any) -> Page:
    """Look through the next portion of a place, from which all rows with the same page come together."""
    pages = select(place.page).distinct().order_by(place.page).limit(PORTION)
    if after is not None:
        pages = pages.where(place.page > after)
    numbers = tx.connection.execute(pages).scalars().all()
    if not numbers:
        return Page(keys=(), after=None)
    rows = tx.connection.execute(
        select(place.key, *place.columns).where(place.page >= numbers[0], place.page <= numbers[-1])
    )
    named = {str(key) for key, *texts in rows if any(text and _names(person, text) for text in texts)}
    return Page(keys=tuple(sorted(named)), after=numbers[-1])


def erase_deliveries(tx: Tx, *, ids: Sequence[str]) -> tuple[str, ...]:
    """Empty deliveries that are evaluated and whose runs have ended; return which."""
    open_run = exists().where(runs.c.delivery == deliveries.c.id, runs.c.state.not_in(ENDED))
    emptied = tx.connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(ids), deliveries.c.state == DeliveryState.EVALUATED, ~open_run)
        .values(payload=EMPTIED, findings=NO_FINDINGS, detail=None)
        .returning(deliveries.c.id)
    ).scalars()
    done = tuple(sorted(emptied))
    for delivery in done:
        tx.audit("delivery_erased", about=delivery)
    return done


def erase_runs(tx: Tx, *, ids: Sequence[str]) -> tuple[str, ...]:
    """Remove all but the rows of runs that have ended and owe nothing; return which."""
    emptied = tx.connection.execute(
        update(runs)
        .where(runs.c.id.in_(ids), *settled())
        .values(plan=None, detail=None, purged_at=tx.now)
        .returning(runs.c.id)
    ).scalars()
    done = tuple(sorted(emptied))
    remove_all_of(tx, run_ids=done)
    for run in done:
        tx.audit("run_erased", about=run)
    return done


def erase_mentions(tx: Tx, *, ids: Sequence[str], person: re.Pattern[str]) -> tuple[str, ...]:
    """Take a person out of the timelines and approvals of runs that have ended; return which runs."""
    found = select(runs.c.id).where(runs.c.id.in_(ids), *settled()).order_by(runs.c.id)
    done = tuple(tx.connection.execute(tx.locking(found)).scalars())
    lines = select(history.c.id, history.c.by, history.c.detail).where(history.c.run.in_(done))
    for line in tx.connection.execute(lines).all():
        if any(text and _names(person, text) for text in (line.by, line.detail)):
            by = None if line.by is None else ERASED
            tx.connection.execute(update(history).where(history.c.id == line.id).values(by=by, detail=None))
    decided = select(approvals.c.run, approvals.c.decided_by).where(approvals.c.run.in_(done))
    for row in tx.connection.execute(decided).all():
        if row.decided_by and _names(person, row.decided_by):
            tx.connection.execute(
                update(approvals).where(approvals.c.run == row.run).values(decided_by=ERASED)
            )
    return done


def told(tx: Tx, *, identifiers: Collection[str], act: Act, deliveries_done: int, runs_done: int) -> None:
    """Write into the audit who had a person erased, and the person as a digest."""
    for identifier in sorted(identifiers):
        detail = {WHO: identifier, WHY: act.reason, "deliveries": deliveries_done, "runs": runs_done}
        tx.audit("person_erased", about="person", by=act.author, detail=detail)


def _names(person: re.Pattern[str], text: str) -> bool:
    return any(person.search(piece) for piece in _pieces(text))


def _pieces(text: str) -> Iterator[str]:
    """Yield a text as a person would read it: the strings of JSON, and without HTML's and wiki's escapes."""
    try:
        strings = tuple(_strings(json.loads(text)))
    except ValueError:
        strings = (text,)
    for string in strings:
        yield string
        yield html.unescape(string)
        yield string.replace("\\", "")


def _strings(value: Json) -> Iterator[str]:
    if isinstance(value, str | int):
        yield str(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
