"""A mapping as it is in force, with every name resolved and every limit decided.

It must not know files or tickets.
"""

from dataclasses import dataclass
from datetime import timedelta

from bridge.mapping.catalogue import Action, OwnerFence
from bridge.mapping.conditions import Condition
from bridge.mapping.documents import Place
from bridge.mapping.parameters import ParamSource
from bridge.mapping.paths import Path
from bridge.mapping.patterns import Pattern
from bridge.models import (
    ApprovalRule,
    DeviceKey,
    EventKind,
    IfSeveral,
    IfSomeMissing,
    Layer,
    Limit,
    MappingId,
    Mode,
    PortalName,
    Repeat,
    SendAgain,
    SourceName,
    Visibility,
    WriteBack,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRule:
    paths: tuple[Path, ...]
    extract: Pattern | None
    split: str | None
    by: DeviceKey
    tell_none: bool
    if_several: IfSeveral
    if_some_missing: IfSomeMissing


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalRule:
    """Either `fixed`, or chosen by the value at `path` through `table`."""

    fixed: PortalName | None = None
    path: Path | None = None
    table: tuple[tuple[str, PortalName], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingRule:
    """One mapping. `max_devices` and `max_age` are the tightest of catalogue, mapping and bridge.

    `max_devices_of` and `max_age_of` say whose; `limits` are those of all three, and each holds. `owner`
    None: the devices may be anybody's.
    """

    id: MappingId
    source: SourceName
    events: tuple[EventKind, ...]
    when: tuple[Condition, ...]
    repeat: Repeat
    action: Action
    portal: PortalRule
    devices: DeviceRule
    params: tuple[ParamSource, ...]
    owner: OwnerFence | None
    max_devices: int
    max_devices_of: Layer
    max_age: timedelta
    max_age_of: Layer
    limits: tuple[Limit, ...]
    approval: ApprovalRule | None
    send_again: SendAgain | None
    after: tuple[WriteBack, ...]
    mode: Mode
    visibility: Visibility
    intro: str | None
    place: Place
