"""The tables of what bounds the work: pauses, uses and trips of limits, approvals and who may give them.

It must not hold statements.
"""

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text, UniqueConstraint

from bridge.ledger.tables.columns import METADATA, UtcDateTime, row_number

pauses = Table(
    "pauses",
    METADATA,
    Column("id", row_number, primary_key=True, autoincrement=True),
    Column("scope", String(16), nullable=False),
    Column("value", Text, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("author", Text),
    Column("detail", Text),
    Column("at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("run", String(32)),
    UniqueConstraint("scope", "value"),
    comment="What is not sent until it is lifted or expires; a portal's own trouble is one of them (S6).",
)

device_uses = Table(
    "device_uses",
    METADATA,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("device", String(32), primary_key=True),
    Column("action", Text, nullable=False),
    Column("mapping", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    comment="Which device an intent reached last, for cool-downs and devices per day (L1).",
)
Index("ix_device_uses_device", device_uses.c.action, device_uses.c.device, device_uses.c.at)
Index("ix_device_uses_at", device_uses.c.at)
Index("ix_device_uses_action", device_uses.c.action, device_uses.c.at)
Index("ix_device_uses_mapping", device_uses.c.mapping, device_uses.c.at)

trips = Table(
    "trips",
    METADATA,
    Column("scope", String(16), primary_key=True),
    Column("value", Text, primary_key=True),
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    comment="Which run a limit held, once each: so many in a window pause what the limit is about.",
)
Index("ix_trips_at", trips.c.scope, trips.c.value, trips.c.at)

approvals = Table(
    "approvals",
    METADATA,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("plan_hash", String(64), nullable=False),
    Column("parts", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("decided_by", Text),
    comment="What a run needs before it is sent, bound to its plan by the hash.",
)

tokens = Table(
    "tokens",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("identities", Text, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    comment="Personal tokens of those who may approve; only a digest of each is kept.",
)
