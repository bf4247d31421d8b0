"""Decides whether a run may be sent now: plan and usage in, ruling out; every limit is decided here (L1).

It must not read a clock or the ledger; the transaction that commits the intent brings what it needs.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import re2

from bridge.errors import Reason
from bridge.models import (
    Approval,
    ApprovalState,
    Device,
    EngineUid,
    Limit,
    LimitKind,
    Part,
    Pause,
    PauseScope,
    Plan,
    SourceName,
)

# A run that the ledger made later than this before "now" was made before somebody set the clock back.
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
# So many digits of a plan's hash name it to a person.
HASH_SHOWN: Final = 12
# An approved run goes only while its ticket was read so lately.
READ_WITHIN: Final = timedelta(seconds=30)


class Verdict(StrEnum):
    """What may happen to a run: it goes, waits, asks for approval, or ends without having been sent.

    READ: its ticket has to be read again first, for an approved run goes only while it is still wanted.
    """

    GO = "go"
    HOLD = "hold"
    ASK = "ask"
    EXPIRE = "expire"
    READ = "read"
    CANCEL = "cancel"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What others have used of a limit: `frees_at` is when one run more fits; None where it fits now."""

    limit: Limit
    frees_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the ledger knows of a run at the moment of the intent.

    `made_at` is when the ledger made the run. `parts` are its frozen parts; None: the devices are not known
    yet, and only what needs none of them is decided. `engine_names` are the Engines' names as far as known.
    `approval` is what was asked for and decided; `waived` that a person released the run over a limit.
    `read_at` is when the ticket was last found to ask for exactly this.
    """

    now: datetime
    made_at: datetime
    source: SourceName
    pauses: tuple[Pause, ...]
    parts: tuple[Part, ...] | None
    engine_names: tuple[tuple[EngineUid, str], ...] = ()
    spent: tuple[Spent, ...] = ()
    waived: bool = False
    approval: Approval | None = None
    read_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A verdict and why: the limit or pause that holds, and when to look again (None: a person decides)."""

    verdict: Verdict
    reason: Reason | None = None
    until: datetime | None = None
    limit: Limit | None = None
    pause: Pause | None = None


GO: Final = Ruling(verdict=Verdict.GO)


def admit(plan: Plan, usage: Usage) -> Ruling:
    """Say whether a plan may be sent.

    Too old goes before everything that may be released, so that no release ever fires old work; then pauses,
    approval and limits. Raises nothing, whatever the ledger holds.
    """
    rulings = (
        _clock(usage),
        _age(plan, usage),
        _paused(plan, usage),
        _approved(plan, usage),
        _too_many(plan, usage),
        _limits(usage),
    )
    return next((ruling for ruling in rulings if ruling is not None), GO)


def too_old_at(plan: Plan) -> datetime:
    """Return the moment after which a plan is not sent any more."""
    return plan.occurred_at + plan.max_age


def needs_approval(plan: Plan, devices: int) -> bool:
    """Say whether a run on so many devices needs approval."""
    return plan.approval is not None and devices > plan.approval.above


def plan_hash(plan: Plan, parts: Iterable[Part]) -> str:
    """Return what an approval is bound to, as SHA-256 in hex.

    That is action, sorted UIDs, parameters, Engines and mapping set. In which order the devices stand and
    how they are split into calls make no difference.
    """
    devices = sorted({device.uid for part in parts for device in part.devices})
    engines = sorted({_engines_of(part) for part in parts})
    content = {
        "action": plan.remote_action_uid,
        "portal": plan.portal,
        "devices": devices,
        "engines": engines,
        "params": sorted(plan.params),
        "mapping": plan.mapping,
        "mapping_set": plan.mapping_set,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _engines_of(part: Part) -> str:
    return "all" if part.engines is None else ",".join(sorted(part.engines))


def _clock(usage: Usage) -> Ruling | None:
    if usage.now >= usage.made_at - CLOCK_TOLERANCE:
        return None
    return Ruling(verdict=Verdict.HOLD, reason=Reason.CLOCK_WENT_BACK, until=usage.made_at)


def _age(plan: Plan, usage: Usage) -> Ruling | None:
    if usage.now <= too_old_at(plan):
        return None
    return Ruling(verdict=Verdict.EXPIRE, reason=Reason.TOO_OLD)


def _paused(plan: Plan, usage: Usage) -> Ruling | None:
    stopping = [pause for pause in usage.pauses if _stops(pause, plan, usage)]
    if not stopping:
        return None
    # The one that lasts longest says when to look again; one without an end waits for a person.
    pause = max(stopping, key=lambda one: (one.expires_at is None, one.expires_at))
    own = pause.reason in {Reason.BY_OPERATOR, Reason.LIMIT_TRIPPED}
    reason = Reason.PAUSED if own else Reason.PORTAL_PAUSED
    return Ruling(verdict=Verdict.HOLD, reason=reason, until=pause.expires_at, pause=pause)


def _stops(pause: Pause, plan: Plan, usage: Usage) -> bool:
    named = {
        PauseScope.SOURCE: usage.source,
        PauseScope.MAPPING: plan.mapping,
        PauseScope.ACTION: plan.action,
        PauseScope.PORTAL: plan.portal,
    }
    if pause.scope is PauseScope.EVERYTHING:
        return True
    if pause.scope in named:
        return named[pause.scope] == pause.value
    if usage.parts is None:
        return False
    if pause.scope is PauseScope.ENGINE:
        return any(_reaches(part, pause.value, dict(usage.engine_names)) for part in usage.parts)
    return any(_is_one_of(device, pause.value) for device in _devices(usage.parts))


def _reaches(part: Part, engine: str, names: dict[EngineUid, str]) -> bool:
    """Say whether a part may reach an Engine, given by UID or name; what cannot be told apart counts."""
    if part.engines is None:
        return True
    known = [names.get(uid) for uid in part.engines]
    wanted = engine.casefold()
    is_uid = len(engine) == 32 and all(char in "0123456789abcdef" for char in wanted)
    if wanted in part.engines or any(name is not None and name.casefold() == wanted for name in known):
        return True
    return not is_uid and None in known


def _is_one_of(device: Device, pattern: str) -> bool:
    """Say whether a device's whole name fits a pattern; a device whose name is not known may be one."""
    if device.name is None:
        return True
    return re2.fullmatch(f"(?i:{pattern})", device.name) is not None


def _devices(parts: Iterable[Part]) -> Iterator[Device]:
    return (device for part in parts for device in part.devices)


def _approved(plan: Plan, usage: Usage) -> Ruling | None:
    if usage.parts is None or not needs_approval(plan, len(set(_devices(usage.parts)))):
        return None
    approval = usage.approval
    if approval is None:
        return Ruling(verdict=Verdict.ASK, reason=Reason.AWAITING_APPROVAL)
    if approval.plan_hash != plan_hash(plan, usage.parts):
        return Ruling(verdict=Verdict.CANCEL, reason=Reason.PLAN_CHANGED)
    if approval.state is ApprovalState.DECLINED:
        return Ruling(verdict=Verdict.CANCEL, reason=Reason.NOT_APPROVED)
    if usage.now >= approval.expires_at:
        return Ruling(verdict=Verdict.EXPIRE, reason=Reason.NOT_APPROVED)
    if approval.state is ApprovalState.ASKED:
        return Ruling(verdict=Verdict.HOLD, reason=Reason.AWAITING_APPROVAL, until=approval.expires_at)
    if usage.read_at is None or usage.now - usage.read_at > READ_WITHIN:
        return Ruling(verdict=Verdict.READ)
    return None


def _too_many(plan: Plan, usage: Usage) -> Ruling | None:
    """Refuse what no waiting frees: more devices at once than a limit allows in its whole window."""
    if usage.parts is None or usage.waived:
        return None
    devices = len({device.uid for device in _devices(usage.parts)})
    for limit in plan.limits:
        if limit.kind is LimitKind.DEVICES_PER_DAY and devices > limit.most:
            return Ruling(verdict=Verdict.REFUSE, reason=Reason.TOO_MANY_DEVICES, limit=limit)
    return None


def _limits(usage: Usage) -> Ruling | None:
    if usage.waived:
        return None
    full = [(spent.frees_at, spent.limit) for spent in usage.spent if spent.frees_at is not None]
    if not full:
        return None
    until, limit = max(full, key=lambda one: one[0])
    return Ruling(verdict=Verdict.HOLD, reason=Reason.OVER_LIMIT, until=until, limit=limit)
