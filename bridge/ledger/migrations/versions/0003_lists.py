"""What has not ended is listed by its state, the newest first, without a sort of all of it.

It must not be changed once it was released.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let the index of what has not ended be in the order of time."""
    unended = sa.text("state IN ('queued', 'claimed', 'sending', 'held', 'unknown', 'dead')")
    op.drop_index("ix_runs_unended", "runs")
    op.create_index(
        "ix_runs_unended",
        "runs",
        ["state", "created_at"],
        sqlite_where=unended,
        postgresql_where=unended,
    )
