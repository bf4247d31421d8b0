"""The table of who is signed in at the console.

It must not hold statements.
"""

from sqlalchemy import Column, Index, String, Table

from bridge.ledger.tables.columns import METADATA, UtcDateTime

sign_ins = Table(
    "sign_ins",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("way", String(16), nullable=False),
    Column("proof", String(64)),
    Column("made_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    comment="Who is signed in at the console; only a digest of each browser's secret is kept.",
)
Index("ix_sign_ins_expires_at", sign_ins.c.expires_at)
