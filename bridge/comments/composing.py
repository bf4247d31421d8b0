"""Puts a report together from a plan, its calls and what is to be said.

It must not choose the words of an outcome.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from bridge.models import (
    Call,
    CallState,
    Device,
    DeviceKey,
    EngineRow,
    Plan,
    Report,
    RunId,
    Tone,
    Unplannable,
)
from bridge.sending_again import by_part

_SHOWN: Final = 20
_NEVER_SENT: Final = frozenset({CallState.PLANNED, CallState.DROPPED, CallState.NOT_SENT})
_NOT_TRIED: Final = frozenset({CallState.PLANNED, CallState.DROPPED})


def report(
    run: RunId,
    result: Plan | Unplannable,
    headline: str,
    tone: Tone,
    advice: tuple[str, ...],
    *,
    calls: tuple[Call, ...] = (),
    rows: tuple[EngineRow, ...] = (),
    facts: tuple[tuple[str, str], ...] = (),
) -> Report:
    """Put a report together; its marker stays empty until it is owed, when its number is known.

    `calls` are all of the run.
    """
    common = _facts(result, calls) if isinstance(result, Plan) else iter(())
    return Report(
        headline=headline,
        tone=tone,
        intro=result.style.intro,
        rows=rows,
        facts=(("Action", result.title), *common, *facts, ("Run", run)),
        advice=tuple(dict.fromkeys(advice)),
        marker="",
    )


def _facts(plan: Plan, calls: tuple[Call, ...]) -> Iterator[tuple[str, str]]:
    parts = by_part(calls)
    targets = [device for attempts in parts for device in attempts[0].part.devices]
    yield "Devices", listed([shown(device) for device in targets] or plan.devices)
    dropped = [
        shown(device)
        for attempts in parts
        if all(call.state in _NEVER_SENT for call in attempts)
        for device in attempts[0].part.devices
    ]
    if dropped:
        yield "Not sent to", listed(dropped)
    known = {text.lower() for device in targets for text in (device.uid, device.name or "")}
    missing = [wanted for wanted in plan.devices if targets and wanted.lower() not in known]
    # Whose devices they are is no name of a device.
    if missing and plan.by is not DeviceKey.USER:
        yield "Not found", listed(missing)
    yield "Portal", plan.portal
    made = max((call.attempt for call in latest(calls)), default=1)
    if made > 1:
        yield "Attempts", str(made)


def latest(calls: tuple[Call, ...]) -> tuple[Call, ...]:
    """Return the last attempt of each part that came to something, in the order of the parts."""
    return tuple(
        ([call for call in attempts if call.state not in _NOT_TRIED] or [attempts[0]])[-1]
        for attempts in by_part(calls)
    )


def who(by: str, why: str) -> tuple[tuple[str, str], ...]:
    """Return the facts of a person's act."""
    return ("By", by), ("Reason", why)


def shown(device: Device) -> str:
    """Return a device as people know it."""
    return device.name or device.uid


def listed(names: Sequence[str]) -> str:
    """Return names in a row, cut where there are many."""
    first = ", ".join(names[:_SHOWN])
    return f"{first} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else first


def sentence(text: str) -> str:
    """Return a detail as a sentence."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", ")")) else ".")
