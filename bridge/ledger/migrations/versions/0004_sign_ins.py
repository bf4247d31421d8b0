"""Who is signed in at the console.

It must not be changed once it was released.
"""

import sqlalchemy as sa
from alembic import op

from bridge.ledger.tables import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "sign_ins",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("proof", sa.String(length=64)),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_sign_ins"),
        comment="Who is signed in at the console; only a digest of each browser's secret is kept.",
    )
    op.create_index("ix_sign_ins_expires_at", "sign_ins", ["expires_at"])
