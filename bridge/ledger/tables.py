"""The tables of the ledger, one description for SQLite and PostgreSQL.

It must not hold statements; those stand beside the rule that they keep, in the modules of this package.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    literal_column,
    text,
)

# The schema that this code reads and writes: the newest revision in migrations/versions.
SCHEMA_REVISION = "0001"


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
    return state.in_([literal_column(f"'{word}'") for word in states])


# SQLite numbers rows by itself only in a column that is exactly INTEGER.
_row_number = BigInteger().with_variant(Integer, "sqlite")

facts = Table(
    "facts",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    comment="What the ledger knows of itself: its place, last beat, probe, mapping set.",
)

mapping_sets = Table(
    "mapping_sets",
    METADATA,
    Column("hash", String(64), primary_key=True),
    Column("texts", Text, nullable=False),
    Column("accepted_at", UtcDateTime, nullable=False),
    Column("accepted_by", String(255), nullable=False),
)

accounts = Table(
    "accounts",
    METADATA,
    Column("source", String(64), primary_key=True),
    Column("person", Text, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    comment="Our own account in each ticket system, so that our own changes are ignored (A3).",
)

sessions = Table(
    "sessions",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("beat", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("beat_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    comment="Worker sessions; one is dead when its beat stands still for an observer (W1).",
)

deliveries = Table(
    "deliveries",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("source", String(64), nullable=False),
    Column("key", String(255), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("timed", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("detail", Text),
    Column("ticket_uid", Text),
    Column("ticket_key", Text),
    Column("payload", Text, nullable=False),
    Column("findings", Text, nullable=False, server_default="[]"),
    Column("mapping_set", String(64)),
    Column("received_at", UtcDateTime, nullable=False),
    Column("evaluated_at", UtcDateTime),
    Column("due_at", UtcDateTime, nullable=False),
    UniqueConstraint("source", "key"),
)
Index("ix_deliveries_ticket", deliveries.c.ticket_key, deliveries.c.received_at)
Index("ix_deliveries_received", deliveries.c.received_at)
Index("ix_deliveries_digest", deliveries.c.source, deliveries.c.digest, deliveries.c.received_at)
Index(
    "ix_deliveries_pending",
    deliveries.c.due_at,
    sqlite_where=text("state = 'pending'"),
    postgresql_where=text("state = 'pending'"),
)

runs = Table(
    "runs",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("delivery", ForeignKey("deliveries.id"), nullable=False),
    Column("source", String(64), nullable=False),
    Column("ticket_uid", Text, nullable=False),
    Column("ticket_key", Text, nullable=False),
    Column("ticket", Text, nullable=False),
    Column("mapping", Text, nullable=False),
    Column("key", String(255), nullable=False),
    Column("portal", String(64)),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("detail", Text),
    Column("plan", Text),
    Column("owner", String(32)),
    Column("crashes", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    UniqueConstraint("source", "ticket_uid", "mapping", "key"),
    comment="One action for one ticket; the unique key is rule A2.",
)
Index("ix_runs_ticket", runs.c.ticket_key, runs.c.created_at)
Index("ix_runs_created", runs.c.created_at)
Index(
    "ix_runs_queued",
    runs.c.portal,
    runs.c.due_at,
    sqlite_where=text("state = 'queued'"),
    postgresql_where=text("state = 'queued'"),
)
# Every unfinished or waiting run; ended ones, which are nearly all, stay out of it.
UNENDED = ("queued", "claimed", "sending", "held", "unknown", "dead")
_UNENDED = is_in(runs.c.state, *UNENDED)
Index("ix_runs_unended", runs.c.state, sqlite_where=_UNENDED, postgresql_where=_UNENDED)
Index(
    "ix_runs_owner",
    runs.c.owner,
    sqlite_where=text("owner IS NOT NULL"),
    postgresql_where=text("owner IS NOT NULL"),
)

calls = Table(
    "calls",
    METADATA,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("content", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("result", Text),
    Column("intended_at", UtcDateTime),
    Column("latest_end", UtcDateTime),
    Column("ended_at", UtcDateTime),
    comment="One Act request each: the intent before the first byte, the answer after (S1, S8).",
)

comments = Table(
    "comments",
    METADATA,
    Column("id", _row_number, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("runs.id"), nullable=False),
    Column("source", String(64), nullable=False),
    Column("ticket_uid", Text, nullable=False),
    Column("ticket", Text, nullable=False),
    Column("occasion", String(16), nullable=False),
    Column("n", Integer, nullable=False),
    Column("marker", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("visibility", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("detail", Text),
    Column("owner", String(32)),
    Column("attempt", Integer, nullable=False),
    Column("owed_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("posting_until", UtcDateTime),
    Column("uncertain_until", UtcDateTime),
    Column("posted_at", UtcDateTime),
    Column("posted_id", Text),
    UniqueConstraint("run", "occasion", "n"),
    comment="The outbox: a comment owed is a row, committed with the change that owes it.",
)
UNPOSTED = ("owed", "posting")
_UNPOSTED = is_in(comments.c.state, *UNPOSTED)
Index(
    "ix_comments_unposted",
    comments.c.source,
    comments.c.ticket_uid,
    comments.c.id,
    sqlite_where=_UNPOSTED,
    postgresql_where=_UNPOSTED,
)
_UNDELIVERABLE = "state = 'undeliverable'"
Index(
    "ix_comments_undeliverable",
    comments.c.owed_at,
    sqlite_where=text(_UNDELIVERABLE),
    postgresql_where=text(_UNDELIVERABLE),
)

history = Table(
    "history",
    METADATA,
    Column("id", _row_number, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("runs.id"), nullable=False, index=True),
    Column("at", UtcDateTime, nullable=False),
    Column("event", String(40), nullable=False),
    Column("by", Text),
    Column("detail", Text),
    comment="The timeline of a run, for people.",
)

pauses = Table(
    "pauses",
    METADATA,
    Column("portal", String(64), primary_key=True),
    Column("reason", String(32), nullable=False),
    Column("detail", Text),
    Column("at", UtcDateTime, nullable=False),
    Column("run", String(32)),
    comment="Portals to which nothing is sent until a person releases them (S6).",
)

refused_webhooks = Table(
    "refused_webhooks",
    METADATA,
    Column("source", String(64), primary_key=True),
    Column("reason", String(32), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)

totals = Table(
    "totals",
    METADATA,
    Column("kind", String(24), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    comment="Counters for health and metrics, kept in the same transaction as what they count.",
)
