"""Seals the audit in segments that hang on one another, and finds what was changed since.

It must not change a row of the audit. A segment holds only rows below which no row can still appear.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, select, text

from bridge.errors import EvidenceBroken, NotPossible
from bridge.ledger import Tx
from bridge.ledger.in_force import put_fact
from bridge.ledger.tables import audit, facts, seals
from bridge.models import Json

HEAD_FACT: Final = "audit_head"
# The chain value before the first segment.
BEGINNING: Final = "0" * 64
_JSON: Final = json.JSONEncoder(separators=(",", ":"))
# A segment is bounded so that a backlog is sealed in bearable steps.
SEGMENT_ROWS: Final = 1_000

_NEWEST: Final = select(seals).order_by(seals.c.id.desc()).limit(1)
_NEWEST_ROW: Final = select(func.max(audit.c.id).label("newest"))
_UNSEALED: Final = select(func.count().label("count"), func.min(audit.c.at).label("oldest")).where(
    audit.c.id > bindparam("after")
)
# One statement, so that no seal can be made between the two.
_HEAD: Final = select(
    select(seals.c.chain).order_by(seals.c.id.desc()).limit(1).scalar_subquery().label("chain"),
    select(facts.c.value).where(facts.c.name == HEAD_FACT).scalar_subquery().label("made_last"),
)
# Who inserts into the audit holds this lock from before its row gets a number until it has committed.
_WRITERS: Final = text(
    "SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND granted "
    "AND relation = 'audit'::regclass AND mode = 'RowExclusiveLock' "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One row; `by` is a digest or None, `detail` JSON text."""

    id: int
    at: datetime
    event: str
    about: str
    by: str | None
    detail: str

    @property
    def canonical(self) -> str:
        """Return the row as one line of JSON, the same on every database."""
        return _canonical(self.id, _instant(self.at), self.event, self.about, self.by, self.detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A segment: the rows numbered `first` to `last`, `count` of them, under the hash of their lines.

    `chain` covers all of that and the chain value of the segment before; it is what a head is.
    """

    id: int
    first: int
    last: int
    count: int
    digest: str
    chain: str
    at: datetime
    purged_at: datetime | None = None

    def chained_to(self, before: str) -> str:
        """Return the chain value that this segment must have after another one."""
        content = (self.id, self.first, self.last, self.count, self.digest, _instant(self.at), before)
        return _sha256(_canonical(*content))


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """The newest row that is seen, and the transactions that may still bring one below it."""

    newest: int
    writers: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """How many rows are not sealed yet, and since when the oldest of them waits."""

    count: int
    oldest: datetime | None


def horizon(tx: Tx) -> Horizon:
    """Look up to where the audit can be sealed, once `writers` have ended; SQLite has none beside us."""
    newest = newest_row(tx)
    # In this order: who has a number below the newest, and is not seen yet, holds the lock still.
    return Horizon(newest=newest, writers=writers(tx))


def newest_row(tx: Tx) -> int:
    """Return the number of the newest row that is seen; 0 where there is none."""
    return tx.value(_NEWEST_ROW, {}) or 0


def writers(tx: Tx) -> frozenset[str]:
    """Return the transactions that have inserted into the audit and go on, as PostgreSQL names them."""
    if tx.connection.dialect.name == "sqlite":
        return frozenset()
    return frozenset(tx.connection.execute(_WRITERS).scalars())


def next_seal(tx: Tx, *, up_to: int) -> Seal | None:
    """Return the seal that follows the newest; None where nothing waits, or another worker is ahead.

    Raises EvidenceBroken where the newest seal is not the one that was made last.
    """
    chain, made_last = head(tx)
    if chain != made_last:
        raise EvidenceBroken("the newest seal is not the one that was made last (see `bridge audit verify`)")
    before = newest_seal(tx)
    if chain != (None if before is None else before.chain):
        return None
    first = 1 if before is None else before.last + 1
    waiting = (
        select(audit).where(audit.c.id >= first, audit.c.id <= up_to).order_by(audit.c.id).limit(SEGMENT_ROWS)
    )
    rows = tuple(map(_row, tx.connection.execute(waiting)))
    return sealing(before, rows, tx.now) if rows else None


def head(tx: Tx) -> tuple[str | None, str | None]:
    """Return the chain value of the newest seal, and that of the seal made last: they are the same."""
    chain, made_last = tx.connection.execute(_HEAD).one()
    return chain, made_last


def is_whole(tx: Tx) -> bool:
    """Say whether the newest seal is the one that was made last, so that more may be built on it."""
    (row,) = tx.run(_HEAD, {})
    return bool(row["chain"] == row["made_last"])


def sealing(before: Seal | None, rows: tuple[AuditRow, ...], now: datetime) -> Seal:
    """Make the seal of the rows that follow a seal."""
    open_seal = Seal(
        id=1 if before is None else before.id + 1,
        first=1 if before is None else before.last + 1,
        last=rows[-1].id,
        count=len(rows),
        digest=digest_of(rows),
        chain="",
        at=now,
    )
    chain = open_seal.chained_to(BEGINNING if before is None else before.chain)
    return replace(open_seal, chain=chain)


def digest_of(rows: Iterable[AuditRow]) -> str:
    """Return the hash of rows, each a line."""
    return _sha256("".join(f"{row.canonical}\n" for row in rows))


def add_seal(tx: Tx, *, seal: Seal) -> bool:
    """Add a seal behind the one it was made for; return False where another worker did that first."""
    made = tx.connection.execute(
        tx.insert(seals).on_conflict_do_nothing().returning(seals.c.id), asdict(seal)
    ).scalar()
    if made is None:
        return False
    put_fact(tx, name=HEAD_FACT, value=seal.chain)
    return True


def newest_seal(tx: Tx) -> Seal | None:
    """Return the newest seal: the head of the chain."""
    rows = tx.run(_NEWEST, {})
    return Seal(**rows[0]) if rows else None


def unsealed(tx: Tx) -> Unsealed:
    """Count the rows behind the newest seal."""
    newest = newest_seal(tx)
    (row,) = tx.run(_UNSEALED, {"after": newest.last if newest else 0})
    return Unsealed(**row)


def export(
    tx: Tx,
    *,
    emit: Callable[[Json], None],
    since: datetime | None = None,
    until: datetime | None = None,
    about: str | None = None,
) -> None:
    """Hand out rows in order, and each seal behind the rows of its segment that were handed out.

    `since` is within, `until` is not; `about` is the id of a run or delivery. Raises NotPossible where the
    audit has nothing about it at any time.
    """
    if about is not None and not _is_known(tx, about):
        raise NotPossible(f"the audit has nothing about {about} (see `bridge runs`; it may have been purged)")
    query = select(audit).order_by(audit.c.id).execution_options(yield_per=SEGMENT_ROWS)
    if since is not None:
        query = query.where(audit.c.at >= since)
    if until is not None:
        query = query.where(audit.c.at < until)
    if about is not None:
        query = query.where(audit.c.about == about)
    seal: Seal | None = None
    for row in map(_row, tx.connection.execute(query)):
        if seal is not None and row.id > seal.last:
            emit(_seal_as_json(seal))
            seal = None
        if seal is None:
            seal = _seal_over(tx, row.id)
        emit(
            {
                "row": row.id,
                "at": _instant(row.at),
                "event": row.event,
                "about": row.about,
                "by": row.by,
                "detail": row.detail,
            }
        )
    if seal is not None:
        emit(_seal_as_json(seal))


def _is_known(tx: Tx, about: str) -> bool:
    found = select(audit.c.id).where(audit.c.about == about).limit(1)
    return tx.connection.execute(found).scalar() is not None


def seal_of(row: Row[Any]) -> Seal:
    """Return a row of `seals` as a value."""
    return Seal(**{name: getattr(row, name) for name in seals.c.keys()})  # noqa: SIM118 - not a dictionary


def _seal_over(tx: Tx, row: int) -> Seal | None:
    found = tx.connection.execute(
        select(seals).where(seals.c.last >= row).order_by(seals.c.last).limit(1)
    ).first()
    return None if found is None else seal_of(found)


def _seal_as_json(seal: Seal) -> Json:
    purged_at = _instant(seal.purged_at) if seal.purged_at else None
    values = asdict(seal) | {"at": _instant(seal.at), "purged_at": purged_at}
    return {"seal": values.pop("id"), **values}


def _row(row: Row[Any]) -> AuditRow:
    return AuditRow(id=row.id, at=row.at, event=row.event, about=row.about, by=row.by, detail=row.detail)


def _canonical(*values: object) -> str:
    return _JSON.encode(values)


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def _sha256(text_: str) -> str:
    return hashlib.sha256(text_.encode()).hexdigest()
