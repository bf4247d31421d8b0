"""Decides whether a run may be sent now: run and usage in, verdict out.

It must not read a clock or the ledger; the transaction that commits the intent brings what it needs (L1).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bridge.errors import Reason
from bridge.models import Plan


class Verdict(StrEnum):
    GO = "go"
    HOLD = "hold"
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the ledger knows at the moment of the intent; `paused` is why the portal takes nothing."""

    now: datetime
    paused: Reason | None


def admit(plan: Plan, usage: Usage) -> Verdict:
    """Say whether a plan may be sent; too old goes before paused, so that a release never fires old work."""
    if usage.now - plan.occurred_at > plan.max_age:
        return Verdict.EXPIRE
    if usage.paused is not None:
        return Verdict.HOLD
    return Verdict.GO
