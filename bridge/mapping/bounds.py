"""The limits of a layer, as catalogue and mappings write them, and which of several holds first.

It must not count anything; what was used stands in the ledger, and the policy decides.
"""

from collections.abc import Iterable
from datetime import timedelta

from bridge.mapping.reading import duration
from bridge.models import Json, Layer, Limit, LimitKind

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def limits(
    layer: Layer,
    *,
    per_hour: int | None = None,
    per_day: int | None = None,
    devices_per_day: int | None = None,
    cooldown: timedelta | None = None,
) -> tuple[Limit, ...]:
    """Return the limits of a layer; what is None is not limited."""
    counted = (
        (LimitKind.PER_HOUR, per_hour, _HOUR),
        (LimitKind.PER_DAY, per_day, _DAY),
        (LimitKind.DEVICES_PER_DAY, devices_per_day, _DAY),
    )
    found = [
        Limit(kind=kind, layer=layer, most=most, window=window)
        for kind, most, window in counted
        if most is not None
    ]
    if cooldown is not None:
        found.append(Limit(kind=LimitKind.COOLDOWN, layer=layer, most=1, window=cooldown))
    return tuple(found)


def read(data: Json, layer: Layer) -> tuple[Limit, ...]:
    """Return the limits of a group `limits` that its schema has accepted."""
    return limits(
        layer,
        per_hour=_number(data, "per_hour"),
        per_day=_number(data, "per_day"),
        devices_per_day=_number(data, "devices_per_day"),
        cooldown=duration(data["cooldown"]) if "cooldown" in data else None,
    )


def is_tighter(one: Limit, other: Limit) -> bool:
    """Say whether a limit always holds before another of its kind; of cooldowns the longer one does."""
    return one.kind is other.kind and _order(one) < _order(other)


def tightest(limits: Iterable[Limit]) -> tuple[Limit, ...]:
    """Return of each kind the limit that is smallest; of cooldowns the longest."""
    chosen: dict[LimitKind, Limit] = {}
    for limit in limits:
        held = chosen.get(limit.kind)
        if held is None or is_tighter(limit, held):
            chosen[limit.kind] = limit
    return tuple(chosen.values())


def _order(limit: Limit) -> tuple[int, timedelta]:
    return limit.most, -limit.window


def _number(data: Json, key: str) -> int | None:
    return int(data[key]) if key in data else None
