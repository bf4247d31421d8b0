"""What came of deliveries and runs is counted by time from indexes alone.

It must not be changed once it was released.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add an index of the runs that are over, and two of the deliveries that led to no run."""
    for name, table, columns, those in (
        (
            "ix_runs_over",
            "runs",
            ["state", "created_at"],
            "state IN ('answered', 'refused', 'expired', 'cancelled', 'recorded')",
        ),
        ("ix_deliveries_reason", "deliveries", ["reason", "received_at"], "reason IS NOT NULL"),
        ("ix_deliveries_waiting", "deliveries", ["received_at"], "state = 'pending'"),
    ):
        op.create_index(name, table, columns, sqlite_where=sa.text(those), postgresql_where=sa.text(those))
