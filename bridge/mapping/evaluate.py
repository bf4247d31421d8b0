"""Holds an event against every mapping of a set: what fires, what it would send, and why the rest did not.

It must not send, remember or look anything up.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.errors import Reason
from bridge.mapping import conditions, planning
from bridge.mapping.language import MappingSet
from bridge.mapping.paths import View
from bridge.mapping.rules import MappingRule
from bridge.models import (
    ApprovalRule,
    ConditionTrace,
    Decision,
    DeviceKey,
    Evaluation,
    Mode,
    Outcome,
    Plan,
    PortalName,
    Problem,
    TicketEvent,
)

# A set has thousands of mappings and a ticket fits few; beyond these, `explain` tells of the rest.
MISSES_KEPT = 25


def evaluate(event: TicketEvent, mapping_set: MappingSet, *, received_at: datetime) -> Evaluation:
    """Return what comes of an event: every mapping that fired, and the nearest that did not.

    A miss carries all its conditions, or one with many that held would seem nearer than it is.
    `received_at` stands in where the event does not say when it happened.
    """
    view = View(event)
    listed = mapping_set.by_event.get((event.ref.source, event.kind))
    fired: list[MappingRule] = []
    decisions: list[Decision] = []
    missed: list[Decision] = []
    # A set of a few is told of as a whole; of thousands those that cannot fire are not all looked at.
    for rule in listed.of(view, besides=MISSES_KEPT) if listed else ():
        trace = tuple(conditions.trace(one, view) for one in rule.when)
        if all(one.held is True for one in trace):
            fired.append(rule)
            decisions.append(_decide(rule, trace, view, mapping_set.hash, received_at))
        else:
            missed.append(Decision(mapping=rule.id, outcome=Outcome.MISSED, trace=trace))
    missed.sort(key=distance)
    settled = _settled(fired, decisions, view)
    return Evaluation(mapping_set=mapping_set.hash, decisions=(*settled, *missed[:MISSES_KEPT]))


def explain(event: TicketEvent, mapping_set: MappingSet, *, received_at: datetime) -> tuple[Decision, ...]:
    """Return a decision with every condition for every mapping: what fired, then near misses first."""
    view = View(event)
    evaluation = evaluate(event, mapping_set, received_at=received_at)
    chosen = {
        decision.mapping: decision
        for decision in evaluation.decisions
        if decision.outcome is not Outcome.MISSED
    }
    missed: list[Decision] = []
    for rule in mapping_set.mappings:
        if rule.id not in chosen:
            trace = (*_about_event(rule, event), *(conditions.trace(one, view) for one in rule.when))
            missed.append(Decision(mapping=rule.id, outcome=Outcome.MISSED, trace=trace))
    missed.sort(key=distance)
    return (*chosen.values(), *missed)


def distance(missed: Decision) -> tuple[int, int]:
    """Rank a miss, the nearest lowest: by how few conditions did not hold, then by how many held."""
    held = sum(one.held is True for one in missed.trace)
    return len(missed.trace) - held, -held


def _about_event(rule: MappingRule, event: TicketEvent) -> tuple[ConditionTrace, ...]:
    """Return the two conditions that every mapping has: its source and its events."""
    source, events = event.ref.source, ", ".join(kind.value for kind in rule.events)
    return (
        ConditionTrace(
            wanted=f"the mapping wants '{rule.source}'",
            seen=f"the source is '{source}'",
            held=source == rule.source,
        ),
        ConditionTrace(
            wanted=f"the mapping wants {events}",
            seen=f"the ticket was {event.kind.value}",
            held=event.kind in rule.events,
        ),
    )


def _decide(
    rule: MappingRule, trace: tuple[ConditionTrace, ...], view: View, mapping_set: str, received_at: datetime
) -> Decision:
    result = planning.plan(rule, view, mapping_set, received_at)
    if result is None:
        return Decision(mapping=rule.id, outcome=Outcome.IGNORED, trace=trace)
    outcome = Outcome.FIRED if isinstance(result, Plan) else Outcome.UNPLANNABLE
    return Decision(mapping=rule.id, outcome=outcome, trace=trace, result=result)


# A login is no device, though it may read like the name of one.
_Target = tuple[str, PortalName, DeviceKey, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fired:
    """A mapping that fired, and its plan."""

    rule: MappingRule
    plan: Plan


def _settled(rules: list[MappingRule], decisions: list[Decision], view: View) -> list[Decision]:
    """Let no device get the same action twice for one event: one run where all is the same, else none."""
    fired = {
        rule.id: _Fired(rule=rule, plan=decision.result)
        for rule, decision in zip(rules, decisions, strict=True)
        if isinstance(decision.result, Plan)
    }
    holders = _holders(fired.values())
    clashes = {name: clash for name, one in fired.items() if (clash := _clash(one.plan, holders))}
    running = _holders(one for name, one in fired.items() if name not in clashes)
    settled: list[Decision] = []
    for decision in decisions:
        one = fired.get(decision.mapping)
        if one is None:
            settled.append(decision)
        elif decision.mapping in clashes:
            answer = planning.unplannable(one.rule, view, one.plan.mapping_set, clashes[decision.mapping])
            settled.append(replace(decision, outcome=Outcome.UNPLANNABLE, result=answer))
        else:
            settled.append(_without_repeated(one, decision, running, view))
    return settled


def _holders(fired: Iterable[_Fired]) -> dict[_Target, list[Plan]]:
    """Return who sends what where, in the order of the mappings."""
    holders: dict[_Target, list[Plan]] = {}
    for one in fired:
        for target in _targets(one.plan):
            holders.setdefault(target, []).append(one.plan)
    return holders


def _targets(plan: Plan) -> list[_Target]:
    return [(plan.action, plan.portal, plan.by, device.casefold()) for device in plan.devices]


def _clash(plan: Plan, holders: dict[_Target, list[Plan]]) -> Problem | None:
    """Return the problem of a plan that another one contradicts on some device."""
    others = {other.mapping: other for target in _targets(plan) for other in holders[target]}
    against = [name for name, other in others.items() if _sends(other) != _sends(plan)]
    if not against:
        return None
    named = " and ".join(f"'{name}'" for name in sorted([plan.mapping, *against]))
    detail = f"the mappings {named} send '{plan.action}' to the same device in different ways"
    return Problem(reason=Reason.CONFLICT, place=None, detail=detail)


def _sends(plan: Plan) -> tuple[tuple[tuple[str, str], ...], Mode, ApprovalRule | None]:
    """Return what must be the same of two plans for one device, so that one run may stand for both.

    Approval is among it: a mapping that asks for none must not stand for one that does.
    """
    return plan.params, plan.mode, plan.approval


def _without_repeated(
    one: _Fired, decision: Decision, running: dict[_Target, list[Plan]], view: View
) -> Decision:
    """Leave to an earlier mapping the devices that it already sends the same to."""
    plan = one.plan
    first = {device: running[target][0] for device, target in zip(plan.devices, _targets(plan), strict=True)}
    left = tuple(device for device in plan.devices if first[device].mapping == plan.mapping)
    if len(left) == len(plan.devices):
        return decision
    others = sorted({holder.mapping for holder in first.values() if holder.mapping != plan.mapping})
    named = " and ".join(f"'{name}'" for name in others)
    note = ConditionTrace(
        wanted="one run for a device is enough",
        seen=f"{named} runs the same on {len(plan.devices) - len(left)} of its devices",
        held=bool(left),
    )
    trace = (*decision.trace, note)
    if not left:
        return replace(decision, outcome=Outcome.IGNORED, trace=trace, result=None)
    style = replace(plan.style, intro=planning.intro(one.rule, view, left))
    return replace(decision, trace=trace, result=replace(plan, devices=left, style=style))
