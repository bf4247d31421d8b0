"""What bounds the work and tells of it: pauses by scope, uses of devices, approvals, tokens, the audit.

It must not be changed once it was released. Limits count runs that were sent before, but not their devices.
"""

import sqlalchemy as sa
from alembic import op

from bridge.ledger.tables import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INTENDED = "intended_at IS NOT NULL"


def upgrade() -> None:
    """Add the columns and tables, and carry over what stands in the ledger."""
    _deliveries()
    _runs()
    _comments()
    _pauses()
    _uses_and_trips()
    _approvals()
    _audit()
    _sources()


def _deliveries() -> None:
    op.add_column("deliveries", sa.Column("signed", sa.Integer(), server_default="1", nullable=False))
    op.add_column("deliveries", sa.Column("recovered", sa.Integer(), server_default="0", nullable=False))
    op.add_column("deliveries", sa.Column("ticket", sa.Text()))
    op.add_column("deliveries", sa.Column("tries", sa.Integer(), server_default="0", nullable=False))
    op.add_column("deliveries", sa.Column("judged", sa.Text(), server_default="[]", nullable=False))
    pending = sa.text("state = 'pending'")
    op.drop_index("ix_deliveries_pending", "deliveries")
    op.create_index(
        "ix_deliveries_pending",
        "deliveries",
        ["source", "due_at"],
        sqlite_where=pending,
        postgresql_where=pending,
    )
    op.create_index("ix_deliveries_source", "deliveries", ["source", "received_at"])


def _comments() -> None:
    op.add_column("comments", sa.Column("change", sa.Text()))
    unposted = sa.text("state IN ('owed', 'posting')")
    op.create_index(
        "ix_comments_due",
        "comments",
        ["source", "due_at", "id"],
        sqlite_where=unposted,
        postgresql_where=unposted,
    )


def _runs() -> None:
    op.add_column("runs", sa.Column("action", sa.Text()))
    op.add_column("runs", sa.Column("intended_at", UtcDateTime()))
    op.add_column("runs", sa.Column("waived", sa.Integer(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("replay_of", sa.String(length=32)))
    op.add_column("runs", sa.Column("purged_at", UtcDateTime()))
    sqlite = op.get_bind().dialect.name == "sqlite"
    action = "json_extract(plan, '$.action')" if sqlite else "CAST(plan AS json) ->> 'action'"
    op.execute(
        f"UPDATE runs SET action = {action}, "  # noqa: S608 - one of two constants
        "intended_at = (SELECT max(calls.intended_at) FROM calls WHERE calls.run = runs.id) "
        "WHERE plan IS NOT NULL"
    )
    for name, columns in (
        ("ix_runs_intended", ["intended_at"]),
        ("ix_runs_intended_action", ["action", "intended_at"]),
        ("ix_runs_intended_mapping", ["mapping", "intended_at"]),
    ):
        op.create_index(
            name, "runs", columns, sqlite_where=sa.text(_INTENDED), postgresql_where=sa.text(_INTENDED)
        )
    held = sa.text("state = 'held'")
    op.create_index("ix_runs_held", "runs", ["due_at"], sqlite_where=held, postgresql_where=held)


def _pauses() -> None:
    before = sa.table(
        "pauses", sa.column("portal"), sa.column("reason"), sa.column("at", UtcDateTime()), sa.column("run")
    )
    standing = op.get_bind().execute(sa.select(before)).all()
    op.drop_table("pauses")
    pauses = op.create_table(
        "pauses",
        sa.Column("id", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("author", sa.Text()),
        sa.Column("detail", sa.Text()),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime()),
        sa.Column("run", sa.String(length=32)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pauses")),
        sa.UniqueConstraint("scope", "value", name=op.f("uq_pauses_scope")),
        comment="What is not sent until it is lifted or expires; a portal's own trouble is one of them (S6).",
    )
    for portal, reason, at, run in standing:
        op.get_bind().execute(
            sa.insert(pauses).values(scope="portal", value=portal, reason=reason, at=at, run=run)
        )


def _uses_and_trips() -> None:
    op.create_table(
        "device_uses",
        sa.Column("run", sa.String(length=32), nullable=False),
        sa.Column("device", sa.String(length=32), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("mapping", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_device_uses_run_runs")),
        sa.PrimaryKeyConstraint("run", "device", name=op.f("pk_device_uses")),
        comment="Which device an intent reached last, for cool-downs and devices per day (L1).",
    )
    op.create_index("ix_device_uses_device", "device_uses", ["action", "device", "at"])
    op.create_index("ix_device_uses_at", "device_uses", ["at"])
    op.create_index("ix_device_uses_action", "device_uses", ["action", "at"])
    op.create_index("ix_device_uses_mapping", "device_uses", ["mapping", "at"])
    op.create_table(
        "trips",
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("run", sa.String(length=32), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_trips_run_runs")),
        sa.PrimaryKeyConstraint("scope", "value", "run", name=op.f("pk_trips")),
        comment="Which run a limit held, once each: so many in a window pause what the limit is about.",
    )
    op.create_index("ix_trips_at", "trips", ["scope", "value", "at"])


def _approvals() -> None:
    op.create_table(
        "approvals",
        sa.Column("run", sa.String(length=32), nullable=False),
        sa.Column("plan_hash", sa.String(length=64), nullable=False),
        sa.Column("parts", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("decided_at", UtcDateTime()),
        sa.Column("decided_by", sa.Text()),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_approvals_run_runs")),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_approvals")),
        comment="What a run needs before it is sent, bound to its plan by the hash.",
    )
    op.create_table(
        "tokens",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("identities", sa.Text(), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
        comment="Personal tokens of those who may approve; only a digest of each is kept.",
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("by", sa.Text()),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        comment="One row for each thing that matters; rows are only added, and sealed in segments.",
    )
    op.create_table(
        "seals",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("chain", sa.String(length=64), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("purged_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seals")),
        sa.UniqueConstraint("last", name=op.f("uq_seals_last")),
        comment="The chain over segments of the audit: each holds the hash of its rows and its forerunner.",
    )


def _sources() -> None:
    op.create_table(
        "source_watch",
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("asked_at", UtcDateTime()),
        sa.Column("reached_at", UtcDateTime()),
        sa.Column("looked_at", UtcDateTime()),
        sa.Column("usual_seconds", sa.Integer()),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_source_watch")),
        comment="How far each source was asked for what never arrived, and how long it is usually silent.",
    )
