"""What limits have counted lately, read and written in the transaction that commits the intent (L1).

It must not say what follows from a count; the policy does. An intent counts, one that provably was not sent
gives back, and every read is bounded by the limit itself.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, delete, func, select, update

from bridge.errors import Reason
from bridge.ledger import Tx, pausing
from bridge.ledger.tables import device_uses, runs, trips
from bridge.models import (
    Call,
    CallState,
    Layer,
    Limit,
    LimitKind,
    Part,
    PauseScope,
    Plan,
    Run,
)
from bridge.policy import Spent

# Every run counts for the bridge's own limits, so there is one scope that all admissions touch.
_SCOPE: Final = "limits"


def spent(tx: Tx, *, run: Run, plan: Plan, parts: Iterable[Part] | None) -> tuple[Spent, ...]:
    """Return for each limit when one run more fits; nobody else admits a run until this transaction ends.

    `parts` None leaves out the limits that count devices.
    """
    if not plan.limits or run.waived:
        return ()
    tx.only_one(_SCOPE)
    return look(tx, run=run, plan=plan, parts=parts)


def look(tx: Tx, *, run: Run, plan: Plan, parts: Iterable[Part] | None) -> tuple[Spent, ...]:
    """Return the same without keeping others out: good for a first look, and for showing."""
    devices: list[str] | None = None
    if parts is not None:
        devices = sorted({device.uid for part in parts for device in part.devices})
    return tuple(
        Spent(limit=limit, frees_at=_frees_at(tx, run, plan, limit, devices)) for limit in plan.limits
    )


def _frees_at(tx: Tx, run: Run, plan: Plan, limit: Limit, devices: list[str] | None) -> datetime | None:
    if limit.kind in {LimitKind.PER_HOUR, LimitKind.PER_DAY}:
        return _of_runs(tx, run, plan, limit)
    if devices is None:
        return None
    if limit.kind is LimitKind.COOLDOWN:
        return _of_cooldown(tx, run, plan, limit, devices)
    return _of_devices(tx, run, plan, limit, devices)


def _of_runs(tx: Tx, run: Run, plan: Plan, limit: Limit) -> datetime | None:
    """Find the run that must leave the window before one more fits: the newest but `most` - 1."""
    query = (
        select(runs.c.intended_at)
        .where(runs.c.intended_at > tx.now - limit.window, runs.c.id != run.id, *_counted(runs, plan, limit))
        .order_by(runs.c.intended_at.desc())
    )
    return _nth(tx, query, limit.most - 1, limit.window)


def _of_devices(tx: Tx, run: Run, plan: Plan, limit: Limit, devices: list[str]) -> datetime | None:
    newest = func.max(device_uses.c.at, type_=device_uses.c.at.type)
    query = (
        select(newest)
        .where(
            device_uses.c.at > tx.now - limit.window,
            device_uses.c.run != run.id,
            device_uses.c.device.not_in(devices),
            *_counted(device_uses, plan, limit),
        )
        .group_by(device_uses.c.device)
        .order_by(newest.desc())
    )
    # More devices than the limit allows at all never fit; the policy refuses those.
    return _nth(tx, query, max(limit.most - len(devices), 0), limit.window)


def _of_cooldown(tx: Tx, run: Run, plan: Plan, limit: Limit, devices: list[str]) -> datetime | None:
    query = (
        select(device_uses.c.at)
        .where(
            device_uses.c.action == plan.action,
            device_uses.c.device.in_(devices),
            device_uses.c.at > tx.now - limit.window,
            device_uses.c.run != run.id,
        )
        .order_by(device_uses.c.at.desc())
    )
    return _nth(tx, query, 0, limit.window)


def _nth(tx: Tx, query: Select[Any], number: int, window: timedelta) -> datetime | None:
    at = tx.connection.execute(query.offset(number).limit(1)).scalar()
    return None if at is None else at + window


def _counted(table: Any, plan: Plan, limit: Limit) -> tuple[ColumnElement[bool], ...]:
    """Say whose runs a limit counts: a layer's own."""
    if limit.layer is Layer.MAPPING:
        return (table.c.mapping == plan.mapping,)
    return (table.c.action == plan.action,) if limit.layer is Layer.ACTION else ()


def use(tx: Tx, *, call: Call, plan: Plan) -> None:
    """Count the devices of an intent; the run itself counts by the time that `sending` gives it."""
    values = {"run": call.run, "action": plan.action, "mapping": plan.mapping, "at": tx.now}
    statement = tx.insert(device_uses)
    tx.connection.execute(
        statement.on_conflict_do_update(
            index_elements=["run", "device"], set_={"at": statement.excluded["at"]}
        ),
        [{**values, "device": device.uid} for device in call.part.devices],
    )


def give_back(tx: Tx, *, run: Run, calls: Iterable[Call]) -> None:
    """Count of a run only what was, or may have been, sent: `calls` are all of it, as they stand now."""
    sent = [call for call in calls if call.intended_at is not None and call.state is not CallState.NOT_SENT]
    newest = max((call.intended_at for call in sent if call.intended_at), default=None)
    tx.connection.execute(update(runs).where(runs.c.id == run.id).values(intended_at=newest))
    devices = sorted({device.uid for call in sent for device in call.part.devices})
    tx.connection.execute(
        delete(device_uses).where(device_uses.c.run == run.id, device_uses.c.device.not_in(devices))
    )


def trip(tx: Tx, *, run: Run, plan: Plan, limit: Limit, most: int, window: timedelta) -> PauseScope | None:
    """Note that a limit held a run; pause what the limit is about where it held `most` in a `window`.

    Returns the scope that was paused by this call, else None.
    """
    scope, value = _about(plan, limit)
    tx.connection.execute(
        tx.insert(trips).values(scope=scope, value=value, run=run.id, at=tx.now).on_conflict_do_nothing()
    )
    lately = select(trips.c.at).where(
        trips.c.scope == scope, trips.c.value == value, trips.c.at > tx.now - window
    )
    if tx.connection.execute(lately.offset(most - 1).limit(1)).scalar() is None:
        return None
    paused = pausing.pause(
        tx,
        scope=scope,
        value=value,
        reason=Reason.LIMIT_TRIPPED,
        detail=f"{limit.kind} of the {limit.layer} held {most} runs",
        run=run.id,
    )
    if paused:
        tx.count("trip", scope, value)
        tx.connection.execute(delete(trips).where(trips.c.scope == scope, trips.c.value == value))
    return scope if paused else None


def _about(plan: Plan, limit: Limit) -> tuple[PauseScope, str]:
    """Return what a limit is about; a device that cools down says something of its mapping only."""
    if limit.layer is Layer.MAPPING or limit.kind is LimitKind.COOLDOWN:
        return PauseScope.MAPPING, plan.mapping
    if limit.layer is Layer.ACTION:
        return PauseScope.ACTION, plan.action
    return PauseScope.EVERYTHING, ""
