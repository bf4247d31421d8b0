"""Holds the audit against its seals, and says what was changed, removed or put in.

It must not change anything, nor stop at the first fault. It cannot see what was done to rows that are not
sealed, nor a chain that was made anew as a whole, unless it is given a head that was noted elsewhere.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Row, func, select

from bridge.ledger import Tx
from bridge.ledger.auditing import (
    BEGINNING,
    AuditRow,
    Seal,
    Unsealed,
    digest_of,
    head,
    seal_of,
    unsealed,
)
from bridge.ledger.tables import audit, seals

# A purge says in the audit how far it went; this event, with `through` in its detail.
PURGED: Final = "audit_purged"
# Rows are read in portions, however many there are.
_PORTION: Final = 1_000
_SEALED: Final = (
    select(
        seals,
        *(audit.c[name].label(f"row_{name}") for name in ("id", "at", "event", "about", "by", "detail")),
    )
    .select_from(seals.outerjoin(audit, audit.c.id.between(seals.c.first, seals.c.last)))
    .order_by(seals.c.id, audit.c.id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What does not fit; `segment` None where it is about the audit as a whole."""

    segment: int | None
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found: how much is sealed, purged and not sealed yet, the head, and every fault."""

    segments: int
    rows: int
    purged_segments: int
    head: Seal | None
    unsealed: Unsealed
    faults: tuple[Fault, ...]


class _Walk:
    """The way along the chain: what was counted and what the segment before said."""

    def __init__(self, *, kept_since: datetime) -> None:
        self._kept_since = kept_since
        self.rows = self.purged = self.purged_through = 0
        self.segments: int = 0
        self.last: Seal | None = None
        self.chains: set[str] = set()

    def step(self, seal: Seal, rows: tuple[AuditRow, ...]) -> Iterator[Fault]:
        """Take the next segment, and yield what is wrong with it."""
        yield from (Fault(segment=seal.id, what=what) for what in self._wrong_with(seal, rows))
        self.segments += 1
        self.rows += len(rows)
        self.last = seal
        self.chains.add(seal.chain)
        self.purged_through = max(self.purged_through, 0, *(_through(row.event, row.detail) for row in rows))
        if seal.purged_at is not None:
            self.purged = max(self.purged, seal.id)

    def _wrong_with(self, seal: Seal, rows: tuple[AuditRow, ...]) -> Iterator[str]:
        expected, first, chain = 1, 1, BEGINNING
        if self.last is not None:
            expected, first, chain = self.last.id + 1, self.last.last + 1, self.last.chain
        if seal.id > expected:
            yield f"the seals of segments {expected} to {seal.id - 1} are missing"
        elif seal.id < expected:
            yield "a seal stands where none was made"
        elif seal.first != first or seal.chained_to(chain) != seal.chain:
            yield "its seal was changed, or the seal before it"
        if seal.purged_at is None:
            yield from _wrong_rows(seal, rows)
        elif rows:
            yield f"its rows were purged, and rows {_named(rows)} stand in their place"
        elif seal.at > self._kept_since:
            yield "it stands as purged and is younger than BRIDGE_KEEP_AUDIT (was that raised since?)"


def verify(tx: Tx, *, heads: Iterable[str] = (), kept: timedelta = timedelta()) -> Verification:
    """Check every row and seal; `heads` are chain values that were noted elsewhere.

    `kept` is how long rows are kept: a segment that is younger and stands as purged was not purged by us.
    """
    walk = _Walk(kept_since=tx.now - kept)
    faults: list[Fault] = []
    found = tx.connection.execute(_SEALED, execution_options={"yield_per": _PORTION})
    for _, lines in groupby(found, key=lambda line: line.id):
        seal, rows = _segment(lines)
        faults += walk.step(seal, rows)
    faults += _as_a_whole(tx, walk, heads)
    return Verification(
        segments=walk.segments,
        rows=walk.rows,
        purged_segments=walk.purged,
        head=walk.last,
        unsealed=unsealed(tx),
        faults=tuple(faults),
    )


def _segment(lines: Iterable[Row[Any]]) -> tuple[Seal, tuple[AuditRow, ...]]:
    taken = tuple(lines)
    rows = tuple(
        AuditRow(
            id=line.row_id,
            at=line.row_at,
            event=line.row_event,
            about=line.row_about,
            by=line.row_by,
            detail=line.row_detail,
        )
        for line in taken
        if line.row_id is not None
    )
    return seal_of(taken[0]), rows


def _wrong_rows(seal: Seal, rows: tuple[AuditRow, ...]) -> Iterator[str]:
    if len(rows) < seal.count:
        absent = sorted(set(range(seal.first, seal.last + 1)) - {row.id for row in rows})
        yield f"{seal.count - len(rows)} rows were removed; these numbers are absent: {_ranges(absent)}"
    elif len(rows) > seal.count:
        yield f"{len(rows) - seal.count} rows were put in among {_named(rows)}"
    elif digest_of(rows) != seal.digest:
        yield f"a row was changed among {_named(rows)}"


def _as_a_whole(tx: Tx, walk: _Walk, heads: Iterable[str]) -> Iterator[Fault]:
    below = tx.connection.execute(select(func.count()).where(audit.c.id < 1)).scalar_one()
    if below:
        yield Fault(segment=None, what=f"{below} rows were put in before the first")
    chain, made_last = head(tx)
    if chain != made_last:
        yield Fault(segment=None, what="the newest seal is not the one that was made last")
    yield from _unexplained_purge(tx, walk)
    for noted in heads:
        if noted not in walk.chains:
            what = f"the head {noted} is not in this chain: it was made anew, or is another ledger's"
            yield Fault(segment=None, what=what)


def _unexplained_purge(tx: Tx, walk: _Walk) -> Iterator[Fault]:
    """Find segments that stand as purged though no purge said in the audit that it went so far."""
    last = 0 if walk.last is None else walk.last.last
    behind = select(audit.c.event, audit.c.detail).where(audit.c.id > last, audit.c.event == PURGED)
    told = (_through(row.event, row.detail) for row in tx.connection.execute(behind))
    if walk.purged > max((walk.purged_through, *told)):
        what = "it stands as purged, and the audit tells of no purge that went so far"
        yield Fault(segment=walk.purged, what=what)


def _through(event: str, detail: str) -> int:
    """Return the segment up to which a row says that it was purged; 0 for any other row."""
    if event != PURGED:
        return 0
    try:
        return int(json.loads(detail)["through"])
    except (ValueError, TypeError, KeyError):
        # Such a row was not written by the bridge; its segment tells of that.
        return 0


def _named(rows: tuple[AuditRow, ...]) -> str:
    return _ranges([row.id for row in rows])


def _ranges(numbers: list[int]) -> str:
    """Return sorted numbers as `3, 5-9`."""
    parts: list[tuple[int, int]] = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1] = (parts[-1][0], number)
        else:
            parts.append((number, number))
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in parts)
