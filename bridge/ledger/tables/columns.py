"""What the tables are made of: a time in UTC, row numbers, names of constraints, and words in a statement.

It must not describe a table.
"""

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

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware datetime into UTC; SQLite gets it without the zone."""
        if value is None:
            return None
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return an aware datetime in UTC."""
        del dialect
        if value is None:
            return None
        assert isinstance(value, datetime)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


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

    SQLite takes the index only where its own words, in their order, are a condition of their own.
    """
    literals: list[ColumnElement[str]] = [literal_column(f"'{word}'") for word in states]
    return state == literals[0] if len(literals) == 1 else state.in_(literals)


# SQLite numbers rows by itself only in a column that is exactly INTEGER.
row_number = BigInteger().with_variant(Integer, "sqlite")
