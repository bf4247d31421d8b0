"""The outside systems that are configured: each with its dialect and the transport that reaches it.

It must not construct them; the composition does, and again when a secret file changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from bridge.models import PortalName, SourceName, Trust
from bridge.nexthink import PortalConfig
from bridge.ticketing import TicketSystem
from bridge.transport import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A ticket system; `max_body_bytes` is the largest webhook body that is taken from it.

    `trust` says what of a webhook is believed. `fetch` has the ticket read before it is evaluated although
    the payload is believed, to fill what the payload lacks; with the doorbell it is always read.
    `reconcile` is how often the system is asked for what never arrived; None for never.
    """

    system: TicketSystem
    transport: Transport
    max_body_bytes: int
    trust: Trust = Trust.PAYLOAD
    fetch: bool = False
    reconcile: timedelta | None = None

    @property
    def reads(self) -> bool:
        """Say whether a ticket is read before it is evaluated."""
        return self.fetch or self.trust is Trust.DOORBELL


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """A Nexthink portal; `max_in_flight` is how many Act calls one worker has under way there."""

    config: PortalConfig
    transport: Transport
    max_in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """`console_url` is where people outside reach the console, without a slash at the end, or None."""

    sources: Mapping[SourceName, Source]
    portals: Mapping[PortalName, Portal]
    console_url: str | None = None
