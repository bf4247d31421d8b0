"""Counts what came in and what became of it in steps of time, for charts; each count reads part of an index.

It must not read rows: a week may hold a million of them. Nor does it say what a count means.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, ScalarSelect, bindparam, func, select

from bridge.ledger import Tx
from bridge.ledger.tables import IS_PENDING, OVER, UNENDED, deliveries, is_in, runs
from bridge.models import DeliveryState, RunState

# What came of a delivery that led to a run; of another it is its reason, or that it waits.
MATCHED: Final = "matched"
# For so long a count is taken over: a person may have what is over sent again, or removed.
STANDS: Final = timedelta(hours=1)
# So long after its time a row may still be committed.
LATE: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A part of the time that is looked at, its end not included, and how many of what it saw."""

    since: datetime
    until: datetime
    deliveries: Mapping[str, int]
    runs: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The steps in their order, when they were counted, and since when no count of them was taken over."""

    steps: tuple[Step, ...]
    at: datetime
    whole_at: datetime


def _within(at: Column[datetime], *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    between = (at >= bindparam("since", type_=at.type), at < bindparam("until", type_=at.type))
    return select(func.count()).where(*between, *conditions).scalar_subquery()


def _in_state(state: RunState) -> ScalarSelect[int]:
    """Count the runs in a state, by the words of the index that they are in."""
    those = UNENDED if state in UNENDED else OVER
    return _within(runs.c.created_at, is_in(runs.c.state, *those), is_in(runs.c.state, state))


# Built once: building them takes longer than most counts. Few runs have not ended, most are over.
_UNENDED: Final = select(
    _within(deliveries.c.received_at, IS_PENDING).label(DeliveryState.PENDING),
    *(_in_state(RunState(state)).label(state) for state in UNENDED),
)
_OVER: Final = select(*(_in_state(RunState(state)).label(state) for state in OVER))
_RECEIVED: Final = select(_within(deliveries.c.received_at).label("count"))
_WITH_REASON: Final = select(
    _within(deliveries.c.received_at, deliveries.c.reason == bindparam("reason")).label("count")
)
# The next one in the order of the index, so that it is walked from reason to reason.
_NEXT_REASON: Final = select(func.min(deliveries.c.reason).label("reason")).where(
    deliveries.c.reason > bindparam("last")
)


def count_steps(tx: Tx, *, count: int, each: timedelta, before: Traffic | None = None) -> Traffic:
    """Count the newest steps of the clock: deliveries by what came of them, runs by the state they are in.

    Of a step that was over when `before` was counted, what has ended is taken over from there, unless what
    has not ended changed since. After STANDS all is counted again.
    """
    if before is not None and tx.now - before.whole_at > STANDS:
        before = None
    over = {step.since: step for step in before.steps if step.until + LATE <= before.at} if before else {}
    begun = tx.now - (tx.now - datetime.min.replace(tzinfo=tx.now.tzinfo)) % each
    starts = [begun - each * back for back in reversed(range(count))]
    reasons = _reasons(tx)
    return Traffic(
        steps=tuple(_step(tx, start, start + each, reasons, over.get(start)) for start in starts),
        at=tx.now,
        whole_at=before.whole_at if before else tx.now,
    )


def _reasons(tx: Tx) -> list[str]:
    """Return every reason for which a delivery led to no run."""
    found: list[str] = []
    while (reason := tx.value(_NEXT_REASON, {"last": found[-1] if found else ""})) is not None:
        found.append(reason)
    return found


def _step(tx: Tx, since: datetime, until: datetime, reasons: list[str], before: Step | None) -> Step:
    between: dict[str, Any] = {"since": since, "until": until}
    (unended,) = tx.run(_UNENDED, between)
    waiting: dict[str, int] = {DeliveryState.PENDING: unended.pop(DeliveryState.PENDING)}
    if before is not None and _still(before.deliveries, waiting) and _still(before.runs, unended):
        return before
    return Step(
        since=since,
        until=until,
        deliveries=_came(tx, between, waiting, reasons),
        runs={**tx.run(_OVER, between)[0], **unended},
    )


def _came(
    tx: Tx, between: Mapping[str, Any], waiting: Mapping[str, int], reasons: list[str]
) -> dict[str, int]:
    """Return what came of the deliveries: all that has no reason and does not wait led to a run."""
    others = {reason: tx.value(_WITH_REASON, {**between, "reason": reason}) for reason in reasons}
    others |= waiting
    return {MATCHED: tx.value(_RECEIVED, between) - sum(others.values()), **others}


def _still(before: Mapping[str, int], now: Mapping[str, int]) -> bool:
    return all(before[name] == number for name, number in now.items())
