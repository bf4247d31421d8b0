"""Copies all rows of a ledger into an empty one, table by table, and reads back what arrived.

It must not commit, nor change a row on the way: a copy is the same on SQLite and PostgreSQL.
"""

import hashlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, Table, func, select, text
from sqlalchemy.exc import DatabaseError

from bridge.errors import NotPossible
from bridge.ledger import Tx
from bridge.ledger.tables import METADATA

# Rows travel in portions, however many there are.
_PORTION: Final = 1_000
# Sums of digests are taken modulo this, so that they stay as long as one digest.
_MODULUS: Final = 1 << 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a table holds: how many rows, and the sum of the digests of all of them, in whatever order."""

    table: str
    rows: int
    digest: int


def first_filled(tx: Tx) -> str | None:
    """Return the name of a table that holds a row; None where the ledger is empty."""
    for table in METADATA.sorted_tables:
        if tx.connection.execute(select(table).limit(1)).first() is not None:
            return table.name
    return None


def copy_rows(source: Tx, target: Tx) -> Iterator[Content]:
    """Copy every table into an empty ledger, one after the other, and yield what was read of each.

    What refers to a row comes after it. Raises NotPossible where the target does not take a row.
    """
    for table in METADATA.sorted_tables:
        count = total = 0
        with closing(_portions(source, table)) as portions:
            for portion in portions:
                _insert(target, table, portion)
                count, total = count + len(portion), total + _sum(portion)
        _settle(target, table)
        yield Content(table=table.name, rows=count, digest=total % _MODULUS)


def content(tx: Tx) -> Iterator[Content]:
    """Read every table, and yield what it holds."""
    for table in METADATA.sorted_tables:
        count = total = 0
        for portion in _portions(tx, table):
            count, total = count + len(portion), total + _sum(portion)
        yield Content(table=table.name, rows=count, digest=total % _MODULUS)


def _portions(tx: Tx, table: Table) -> Generator[list[Row[Any]]]:
    with tx.connection.execute(select(table), execution_options={"yield_per": _PORTION}) as found:
        for portion in found.partitions():
            yield list(portion)


def _insert(tx: Tx, table: Table, rows: Iterable[Row[Any]]) -> None:
    try:
        tx.connection.execute(table.insert().inline(), [dict(row._mapping) for row in rows])
    except DatabaseError as error:
        # The database's own words would show the row.
        why = type(error.orig).__name__
        raise NotPossible(
            f"the target does not take a row of the table {table.name} ({why}); nothing was copied"
        ) from None


def _sum(rows: Iterable[Row[Any]]) -> int:
    return sum(int.from_bytes(hashlib.sha256(repr(tuple(row)).encode()).digest()) for row in rows)


def _settle(tx: Tx, table: Table) -> None:
    """Let PostgreSQL plan for the rows that came, and number the next one behind them; SQLite does anyway."""
    if tx.connection.dialect.name == "sqlite":
        return
    # Until it has counted by itself, a million rows are as few as none to its planner.
    tx.connection.execute(text(f"ANALYZE {table.name}"))
    numbered = table.autoincrement_column
    if numbered is None:
        return
    newest = tx.connection.execute(select(func.max(numbered))).scalar()
    if newest is not None:
        sequence = text("SELECT setval(pg_get_serial_sequence(:table, :column), :newest)")
        values = {"table": table.name, "column": numbered.name, "newest": newest}
        tx.connection.execute(sequence, values)
