"""What the tables are made of: a time in UTC, row numbers, names of constraints, and words in a statement.

It must not describe a table.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    TypeDecorator,
    literal_column,
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC: `timestamptz` on PostgreSQL, sortable text on SQLite, which has no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        """Return what turns an aware datetime into what the driver takes."""
        return _as_text if dialect.name == "sqlite" else _in_utc

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return what turns the driver's value into an aware datetime in UTC."""
        del coltype
        return _of_text if dialect.name == "sqlite" else _in_utc


# SQLAlchemy's own pair for SQLite takes four times as long, and an event has dozens of times.
def _as_text(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat(" ", "microseconds")[:-6]


def _of_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value).replace(tzinfo=UTC)


def _in_utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)


METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def is_in(state: ColumnElement[str], *states: str) -> ColumnElement[bool]:
    """Compare a state with words that stand in the statement: parameters keep SQLite off a partial index.

    SQLite takes the index only where its own words, in their order, are a condition of their own. Of a
    parameter it asks anew at every execution which words it has, and plans the whole statement again.
    """
    literals: list[ColumnElement[str]] = [literal_column(f"'{word}'") for word in states]
    return state == literals[0] if len(literals) == 1 else state.in_(literals)


# SQLite numbers rows by itself only in a column that is exactly INTEGER.
row_number = BigInteger().with_variant(Integer, "sqlite")
