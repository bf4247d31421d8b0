"""The tables of the work: what came in, what is run and sent, and what is owed to tickets.

It must not hold statements.
"""

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)

from bridge.ledger.tables.columns import METADATA, UtcDateTime, is_in, row_number

deliveries = Table(
    "deliveries",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("source", String(64), nullable=False),
    Column("key", String(255), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("timed", Integer, nullable=False),
    Column("signed", Integer, nullable=False, server_default="1"),
    Column("recovered", Integer, nullable=False, server_default="0"),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("detail", Text),
    Column("ticket_uid", Text),
    Column("ticket_key", Text),
    Column("ticket", Text),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("payload", Text, nullable=False),
    Column("findings", Text, nullable=False, server_default="[]"),
    Column("judged", Text, nullable=False, server_default="[]"),
    Column("mapping_set", String(64)),
    Column("received_at", UtcDateTime, nullable=False),
    Column("evaluated_at", UtcDateTime),
    Column("due_at", UtcDateTime, nullable=False),
    UniqueConstraint("source", "key"),
)
Index("ix_deliveries_ticket", deliveries.c.ticket_key, deliveries.c.received_at)
Index("ix_deliveries_received", deliveries.c.received_at)
Index("ix_deliveries_source", deliveries.c.source, deliveries.c.received_at)
Index("ix_deliveries_digest", deliveries.c.source, deliveries.c.digest, deliveries.c.received_at)
# In these words, so that SQLite takes the index.
IS_PENDING = deliveries.c.state == literal_column("'pending'")
Index(
    "ix_deliveries_pending",
    deliveries.c.source,
    deliveries.c.due_at,
    sqlite_where=IS_PENDING,
    postgresql_where=IS_PENDING,
)
Index("ix_deliveries_waiting", deliveries.c.received_at, sqlite_where=IS_PENDING, postgresql_where=IS_PENDING)
# Those that led to a run, which are in a hurry, have no reason and stay out of it.
_HAS_REASON = text("reason IS NOT NULL")
Index(
    "ix_deliveries_reason",
    deliveries.c.reason,
    deliveries.c.received_at,
    sqlite_where=_HAS_REASON,
    postgresql_where=_HAS_REASON,
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
    Column("action", Text),
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
    Column("intended_at", UtcDateTime),
    Column("waived", Integer, nullable=False, server_default="0"),
    Column("replay_of", String(32)),
    Column("purged_at", UtcDateTime),
    UniqueConstraint("source", "ticket_uid", "mapping", "key"),
    comment="One action for one ticket; the unique key is rule A2.",
)
# Limits count the runs that were sent lately, by the time of their newest intent (L1).
for _name, _columns in (
    ("ix_runs_intended", (runs.c.intended_at,)),
    ("ix_runs_intended_action", (runs.c.action, runs.c.intended_at)),
    ("ix_runs_intended_mapping", (runs.c.mapping, runs.c.intended_at)),
):
    Index(
        _name,
        *_columns,
        sqlite_where=runs.c.intended_at.is_not(None),
        postgresql_where=runs.c.intended_at.is_not(None),
    )
Index(
    "ix_runs_held",
    runs.c.due_at,
    sqlite_where=text("state = 'held'"),
    postgresql_where=text("state = 'held'"),
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
Index("ix_runs_unended", runs.c.state, runs.c.created_at, sqlite_where=_UNENDED, postgresql_where=_UNENDED)
# The others, each of which comes in once; a run that only starts is not in it.
OVER = ("answered", "refused", "expired", "cancelled", "recorded")
_OVER = is_in(runs.c.state, *OVER)
Index("ix_runs_over", runs.c.state, runs.c.created_at, sqlite_where=_OVER, postgresql_where=_OVER)
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
    Column("id", row_number, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("runs.id"), nullable=False),
    Column("source", String(64), nullable=False),
    Column("ticket_uid", Text, nullable=False),
    Column("ticket", Text, nullable=False),
    Column("occasion", String(16), nullable=False),
    Column("n", Integer, nullable=False),
    Column("marker", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("visibility", String(16), nullable=False),
    Column("change", Text),
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
Index(
    "ix_comments_due",
    comments.c.source,
    comments.c.due_at,
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
    Column("id", row_number, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("runs.id"), nullable=False, index=True),
    Column("at", UtcDateTime, nullable=False),
    Column("event", String(40), nullable=False),
    Column("by", Text),
    Column("detail", Text),
    comment="The timeline of a run, for people.",
)
