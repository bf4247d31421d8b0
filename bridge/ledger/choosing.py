"""Chooses runs by what they have in common, for acts on many at once; a look, never an act.

It must not return more than was asked for: nobody decides about what they cannot survey.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Select, func, select

from bridge.errors import Reason
from bridge.ledger import Tx, pausing
from bridge.ledger.codec import runs_of
from bridge.ledger.tables import is_in, runs
from bridge.ledger.working import calls_of
from bridge.models import Pause, PauseScope, Run, RunId, RunState

# What is held for these is looked at again by itself: when it is due, time has freed it, or it is too old.
FREED_BY_TIME: Final = frozenset(
    {Reason.OVER_LIMIT, Reason.PAUSED, Reason.PORTAL_PAUSED, Reason.CLOCK_WENT_BACK}
)
_RESUMED: Final = (Reason.PAUSED, Reason.PORTAL_PAUSED, Reason.RESTORED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What runs must have in common; None leaves it open. `since` is a time, or how long before now.

    `since` is compared with when the run was made.
    """

    state: RunState | None = None
    reason: Reason | None = None
    source: str | None = None
    ticket: str | None = None
    mapping: str | None = None
    action: str | None = None
    portal: str | None = None
    since: datetime | timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A run as it stood when it was chosen; `attempt` is how many requests had been made (S9)."""

    run: RunId
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The oldest runs that fit, how many tickets and devices they are about, and whether there are more.

    A device is counted by its UID where the run has looked it up, else by what its ticket calls it. `others`
    counts by state the runs that fit, but are in none of the states that were asked for.
    """

    runs: tuple[Seen, ...]
    tickets: int
    devices: int
    more: bool
    others: tuple[tuple[RunState, int], ...]


def choose(tx: Tx, *, choice: Choice, states: tuple[RunState, ...], most: int) -> Chosen:
    """Return the oldest runs that fit and are in one of `states`, `most` of them."""
    others = _by_state(tx, _fitting(tx, choice).where(runs.c.state.not_in(states)))
    return _chosen(tx, _fitting(tx, choice).where(runs.c.state.in_(states)), most, others)


def held_by(tx: Tx, *, pause: Pause, most: int) -> Chosen:
    """Return the oldest runs that a pause holds, `most` of them."""
    return _held(tx, pausing.holds(pause), most)


def held_by_restore(tx: Tx, *, most: int) -> Chosen:
    """Return the oldest runs that are held because the ledger looked restored, `most` of them."""
    return _held(tx, runs.c.reason == Reason.RESTORED, most)


def _held(tx: Tx, condition: ColumnElement[bool], most: int) -> Chosen:
    query = select(runs).where(is_in(runs.c.state, RunState.HELD), condition)
    return _chosen(tx, query, most, ())


def _chosen(
    tx: Tx, able: Select[tuple[object, ...]], most: int, others: tuple[tuple[RunState, int], ...]
) -> Chosen:
    query = able.order_by(runs.c.created_at, runs.c.id).limit(most + 1)
    rows = tx.connection.execute(query).mappings().all()
    found = runs_of(rows[:most]).runs
    seen, devices = [], set[str]()
    for run in found:
        calls = calls_of(tx, run=run.id)
        seen.append(Seen(run=run.id, attempt=sum(call.intended_at is not None for call in calls)))
        looked_up = {device.uid for call in calls for device in call.part.devices}
        devices |= {str(uid) for uid in looked_up} or _named(run)
    return Chosen(
        runs=tuple(seen),
        tickets=len({(run.ticket.source, run.ticket.uid) for run in found}),
        devices=len(devices),
        more=len(rows) > most,
        others=others,
    )


def still_fits(tx: Tx, *, choice: Choice, seen: Seen) -> bool:
    """Say whether a run is still what was chosen, with no request made since."""
    row = tx.connection.execute(_fitting(tx, choice).where(runs.c.id == seen.run)).mappings().first()
    made = sum(call.intended_at is not None for call in calls_of(tx, run=seen.run))
    return row is not None and made == seen.attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """How many runs wait for what; `next_at` is when time frees or ends the first; None: a person does."""

    reason: Reason
    count: int
    next_at: datetime | None


# Built once: it runs every second in every web process.
_HELD: Final = (
    select(runs.c.reason, func.count().label("count"), func.min(runs.c.due_at).label("due_at"))
    .where(is_in(runs.c.state, RunState.HELD), runs.c.reason.is_not(None))
    .group_by(runs.c.reason)
    .order_by(runs.c.reason)
)


def held_by_reason(tx: Tx) -> tuple[Held, ...]:
    """Count the held runs by what they wait for."""
    return tuple(
        Held(
            reason=Reason(row["reason"]),
            count=row["count"],
            next_at=row["due_at"] if row["reason"] in FREED_BY_TIME else None,
        )
        for row in tx.run(_HELD, {})
    )


# Counts them by all that says what a run waits for.
_WAITING: Final = (
    select(runs.c.reason, runs.c.detail, runs.c.portal, func.count().label("count"))
    .where(is_in(runs.c.state, RunState.HELD), is_in(runs.c.reason, *_RESUMED))
    .group_by(runs.c.reason, runs.c.detail, runs.c.portal)
    .order_by(runs.c.reason)
)


def held_by_pauses(tx: Tx) -> tuple[tuple[tuple[Pause, int], ...], int]:
    """Return each pause that stands with how many runs it holds, and how many a restore holds."""
    counts = Counter[tuple[Reason, str | None]]()
    for row in tx.run(_WAITING, {}):
        reason = Reason(row["reason"])
        what = row["portal"] if reason is Reason.PORTAL_PAUSED else row["detail"]
        counts[reason, what if reason is not Reason.RESTORED else None] += row["count"]
    held = []
    for pause in pausing.standing(tx):
        of_portal = counts[Reason.PORTAL_PAUSED, pause.value] if pause.scope is PauseScope.PORTAL else 0
        held.append((pause, counts[Reason.PAUSED, pausing.named(pause)] + of_portal))
    return tuple(held), counts[Reason.RESTORED, None]


def _by_state(tx: Tx, query: Select[tuple[object, ...]]) -> tuple[tuple[RunState, int], ...]:
    counted = query.with_only_columns(runs.c.state, func.count()).group_by(runs.c.state)
    return tuple(
        (RunState(state), count) for state, count in tx.connection.execute(counted.order_by("state"))
    )


def _named(run: Run) -> set[str]:
    return {name.casefold() for name in run.plan.devices} if run.plan else set()


def _fitting(tx: Tx, choice: Choice) -> Select[tuple[object, ...]]:
    wanted = (
        (runs.c.state, choice.state),
        (runs.c.reason, choice.reason),
        (runs.c.source, choice.source),
        (runs.c.ticket_key, choice.ticket),
        (runs.c.mapping, choice.mapping),
        (runs.c.action, choice.action),
        (runs.c.portal, choice.portal),
    )
    conditions: list[ColumnElement[bool]] = [column == value for column, value in wanted if value is not None]
    if choice.since is not None:
        since = tx.now - choice.since if isinstance(choice.since, timedelta) else choice.since
        conditions.append(runs.c.created_at >= since)
    return select(runs).where(*conditions)
