"""Notes bounds that can never hold, because a tighter one always does first.

It must not change a bound, nor have a file refused for one: what is written stays in force.
"""

from collections.abc import Iterable
from datetime import timedelta

from bridge.mapping.bounds import is_tighter
from bridge.mapping.documents import Path as Spot
from bridge.mapping.entry import Entry
from bridge.mapping.reading import Reading, duration
from bridge.models import Json, Layer, Limit, LimitKind

_WHOSE = {Layer.BRIDGE: "the bridge's", Layer.ACTION: "the action's", Layer.MAPPING: "the mapping's"}


def of_mapping(
    entry: Entry,
    limits: tuple[Limit, ...],
    *,
    max_devices: tuple[int, Layer],
    max_age: tuple[timedelta, Layer],
) -> None:
    """Note what a mapping says in vain; `max_devices` and `max_age` are those that hold, and whose."""
    reading, own = entry.reading, entry.group("limits")
    for limit in limits:
        if limit.layer is Layer.MAPPING:
            _limit(limit, limits, entry.at("limits", limit.kind), reading)
    if "max_age" in own and max_age[1] is Layer.BRIDGE and duration(own["max_age"]) > max_age[0]:
        reading.warn(
            entry.at("limits", "max_age"),
            f"'max_age' {own['max_age']} has no effect: the bridge's is shorter (shorten it, or raise "
            "BRIDGE_MAX_AGE)",
        )
    _devices(entry, own, *max_devices)


def of_action(
    own: tuple[Limit, ...], demand: Json, max_devices: int | None, spot: Spot, reading: Reading
) -> None:
    """Note what an action says in vain; `demand` is what its key `approval` says."""
    for limit in own:
        _limit(limit, reading.context.limits, (*spot, "limits", limit.kind), reading)
    most = min(reading.context.max_devices, max_devices or reading.context.max_devices)
    if isinstance(demand, dict) and int(demand["above"]) >= most:
        _never_asks(demand["above"], most, (*spot, "approval", "above"), reading)


def _limit(limit: Limit, others: Iterable[Limit], spot: Spot, reading: Reading) -> None:
    tighter = next((other for other in others if is_tighter(other, limit)), None)
    if tighter is None:
        return
    if limit.kind is LimitKind.COOLDOWN:
        text = f"'cooldown' has no effect: {_WHOSE[tighter.layer]} is longer (remove it, or lengthen it)"
    else:
        text = (
            f"'{limit.kind}: {limit.most}' is never reached: {_WHOSE[tighter.layer]} is {tighter.most} "
            "(lower it, or remove it)"
        )
    reading.warn(spot, text)


def _devices(entry: Entry, own: dict[str, Json], most: int, of: Layer) -> None:
    said = int(own["max_devices"]) if "max_devices" in own else None
    if entry.own["devices"].get("if_too_many") == "approval":
        if said is not None and said >= most:
            _never_asks(str(said), most, entry.at("limits", "max_devices"), entry.reading)
    elif said is not None and said > most:
        entry.reading.warn(
            entry.at("limits", "max_devices"),
            f"'max_devices: {said}' has no effect: {_WHOSE[of]} is {most} (lower it, or remove it)",
        )
    above = entry.own.get("approval", {}).get("above")
    if above is not None and int(above) >= most:
        _never_asks(above, most, (*entry.spot, "approval", "above"), entry.reading)


def _never_asks(above: str, most: int, spot: Spot, reading: Reading) -> None:
    reading.warn(
        spot,
        f"approval above {above} device(s) is never asked for: a run may have {most} at most (lower it)",
    )
