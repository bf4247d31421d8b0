"""Says in words what bounds a mapping and its plans: limits, approval, whose devices, and what follows.

It must not look at what was used of a limit, nor at earlier runs.
"""

from collections.abc import Iterator

from bridge.comments.waiting import limit_in_words, span_in_words
from bridge.comments.waiting_words import LAYER_WORDS
from bridge.mapping.bounds import tightest
from bridge.mapping.rules import MappingRule
from bridge.models import ApprovalRule, DeviceKey, Limit, Plan, WriteBack
from bridge.policy import needs_approval


def bounds(plan: Plan, rule: MappingRule) -> Iterator[tuple[str, str]]:
    """Yield the bounds of a plan under the mapping that made it, each as its kind and a text."""
    if plan.by is DeviceKey.USER and plan.approval is not None and plan.approval.above:
        here = ", how many this person has is not known yet"
    else:
        here = ", so for this one" if needs_approval(plan, len(plan.devices)) else ", so not for this one"
    whose = None
    if plan.user is not None:
        whose = f"{plan.user.login}@{plan.user.domain}" if plan.user.domain else plan.user.login
    yield from _bounds(rule, here=here, whose=whose)


def bounds_of_any(rule: MappingRule) -> Iterator[tuple[str, str]]:
    """Yield the bounds of whatever a mapping plans, each as its kind and a text."""
    domain = f" in {rule.owner.domain}" if rule.owner is not None and rule.owner.domain else ""
    yield from _bounds(rule, here="", whose=f"the ticket's person{domain}")


def _bounds(rule: MappingRule, *, here: str, whose: str | None) -> Iterator[tuple[str, str]]:
    yield "at most", f"{rule.max_devices} devices (set for {LAYER_WORDS[rule.max_devices_of]})"
    age = span_in_words(rule.max_age)
    yield "age", f"sent within {age} of the change (set for {LAYER_WORDS[rule.max_age_of]})"
    yield from (("limit", text) for text in limits(rule.limits))
    if rule.approval is not None:
        when = f"on more than {rule.approval.above} devices" if rule.approval.above else "for every run"
        yield "approval", f"needed {when}{here}"
        yield from (("approval", text) for text in _approval(rule.approval))
    if rule.owner is not None:
        yield "whose", f"only devices that {whose} has used within {span_in_words(rule.owner.used_within)}"
    if rule.send_again is not None:
        wait = span_in_words(rule.send_again.wait)
        yield "again", f"up to {rule.send_again.times} times, {wait} after an answer"
    for change in rule.after:
        yield "after", f"{change.outcome}: {', '.join(_changes(change))}"


def limits(all_of_them: tuple[Limit, ...]) -> Iterator[str]:
    """Yield limits as people read them; of several of a kind the tightest is marked."""
    holding = tightest(all_of_them)
    for limit in all_of_them:
        others = sum(other.kind is limit.kind for other in all_of_them) > 1
        mark = ", the tightest of its kind" if others and limit in holding else ""
        yield f"{limit_in_words(limit)}{mark}"


def _approval(rule: ApprovalRule) -> Iterator[str]:
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
