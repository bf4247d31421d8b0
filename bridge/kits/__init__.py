"""What the administrator of a ticket system needs so that it sends what the mappings read.

It must not hold, show or ask for a secret: it says where one is put.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bridge.errors import NotPossible, Reason
from bridge.kits import jira, needs, servicenow
from bridge.kits.parts import Step
from bridge.mapping.language import MappingSet
from bridge.models import SourceKind
from bridge.settings import SourceSettings
from bridge.settings.sources import Verify

# Stands where the address should, so that nobody takes it for one.
NOWHERE: Final = "https://YOUR-BRIDGE"


class Kind(StrEnum):
    """What sends."""

    SERVICENOW = "servicenow"
    JIRA = "jira"
    JIRA_AUTOMATION = "jira-automation"


_SENDS: Final = {
    Kind.SERVICENOW: "a ServiceNow instance",
    Kind.JIRA: "Jira's own webhook, which can only sign (VERIFY=hmac)",
    Kind.JIRA_AUTOMATION: "a rule of Jira Automation, which cannot sign (VERIFY=token or basic)",
}

# Why a webhook was refused, and what to do about it.
REFUSED: Final[Mapping[str, str]] = {
    Reason.UNKNOWN_SOURCE: "the address ends with no source that is configured; take it as it stands here",
    Reason.BAD_SIGNATURE: "the secret differs, its header is missing, or the body was changed on the way",
    Reason.BAD_TIMESTAMP: "the sender's clock or queue is late: see TIME_WINDOW_SECONDS",
    Reason.NOT_JSON: "the body is not JSON",
    Reason.NOT_A_TICKET: "the body names no ticket",
    Reason.TOO_LARGE: "the body is larger than MAX_BODY_BYTES",
    Reason.WRONG_TYPE: "the header Content-Type is not application/json",
    Reason.LEDGER_UNAVAILABLE: "the bridge could not commit it, and asked for it again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """A kit for one source: its address, what to mind, and the steps in their order."""

    kind: Kind
    source: str
    address: str
    notes: tuple[str, ...]
    steps: tuple[Step, ...]


def kind_of(source: SourceSettings) -> Kind | None:
    """Return which kit is a source's; None for a Jira source that neither sender of Jira can serve."""
    if source.kind is SourceKind.SERVICENOW:
        return Kind.SERVICENOW
    if source.verify is Verify.HMAC:
        return Kind.JIRA
    return Kind.JIRA_AUTOMATION if source.verify in (Verify.TOKEN, Verify.BASIC) else None


def choose(kind: Kind, sources: Iterable[SourceSettings], name: str | None) -> SourceSettings:
    """Return the source that a kit is for; raise NotPossible where there is none, or several and no name."""
    known = {str(source.name): source for source in sources}
    fitting = [each for each in known if kind_of(known[each]) is kind]
    if name is None and len(fitting) == 1:
        return known[fitting[0]]
    if name in known:
        if name in fitting:
            return known[name]
        raise NotPossible(f"the source {name} is not of the kind {kind}: that is {_SENDS[kind]}")
    if name is not None:
        raise NotPossible(f"there is no source {name} (known: {', '.join(known) or 'none'})")
    if not fitting:
        raise NotPossible(
            f"no source of the kind {kind} is configured: that is {_SENDS[kind]} "
            "(BRIDGE_SOURCES__NAME__KIND and what goes with it, see docs/settings.md)"
        )
    raise NotPossible(f"several sources are of the kind {kind}: say --source {' or '.join(fitting)}")


def make(source: SourceSettings, mapping_set: MappingSet | None, public_url: str | None) -> Kit:
    """Return the kit of a source for the mappings of a set; raise NotPossible where there is none for it."""
    kind = kind_of(source)
    if kind is None:
        raise NotPossible(f"Jira sends nothing that VERIFY={source.verify} of {source.name} would take")
    address = f"{public_url or NOWHERE}/webhooks/{source.name}"
    found = needs.needs(mapping_set, source.name)
    notes: list[str] = []
    if public_url is None:
        notes.append(f"BRIDGE_PUBLIC_URL is not set: put your own address where {NOWHERE} stands")
    if not found.mappings:
        notes.append(f"no mapping names the source {source.name}: write one first, for it says what is sent")
    making = {
        Kind.SERVICENOW: servicenow.kit,
        Kind.JIRA: jira.webhook,
        Kind.JIRA_AUTOMATION: jira.automation,
    }
    more, steps = making[kind](source, found, address)
    return Kit(kind=kind, source=source.name, address=address, notes=(*notes, *more), steps=steps)
