"""Holds a plan against its ticket as it is now: is this still what the ticket asks for?

It must not ask whether the conditions of the mapping still hold: an approval changes the ticket on purpose.
"""

from datetime import datetime

from bridge.mapping import planning
from bridge.mapping.paths import View
from bridge.mapping.rules import MappingRule
from bridge.models import Plan, TicketEvent, Unplannable


def difference(plan: Plan, rule: MappingRule, event: TicketEvent, now: datetime) -> str | None:
    """Say what a ticket asks for now that the plan does not; None where both ask for the same."""
    asked = planning.plan(rule, View(event), plan.mapping_set, now)
    if asked is None:
        return "the ticket names no device any more"
    if isinstance(asked, Unplannable):
        return asked.problem.detail
    if _folded(asked.devices) != _folded(plan.devices):
        return "the ticket names other devices now"
    if asked.params != plan.params:
        return "the ticket asks for other parameters now"
    if (asked.portal, asked.action, asked.user) != (plan.portal, plan.action, plan.user):
        return "the ticket asks for it in another place, or for another person, now"
    return None


def _folded(devices: tuple[str, ...]) -> frozenset[str]:
    return frozenset(device.casefold() for device in devices)
