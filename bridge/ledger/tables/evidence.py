"""The tables that tell what happened: the audit and its seals, and the counters of health and metrics.

It must not hold statements.
"""

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text

from bridge.ledger.tables.columns import METADATA, UtcDateTime, row_number

audit = Table(
    "audit",
    METADATA,
    Column("id", row_number, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("event", String(40), nullable=False),
    Column("about", Text, nullable=False),
    Column("by", Text),
    Column("detail", Text, nullable=False),
    comment="One row for each thing that matters; rows are only added, and sealed in segments.",
)

seals = Table(
    "seals",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False, unique=True),
    Column("count", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("chain", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("purged_at", UtcDateTime),
    comment="The chain over segments of the audit: each holds the hash of its rows and its forerunner.",
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

refused_webhooks = Table(
    "refused_webhooks",
    METADATA,
    Column("source", String(64), primary_key=True),
    Column("reason", String(32), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)
