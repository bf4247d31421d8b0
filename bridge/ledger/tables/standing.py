"""The tables of what is in force: facts of the ledger, mapping sets, our accounts, worker sessions.

It must not hold statements.
"""

from sqlalchemy import Column, Integer, String, Table, Text

from bridge.ledger.tables.columns import METADATA, UtcDateTime

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

source_watch = Table(
    "source_watch",
    METADATA,
    Column("source", String(64), primary_key=True),
    Column("asked_at", UtcDateTime),
    Column("reached_at", UtcDateTime),
    Column("looked_at", UtcDateTime),
    Column("usual_seconds", Integer),
    comment="How far each source was asked for what never arrived, and how long it is usually silent.",
)
