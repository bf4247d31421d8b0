"""Says in words what bounds a plan: limits and whose they are, approval, whose devices, and what follows.

It must not look at what was used of a limit, nor at earlier runs.
"""

from collections.abc import Iterator

from bridge.comments.waiting import limit_in_words, span_in_words
from bridge.comments.waiting_words import LAYER_WORDS
from bridge.mapping.bounds import tightest
from bridge.mapping.rules import MappingRule
from bridge.models import ApprovalRule, DeviceKey, Plan, WriteBack
from bridge.policy import needs_approval


def bounds(plan: Plan, rule: MappingRule) -> Iterator[tuple[str, str]]:
    """Yield the bounds of a plan under the mapping that made it, each as its kind and a text."""
    yield "at most", f"{plan.max_devices} devices (set for {LAYER_WORDS[rule.max_devices_of]})"
    age = span_in_words(plan.max_age)
    yield "age", f"sent within {age} of the change (set for {LAYER_WORDS[rule.max_age_of]})"
    holding = tightest(plan.limits)
    for limit in plan.limits:
        others = sum(other.kind is limit.kind for other in plan.limits) > 1
        mark = ", the tightest of its kind" if others and limit in holding else ""
        yield "limit", f"{limit_in_words(limit)}{mark}"
    for text in _approval(plan):
        yield "approval", text
    if plan.user is not None:
        account = f"{plan.user.login}@{plan.user.domain}" if plan.user.domain else plan.user.login
        within = span_in_words(plan.user.used_within)
        yield "whose", f"only devices that {account} has used within {within}"
    if plan.send_again is not None:
        wait = span_in_words(plan.send_again.wait)
        yield "again", f"up to {plan.send_again.times} times, {wait} after an answer"
    for change in plan.after:
        yield "after", f"{change.outcome}: {', '.join(_changes(change))}"


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
