"""Holds a payload against mappings: what each makes of it, and the requests that would follow.

It must not send an action, nor remember anything; only a look-up that it is given asks a portal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bridge.mapping.evaluate import explain
from bridge.mapping.language import MappingSet
from bridge.mapping.rules import MappingRule
from bridge.models import Decision, Delivery, Ignored, Plan, PortalName, Problem
from bridge.nexthink import PortalConfig
from bridge.previewing import LookUp, Preview, previews
from bridge.resolving import Later
from bridge.ticketing import TicketSystem, strict_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A decision, and for a plan its mapping and what would be sent, or why nothing would be."""

    decision: Decision
    rule: MappingRule | None
    requests: tuple[Preview, ...] | Problem | Later | None


def explained(
    body: bytes,
    *,
    system: TicketSystem,
    portals: Mapping[PortalName, PortalConfig],
    mapping_set: MappingSet,
    look_up: LookUp | None,
    received_at: datetime,
) -> Ignored | tuple[Explanation, ...]:
    """Return what every mapping makes of a webhook's body: what fires, then the nearest misses.

    Earlier runs and limits are not looked at, and a ticket is not fetched. Raises WebhookRefused.
    """
    delivery = Delivery(
        source=system.source,
        key="explained",
        digest="",
        timed=True,
        payload=strict_json.parse(body),
        received_at=received_at,
    )
    event = system.parse_event(delivery)
    if isinstance(event, Ignored):
        return event
    return tuple(
        _with_requests(decision, mapping_set, portals, look_up)
        for decision in explain(event, mapping_set, received_at=received_at)
    )


def _with_requests(
    decision: Decision,
    mapping_set: MappingSet,
    portals: Mapping[PortalName, PortalConfig],
    look_up: LookUp | None,
) -> Explanation:
    plan = decision.result
    if not isinstance(plan, Plan):
        return Explanation(decision=decision, rule=None, requests=None)
    rule = next(rule for rule in mapping_set.mappings if rule.id == decision.mapping)
    return Explanation(decision=decision, rule=rule, requests=previews(plan, portals[plan.portal], look_up))
