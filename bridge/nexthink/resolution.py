"""From what a ticket named to the devices and Engines of each call: decided when every Engine has answered.

It must not ask anything itself, nor choose a device or an Engine that the catalogue's fences do not hold.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final

from bridge.errors import Reason
from bridge.models import (
    Device,
    DeviceFence,
    DeviceKey,
    DeviceUid,
    Engine,
    EngineChoice,
    EngineUid,
    FoundDevice,
    IfSeveral,
    IfSomeMissing,
    Part,
    Plan,
    Problem,
)
from bridge.nexthink import ownership
from bridge.nexthink.nxql import is_askable
from bridge.nexthink.users import account_of
from bridge.nexthink.wire import uid

# Why a device name is outside a fence, or None where it is inside.
Breach = Callable[[DeviceFence, str], str | None]

_SHOWN: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The targets of a run. A device's `engines` are where it is sent; none means all connected ones.

    `missing` are the names or UIDs that no Engine knows and that the mapping lets go.
    """

    devices: tuple[Device, ...]
    missing: tuple[str, ...] = ()


def engines_to_ask(plan: Plan, engines: tuple[Engine, ...]) -> tuple[Engine, ...] | Problem:
    """Return the Engines that must all answer before the devices are known (S10).

    Those are the named ones, else every connected one. A problem with reason LOOKUP_FAILED may pass by
    itself; every other refuses the run.
    """
    for wanted in plan.devices:
        if not _may_be_asked_for(plan, wanted):
            return _problem(Reason.DEVICE_REFUSED, f"'{wanted}' cannot be a device {plan.by}")
    if plan.user is not None and account_of(plan.user) is None:
        return _problem(Reason.NOT_THEIR_DEVICE, ownership.nobody(plan.user))
    scope = named_engines(plan, engines)
    if isinstance(scope, Problem):
        return scope
    if plan.engine_choice is EngineChoice.NAMED:
        away = [engine.name for engine in scope if not engine.connected]
        if away:
            return _problem(Reason.LOOKUP_FAILED, f"not connected to the portal: {_listed(away)}")
        return scope
    connected = tuple(engine for engine in engines if engine.connected)
    return connected or _problem(Reason.LOOKUP_FAILED, "no Engine is connected to the portal")


def named_engines(plan: Plan, engines: tuple[Engine, ...]) -> tuple[Engine, ...] | Problem:
    """Return the Engines that the catalogue names, by name or UID; ENGINE_UNKNOWN refuses the run (S10)."""
    if plan.engine_choice is not EngineChoice.NAMED:
        return ()
    named: dict[EngineUid, Engine] = {}
    for wanted in plan.engines:
        lowered = wanted.lower()
        meant = [engine for engine in engines if lowered in (engine.name.lower(), engine.uid)]
        if len(meant) != 1:
            why = "no Engine of the portal is called" if not meant else "several Engines are called"
            return Problem(reason=Reason.ENGINE_UNKNOWN, place="engines", detail=f"{why} '{wanted}'")
        named[meant[0].uid] = meant[0]
    if not named:
        return Problem(reason=Reason.ENGINE_UNKNOWN, place="engines", detail="the list of Engines is empty")
    return tuple(named.values())


def without_lookup(plan: Plan, engines: tuple[Engine, ...]) -> Resolved | Problem:
    """Resolve a plan on a portal whose Engines cannot be asked: UIDs only, and only without a fence.

    `engines` is needed only where the catalogue names Engines. With `where_found` the call goes to all
    connected Engines, since nobody can say which of them knows the device.
    """
    if plan.user is not None or plan.by is DeviceKey.USER:
        return _problem(
            Reason.DEVICE_REFUSED,
            "whose device it is cannot be looked up: NXQL_URL of the portal is not set (set it)",
        )
    if plan.by is DeviceKey.NAME:
        return _problem(
            Reason.DEVICE_REFUSED,
            "device names cannot be looked up: NXQL_URL of the portal is not set (set it, or give UIDs)",
        )
    if plan.fence.names is not None or plan.fence.never:
        return _problem(
            Reason.DEVICE_REFUSED,
            "the action is only for certain device names, and the name behind a UID cannot be looked up "
            "(set NXQL_URL of the portal)",
        )
    scope = named_engines(plan, engines)
    if isinstance(scope, Problem):
        return scope
    where = tuple(engine.uid for engine in scope)
    devices: dict[str, Device] = {}
    for wanted in plan.devices:
        known = uid(wanted)
        if known is None:
            return _problem(Reason.DEVICE_REFUSED, f"'{wanted}' is not a device UID of 32 hex digits")
        devices[known] = Device(uid=DeviceUid(known), name=None, engines=where)
    return _bounded(plan, tuple(devices.values()), ())


def choose(
    plan: Plan,
    found: tuple[FoundDevice, ...],
    engines: tuple[Engine, ...],
    asked: frozenset[EngineUid],
    breach: Breach,
) -> Resolved | Problem:
    """Decide the targets from what the Engines found; `asked` are the Engines that answered every question.

    Names are those that Engines returned, not those of the ticket, and each must be inside the fence.
    """
    scope = engines_to_ask(plan, engines)
    if isinstance(scope, Problem):
        return scope
    silent = [engine.name for engine in scope if engine.uid not in asked]
    if silent:
        return _problem(Reason.LOOKUP_FAILED, f"no answer from {_listed(silent)}")
    inside = {engine.uid for engine in scope}
    rows = [row for row in found if row.engine in inside]
    chosen: dict[DeviceUid, list[FoundDevice]] = {}
    missing: list[str] = []
    for wanted in plan.devices:
        picked = _pick(plan, wanted, rows)
        if isinstance(picked, Problem):
            return picked
        if not picked:
            missing.append(wanted)
        chosen.update(picked)
    outside = _first_breach(plan.fence, chosen.values(), breach)
    if outside is not None:
        return outside
    if missing and (plan.if_some_missing is IfSomeMissing.STOP or not chosen):
        return _problem(
            Reason.DEVICE_NOT_FOUND, f"no Engine knows {ownership.sought(plan) or _listed(missing)}"
        )
    strange = ownership.strange(plan, chosen.values(), rows)
    if strange:
        return _problem(Reason.NOT_THEIR_DEVICE, f"{ownership.not_used(plan)}: {_listed(strange)}")
    devices = tuple(_device(plan, bearer, scope) for bearer in chosen.values())
    return _bounded(plan, devices, tuple(missing))


def parts(resolved: Resolved, max_per_call: int | None) -> tuple[Part, ...]:
    """Split the targets into calls: one set of Engines each, and no more devices than a call may hold.

    A device is never sent to an Engine that does not know it only because another device is there.
    """
    groups: dict[frozenset[EngineUid], list[Device]] = {}
    for device in resolved.devices:
        groups.setdefault(frozenset(device.engines), []).append(device)
    return tuple(
        Part(number=number, devices=devices, engines=devices[0].engines or None)
        for number, devices in enumerate(_chunks(groups.values(), max_per_call), start=1)
    )


def _chunks(groups: Iterable[list[Device]], size: int | None) -> Iterator[tuple[Device, ...]]:
    for group in groups:
        step = size or len(group)
        for start in range(0, len(group), step):
            yield tuple(group[start : start + step])


def _pick(
    plan: Plan, wanted: str, rows: list[FoundDevice]
) -> Mapping[DeviceUid, list[FoundDevice]] | Problem:
    """Return the rows of the device that a name means, by UID; several only where the mapping says so."""
    bearers: dict[DeviceUid, list[FoundDevice]] = {}
    for row in rows:
        if _answers(plan, wanted, row):
            bearers.setdefault(row.uid, []).append(row)
    if len(bearers) <= 1 or plan.if_several is IfSeveral.ALL:
        return bearers
    several = ownership.several(plan, len(bearers)) or f"{len(bearers)} devices are called '{wanted}'"
    if plan.if_several is IfSeveral.MOST_RECENT:
        latest = _most_recent(bearers)
        if latest is not None:
            return {latest: bearers[latest]}
        return _problem(
            Reason.SEVERAL_DEVICES,
            f"{several}, and it cannot be told which was seen last",
        )
    return _problem(Reason.SEVERAL_DEVICES, several)


def _may_be_asked_for(plan: Plan, wanted: str) -> bool:
    if plan.by is DeviceKey.USER:
        # The devices are those of the one account that bounds the plan.
        login = plan.user.login if plan.user is not None else None
        return login is not None and login.casefold() == wanted.casefold()
    return is_askable(wanted) if plan.by is DeviceKey.NAME else uid(wanted) is not None


def _answers(plan: Plan, wanted: str, row: FoundDevice) -> bool:
    """Say whether a row is about what was asked for; those about the person's devices have their account."""
    if plan.by is DeviceKey.USER:
        return row.user is not None
    return row.user is None and wanted.lower() == (row.name.lower() if plan.by is DeviceKey.NAME else row.uid)


def _most_recent(bearers: Mapping[DeviceUid, list[FoundDevice]]) -> DeviceUid | None:
    """Return the one device that was seen last; None where times are missing, unreadable or equal."""
    seen: list[tuple[float, DeviceUid]] = []
    forms: set[str] = set()
    for device, rows in bearers.items():
        moments = [_moment(row.last_seen) for row in rows]
        readable = [moment for moment in moments if moment is not None]
        if len(readable) < len(moments):
            return None
        forms.update(form for form, _ in readable)
        seen.append((max(at for _, at in readable), device))
    seen.sort()
    return seen[-1][1] if len(forms) == 1 and seen[-1][0] > seen[-2][0] else None


def _moment(text: str | None) -> tuple[str, float] | None:
    """Read an Engine's time as its form and a number; only times of one form can be compared."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return "count", float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is not None:
        return "zoned", moment.timestamp()
    return "local", (moment - datetime.min).total_seconds()  # noqa: DTZ901 - an origin, not a point in time


def _first_breach(fence: DeviceFence, chosen: Iterable[list[FoundDevice]], breach: Breach) -> Problem | None:
    for row in chain.from_iterable(chosen):
        why = breach(fence, row.name)
        if why is not None:
            return _problem(Reason.DEVICE_REFUSED, f"'{row.name}': {why}")
    return None


def _device(plan: Plan, rows: list[FoundDevice], scope: tuple[Engine, ...]) -> Device:
    known = {row.engine for row in rows}
    where: tuple[EngineUid, ...] = ()
    if plan.engine_choice is EngineChoice.WHERE_FOUND:
        where = tuple(engine.uid for engine in scope if engine.uid in known)
    elif plan.engine_choice is EngineChoice.NAMED:
        where = tuple(engine.uid for engine in scope)
    return Device(uid=rows[0].uid, name=rows[0].name, engines=where)


def _bounded(plan: Plan, devices: tuple[Device, ...], missing: tuple[str, ...]) -> Resolved | Problem:
    """Hold the limit again: one name may have become several devices."""
    if not devices:
        return _problem(Reason.NO_DEVICE, "no device was given")
    if len(devices) > plan.max_devices:
        return _problem(
            Reason.TOO_MANY_DEVICES, f"{len(devices)} devices, and {plan.max_devices} are allowed"
        )
    return Resolved(devices=devices, missing=missing)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _problem(reason: Reason, detail: str) -> Problem:
    return Problem(reason=reason, place="devices", detail=detail)
