"""What limits have counted lately, read and written in the transaction that commits the intent (L1).

It must not say what follows from a count; the policy does. An intent counts, one that provably was not sent
gives back, and every read is bounded by the limit itself.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, select, update

from bridge.errors import Reason
from bridge.ledger import Tx, pausing
from bridge.ledger.prepared import on_each
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


def _counted(table: Any, layer: Layer) -> tuple[ColumnElement[bool], ...]:
    """Say whose runs a limit counts: a layer's own, and never the run that asks."""
    others = table.c.run != bindparam("own") if table is device_uses else table.c.id != bindparam("own")
    if layer is Layer.MAPPING:
        return others, table.c.mapping == bindparam("mapping")
    return (others, table.c.action == bindparam("action")) if layer is Layer.ACTION else (others,)


def _runs_of(layer: Layer) -> Select[Any]:
    """Build the query for the time of the `number`-th newest run in a window."""
    return (
        select(runs.c.intended_at)
        .where(runs.c.intended_at > bindparam("since"), *_counted(runs, layer))
        .order_by(runs.c.intended_at.desc())
        .offset(bindparam("number"))
        .limit(1)
    )


def _devices_of(layer: Layer) -> Select[Any]:
    """Build the query for the last use of the `number`-th newest device in a window, but for `devices`."""
    newest = func.max(device_uses.c.at, type_=device_uses.c.at.type)
    return (
        select(newest)
        .where(
            device_uses.c.at > bindparam("since"),
            device_uses.c.device.not_in(bindparam("devices", expanding=True)),
            *_counted(device_uses, layer),
        )
        .group_by(device_uses.c.device)
        .order_by(newest.desc())
        .offset(bindparam("number"))
        .limit(1)
    )


def _counting(insert: Any) -> Any:
    statement = insert(device_uses)
    return statement.on_conflict_do_update(
        index_elements=["run", "device"], set_={"at": statement.excluded["at"]}
    )


# Built once: building a statement takes several times as long as running it.
_RUNS: Final = {layer: _runs_of(layer) for layer in Layer}
_DEVICES: Final = {layer: _devices_of(layer) for layer in Layer}
_LAST_USE: Final = (
    select(device_uses.c.at)
    .where(
        device_uses.c.action == bindparam("action"),
        device_uses.c.device.in_(bindparam("devices", expanding=True)),
        device_uses.c.at > bindparam("since"),
        device_uses.c.run != bindparam("own"),
    )
    .order_by(device_uses.c.at.desc())
    .limit(1)
)
_USE: Final = on_each(_counting)


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
    given = _given(tx, run, plan, limit)
    return _freed(tx, _RUNS[limit.layer], limit, {**given, "number": limit.most - 1})


def _of_devices(tx: Tx, run: Run, plan: Plan, limit: Limit, devices: list[str]) -> datetime | None:
    given = _given(tx, run, plan, limit)
    # More devices than the limit allows at all never fit; the policy refuses those.
    number = max(limit.most - len(devices), 0)
    return _freed(tx, _DEVICES[limit.layer], limit, {**given, "devices": devices, "number": number})


def _of_cooldown(tx: Tx, run: Run, plan: Plan, limit: Limit, devices: list[str]) -> datetime | None:
    given = {"since": tx.now - limit.window, "own": run.id, "action": plan.action, "devices": devices}
    return _freed(tx, _LAST_USE, limit, given)


def _given(tx: Tx, run: Run, plan: Plan, limit: Limit) -> dict[str, object]:
    given: dict[str, object] = {"since": tx.now - limit.window, "own": run.id}
    if limit.layer is Layer.MAPPING:
        given["mapping"] = plan.mapping
    elif limit.layer is Layer.ACTION:
        given["action"] = plan.action
    return given


def _freed(tx: Tx, query: Select[Any], limit: Limit, given: Mapping[str, object]) -> datetime | None:
    # A list of devices is written into its statement anew for every length.
    at = tx.connection.execute(query, given).scalar() if "devices" in given else tx.value(query, given)
    return None if at is None else at + limit.window


def use(tx: Tx, *, call: Call, plan: Plan) -> None:
    """Count the devices of an intent; the run itself counts by the time that `sending` gives it."""
    values = {"run": call.run, "action": plan.action, "mapping": plan.mapping, "at": tx.now}
    tx.run_many(_USE, [{**values, "device": device.uid} for device in call.part.devices])


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
