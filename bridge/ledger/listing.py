"""Long lists for people, the newest first: a page at a time, by what the rows have in common.

It must not read more than SCANNED rows for a page, however rare what is looked for, unless an index leads to
them: the page then says how far back it looked, and the next one looks on from there.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, RowMapping, Select, Table, exists, func, or_, select

from bridge.errors import Reason
from bridge.ledger import Tx
from bridge.ledger.codec import ReadRuns, runs_of
from bridge.ledger.queries import DELIVERY_LINE, DeliveryLine, delivery_line
from bridge.ledger.tables import IS_PENDING, OVER, UNENDED, calls, deliveries, device_uses, is_in, runs
from bridge.models import DeliveryState, Run, RunId, RunState

# How many rows are looked at for a page, and how many of them after each step: what is not rare needs one.
SCANNED: Final = 10_000
_STEPS: Final = (500, 2_000, SCANNED - 2_500)
# A device is looked for in texts, which takes four times as long for a row.
_STEPS_BY_TEXT: Final = (500, 2_000)


class Came(StrEnum):
    """What came of a delivery: a run, no mapping fired, it needed nothing, or it waits to be judged."""

    RUN = "run"
    NO_MAPPING = "no_mapping"
    NEEDLESS = "needless"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page ends: the next one begins behind it."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time that rows were made in, its end not included; None leaves it open."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedRuns:
    """What runs must have in common; None leaves it open. `device` is a whole name or a UID."""

    state: RunState | None = None
    source: str | None = None
    ticket: str | None = None
    mapping: str | None = None
    action: str | None = None
    device: str | None = None
    made: Span = Span()


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedDeliveries:
    """What deliveries must have in common; None leaves it open."""

    source: str | None = None
    ticket: str | None = None
    came: Came | None = None
    received: Span = Span()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsPage:
    """`further` is where the next page begins; `looked_to` how far back was looked, where not to the end.

    `unreadable` are runs of the page that this version cannot read.
    """

    runs: tuple[Run, ...]
    unreadable: tuple[RunId, ...]
    further: Place | None
    looked_to: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveriesPage:
    """As RunsPage."""

    deliveries: tuple[DeliveryLine, ...]
    further: Place | None
    looked_to: datetime | None


def page_of_runs(
    tx: Tx, *, limit: int, wanted: WantedRuns | None = None, behind: Place | None = None
) -> RunsPage:
    """Return the newest runs that fit, from behind a place on; all fit where nothing is `wanted`."""
    wanted = wanted or WantedRuns()
    few = []
    # Of two indexes only the one of the ticket leads to few.
    by_ticket = wanted.ticket is not None
    if by_ticket:
        few.append(runs.c.ticket_key == wanted.ticket)
    elif wanted.state is not None:
        # In these words, so that SQLite takes the index of what has not ended, or of what is over.
        few += [
            is_in(runs.c.state, *(UNENDED if wanted.state in UNENDED else OVER)),
            is_in(runs.c.state, wanted.state),
        ]
    pairs = (
        (runs.c.state, wanted.state if by_ticket else None),
        (runs.c.source, wanted.source),
        (runs.c.mapping, wanted.mapping),
        (runs.c.action, wanted.action),
    )
    many = [_plain(column) == value for column, value in pairs if value is not None]
    if wanted.device is not None:
        many.append(_about_device(wanted.device))
    listed = _List(
        table=runs,
        columns=tuple(runs.columns),
        at=runs.c.created_at,
        few=tuple(few),
        many=tuple(many),
        steps=_STEPS if wanted.device is None else _STEPS_BY_TEXT,
    )
    found = _page(tx, listed, wanted.made, behind, limit)
    read = runs_of(found.rows)
    return RunsPage(
        runs=read.runs, unreadable=read.unreadable, further=found.further, looked_to=found.looked_to
    )


def newest_runs(tx: Tx, *, limit: int, wanted: WantedRuns) -> ReadRuns:
    """Return the newest runs that fit, however far back they are: for who can wait for that."""
    found, behind = ReadRuns(runs=(), unreadable=()), None
    while (missing := limit - len(found.runs) - len(found.unreadable)) > 0:
        page = page_of_runs(tx, limit=missing, wanted=wanted, behind=behind)
        found = ReadRuns(runs=found.runs + page.runs, unreadable=found.unreadable + page.unreadable)
        behind = page.further
        if behind is None:
            break
    return found


def page_of_deliveries(
    tx: Tx, *, limit: int, wanted: WantedDeliveries | None = None, behind: Place | None = None
) -> DeliveriesPage:
    """As `page_of_runs`."""
    wanted = wanted or WantedDeliveries()
    few: list[ColumnElement[bool]] = []
    many: list[ColumnElement[bool]] = []
    # As with runs.
    if wanted.ticket is None and wanted.came is Came.WAITING:
        few.append(IS_PENDING)
    elif wanted.ticket is None and wanted.came is Came.NO_MAPPING:
        few.append(deliveries.c.reason == Reason.NO_MAPPING)
    else:
        many += _came(wanted.came, _plain(deliveries.c.state), _plain(deliveries.c.reason))
    if wanted.ticket is not None:
        few.append(deliveries.c.ticket_key == wanted.ticket)
    if wanted.source is not None:
        many.append(_plain(deliveries.c.source) == wanted.source)
    listed = _List(
        table=deliveries,
        columns=DELIVERY_LINE,
        at=deliveries.c.received_at,
        few=tuple(few),
        many=tuple(many),
    )
    found = _page(tx, listed, wanted.received, behind, limit)
    return DeliveriesPage(
        deliveries=tuple(map(delivery_line, found.rows)), further=found.further, looked_to=found.looked_to
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    rows: tuple[RowMapping, ...]
    further: Place | None
    looked_to: datetime | None = None


def _page(tx: Tx, listed: "_List", span: Span, behind: Place | None, limit: int) -> _Found:
    """Return the rows of a page; where each row must be looked at, some thousands of them are."""
    if not listed.many:
        rows = listed.rows(tx, span, behind, None, limit + 1)
        return _Found(rows=rows[:limit], further=listed.place(rows[limit - 1]) if rows[limit:] else None)
    rows, last = (), None
    for size in listed.steps:
        last = listed.skip(tx, span, behind, size)
        rows += listed.rows(tx, span, behind, last, limit + 1 - len(rows))
        if rows[limit:] or last is None:
            break
        behind = last
    if rows[limit:]:
        return _Found(rows=rows[:limit], further=listed.place(rows[limit - 1]))
    return _Found(rows=rows, further=last, looked_to=last.at if last else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    """The rows of a table by a time; an index leads to those that fit `few`, `many` needs a look at each."""

    table: Table
    columns: tuple[Column[Any], ...]
    at: Column[datetime]
    few: tuple[ColumnElement[bool], ...]
    many: tuple[ColumnElement[bool], ...]
    steps: tuple[int, ...] = _STEPS

    def rows(
        self, tx: Tx, span: Span, behind: Place | None, last: Place | None, limit: int
    ) -> tuple[RowMapping, ...]:
        """Return the newest that fit, from behind a place to another one, which counts."""
        fitting = select(*self.columns).where(*self._between(span, behind), *self.many)
        if last is not None:
            fitting = fitting.where(self.at >= last.at, or_(self.at > last.at, self.table.c.id >= last.id))
        return tuple(tx.connection.execute(self._newest(fitting).limit(limit)).mappings())

    def skip(self, tx: Tx, span: Span, behind: Place | None, size: int) -> Place | None:
        """Return the place that so many rows end at; None where there are not as many."""
        places = select(self.at, self.table.c.id).where(*self._between(span, behind))
        row = tx.connection.execute(self._newest(places).offset(size - 1).limit(1)).mappings().first()
        return None if row is None else self.place(row)

    def place(self, row: RowMapping) -> Place:
        """Return where a row stands."""
        return Place(at=row[self.at.name], id=row["id"])

    def _between(self, span: Span, behind: Place | None) -> Iterator[ColumnElement[bool]]:
        yield from self.few
        if span.since is not None:
            yield self.at >= span.since
        if span.until is not None:
            yield self.at < span.until
        if behind is not None:
            yield self.at <= behind.at
            yield or_(self.at < behind.at, self.table.c.id < behind.id)

    def _newest(self, query: Select[Any]) -> Select[Any]:
        return query.order_by(self.at.desc(), self.table.c.id.desc())


def _plain(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column as a value that no index is in the order of; one would lead past the order of time."""
    return func.coalesce(column, column)


def _came(
    came: Came | None, state: ColumnElement[str], reason: ColumnElement[str]
) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a delivery of which that came; what led to a run has no reason why not."""
    if came is None:
        return ()
    return {
        Came.RUN: (state == DeliveryState.EVALUATED, reason.is_(None)),
        Came.NO_MAPPING: (reason == Reason.NO_MAPPING,),
        Came.NEEDLESS: (reason != Reason.NO_MAPPING,),
        Came.WAITING: (state == DeliveryState.PENDING,),
    }[came]


def _about_device(device: str) -> ColumnElement[bool]:
    """Return the condition that a run is about a device, by what its ticket calls it, its name or its UID."""
    # A whole JSON string, so that a part of another name does not fit.
    text = json.dumps(device, ensure_ascii=False)
    return or_(
        runs.c.plan.icontains(text, autoescape=True),
        exists().where(device_uses.c.run == runs.c.id, device_uses.c.device == device.lower()),
        exists().where(calls.c.run == runs.c.id, calls.c.content.icontains(text, autoescape=True)),
    )
