"""The tables of the ledger, one description for SQLite and PostgreSQL.

They must not hold statements; those stand beside the rule that they keep, in the modules of `ledger`.
"""

from bridge.ledger.tables.columns import METADATA, UtcDateTime, is_in
from bridge.ledger.tables.evidence import audit, refused_webhooks, seals, totals
from bridge.ledger.tables.safety import approvals, device_uses, pauses, tokens, trips
from bridge.ledger.tables.standing import accounts, facts, mapping_sets, sessions, source_watch
from bridge.ledger.tables.visiting import sign_ins
from bridge.ledger.tables.work import (
    IS_PENDING,
    OVER,
    UNENDED,
    UNPOSTED,
    calls,
    comments,
    deliveries,
    history,
    runs,
)

# The schema that this code reads and writes: the newest revision in migrations/versions.
SCHEMA_REVISION = "0005"

__all__ = [
    "IS_PENDING",
    "METADATA",
    "OVER",
    "SCHEMA_REVISION",
    "UNENDED",
    "UNPOSTED",
    "UtcDateTime",
    "accounts",
    "approvals",
    "audit",
    "calls",
    "comments",
    "deliveries",
    "device_uses",
    "facts",
    "history",
    "is_in",
    "mapping_sets",
    "pauses",
    "refused_webhooks",
    "runs",
    "seals",
    "sessions",
    "sign_ins",
    "source_watch",
    "tokens",
    "totals",
    "trips",
]
