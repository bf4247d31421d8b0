"""Prints what bounds a plan: its limits and whose they are, approval, whose devices, and what follows.

It must not look at what was used of a limit, nor at earlier runs.
"""

from collections.abc import Iterator

from bridge.cli.showing import line
from bridge.comments.waiting import limit_in_words, span_in_words
from bridge.comments.waiting_words import LAYER_WORDS
from bridge.mapping.bounds import tightest
from bridge.mapping.rules import MappingRule
from bridge.models import ApprovalRule, DeviceKey, Plan, WriteBack
from bridge.policy import needs_approval


def bounds(plan: Plan, rule: MappingRule) -> None:
    """Print the bounds of a plan under the mapping that made it, one on a line."""
    most = f"{plan.max_devices} devices (set for {LAYER_WORDS[rule.max_devices_of]})"
    line(f"at most     {most}", indent=2)
    age = span_in_words(plan.max_age)
    line(f"age         sent within {age} of the change (set for {LAYER_WORDS[rule.max_age_of]})", indent=2)
    holding = tightest(plan.limits)
    for limit in plan.limits:
        others = sum(other.kind is limit.kind for other in plan.limits) > 1
        mark = ", the tightest of its kind" if others and limit in holding else ""
        line(f"limit       {limit_in_words(limit)}{mark}", indent=2)
    for text in _approval(plan):
        line(f"approval    {text}", indent=2)
    if plan.user is not None:
        account = f"{plan.user.login}@{plan.user.domain}" if plan.user.domain else plan.user.login
        within = span_in_words(plan.user.used_within)
        line(f"whose       only devices that {account} has used within {within}", indent=2)
    if plan.send_again is not None:
        wait = span_in_words(plan.send_again.wait)
        line(f"again       up to {plan.send_again.times} times, {wait} after an answer", indent=2)
    for change in plan.after:
        line(f"after       {change.outcome}: {', '.join(_changes(change))}", indent=2)


def _approval(plan: Plan) -> Iterator[str]:
    rule = plan.approval
    if rule is None:
        return
    when = f"on more than {rule.above} devices" if rule.above else "for every run"
    if plan.by is DeviceKey.USER and rule.above:
        here = "how many this person has is not known yet"
    else:
        here = "so for this one" if needs_approval(plan, len(plan.devices)) else "so not for this one"
    yield f"needed {when}, {here}"
    yield f"given by {' or '.join(_ways(rule))}, within {span_in_words(rule.expires)}"
    group = f", only by the group {rule.by_group}" if rule.by_group else ""
    yield f"never by {', '.join(rule.not_by)}{group}"


def _ways(rule: ApprovalRule) -> Iterator[str]:
    if rule.field is not None:
        yield f"changing {rule.field} to {rule.becomes}"
    if rule.system:
        yield "the ticket's own approvals"
    yield "bridge approve"


def _changes(change: WriteBack) -> Iterator[str]:
    named = (
        ("state", change.state),
        ("assign_to", change.assign_to),
        ("assign_group", change.assign_group),
        ("label", change.label),
    )
    yield from (f"{key} {value}" for key, value in named if value is not None)
