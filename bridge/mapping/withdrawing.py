"""Holds an accepted plan against the rules of this moment: what was frozen may only get narrower.

It must not widen anything: a plan keeps its own fence, parameters, limits and approval too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bridge.errors import Reason
from bridge.mapping import parameters
from bridge.mapping.catalogue import Action
from bridge.mapping.fences import breach
from bridge.mapping.language import MappingSet
from bridge.mapping.rules import MappingRule
from bridge.models import ApprovalRule, Device, EngineChoice, Mode, Plan, Problem, SendAgain
from bridge.policy import needs_approval


def narrowed(plan: Plan, devices: Sequence[Device], mapping_set: MappingSet) -> Plan | Problem:
    """Return a plan with the limits and the age of now beside its own, or why it may not be sent any more.

    The mapping must still be live, the action still have this UID on this portal, and devices, parameters,
    Engines and approval be what the rules of now would have asked for. `devices` are the resolved ones.
    """
    rule = next((rule for rule in mapping_set.mappings if rule.id == plan.mapping), None)
    if plan.mapping_set != mapping_set.hash:
        problem = _withdrawn(plan, devices, rule, mapping_set)
        if problem is not None:
            return problem
    if rule is None:
        return plan
    # The bridge's own bounds are settings, so they may have changed without the files.
    if len(devices) > rule.max_devices:
        return _problem(
            "devices", f"it is for {len(devices)} devices, and {rule.max_devices} are allowed now"
        )
    added = tuple(limit for limit in rule.limits if limit not in plan.limits)
    plan = replace(plan, limits=(*plan.limits, *added), max_age=min(plan.max_age, rule.max_age))
    if plan.mapping_set == mapping_set.hash:
        return plan
    action = mapping_set.catalogue.actions[plan.action]
    return replace(
        plan,
        repeatable=plan.repeatable and action.repeatable,
        send_again=_fewer(plan.send_again, rule.send_again),
    )


def _fewer(then: SendAgain | None, now: SendAgain | None) -> SendAgain | None:
    """Return the second sends that both rules allow: no more often and no sooner than either."""
    if then is None or now is None:
        return None
    return SendAgain(times=min(then.times, now.times), wait=max(then.wait, now.wait))


def _withdrawn(
    plan: Plan, devices: Sequence[Device], rule: MappingRule | None, mapping_set: MappingSet
) -> Problem | None:
    if rule is None or rule.mode is not Mode.LIVE:
        return _problem("mapping", f"the mapping '{plan.mapping}' is not live any more")
    action = mapping_set.catalogue.actions.get(plan.action)
    if action is None or (plan.portal, plan.remote_action_uid) not in action.uids:
        return _problem("action", f"the action '{plan.action}' is not in the catalogue any more as it was")
    for why in (
        _outside(action, devices),
        _not_there(plan, action),
        _not_theirs(plan, rule),
        _not_allowed(plan, action),
        _not_approved_so(plan, rule, len(devices)),
    ):
        if why is not None:
            return why
    return None


def _outside(action: Action, devices: Iterable[Device]) -> Problem | None:
    fence = action.fence
    for device in devices:
        if device.name is not None:
            why = breach(fence, device.name)
        elif fence.names is not None or fence.never:
            why = "the action is only for certain device names now, and its name is not known"
        else:
            why = None
        if why is not None:
            return _problem("devices", f"{device.name or device.uid}: {why}")
    return None


def _not_there(plan: Plan, action: Action) -> Problem | None:
    """Say whether the plan may reach an Engine that the action does not choose now."""
    chosen = action.engine_choice
    if chosen is EngineChoice.ALL:
        return None
    if plan.engine_choice is chosen and _lowered(plan.engines) <= _lowered(action.engines):
        return None
    return _problem("engines", "the action is for other or fewer Engines now")


def _lowered(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def _not_theirs(plan: Plan, rule: MappingRule) -> Problem | None:
    """Say whether whose device it has to be is asked more strictly now than when it was looked up."""
    if rule.owner is None:
        return None
    user, owner = plan.user, rule.owner
    if user is None:
        return _problem("devices", "the action is only for devices of the ticket's person now")
    if owner.domain not in (None, user.domain) or user.used_within > owner.used_within:
        return _problem("devices", "whose devices the action may reach has become narrower")
    return None


def _not_allowed(plan: Plan, action: Action) -> Problem | None:
    for name, value in plan.params:
        rule = action.param(name)
        if rule is None or parameters.refusal(rule, value) is not None:
            return _problem(name, f"the catalogue does not allow this value of '{name}' any more")
    return None


def _not_approved_so(plan: Plan, rule: MappingRule, devices: int) -> Problem | None:
    """Say whether an approval is needed now that was not asked for, or was asked for in another way."""
    if rule.approval is None or devices <= rule.approval.above:
        return None
    if not needs_approval(plan, devices):
        return _problem("approval", "it needs approval now, which was not asked for when the ticket changed")
    assert plan.approval is not None
    asked, wanted = _way(plan.approval), _way(rule.approval)
    if asked != wanted or plan.approval.expires > rule.approval.expires:
        return _problem("approval", "who may approve it, or how, has changed since it was asked for")
    return None


def _way(rule: ApprovalRule) -> tuple[object, ...]:
    return rule.field, rule.becomes, rule.system, frozenset(rule.not_by), rule.by_group


def _problem(place: str, detail: str) -> Problem:
    return Problem(reason=Reason.WITHDRAWN, place=place, detail=detail)
