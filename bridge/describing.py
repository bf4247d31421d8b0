"""Says in words what bounds a mapping and its plans: limits, approval, whose devices, and what follows.

It must not look at what was used of a limit, nor at earlier runs.
"""

from collections.abc import Iterator

from bridge.comments.waiting import limit_in_words, span_in_words
from bridge.comments.waiting_words import LAYER_WORDS
from bridge.mapping.bounds import tightest
from bridge.mapping.language import MappingSet
from bridge.mapping.rules import MappingRule
from bridge.models import ApprovalRule, DeviceKey, Limit, Mode, Pause, PauseScope, Plan, WriteBack
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


def outlasting(pause: Pause, mapping_set: MappingSet | None) -> str | None:
    """Say which mappings have runs that expire while a pause holds them; None where it ends before."""
    lasting = None if pause.expires_at is None else pause.expires_at - pause.at
    rules = () if mapping_set is None else mapping_set.mappings
    held = [rule for rule in rules if rule.mode is Mode.LIVE and concerns(pause, rule) is not False]
    short = sorted((rule.max_age, rule.id) for rule in held if lasting is None or rule.max_age <= lasting)
    if not short:
        return None
    age, name = short[0]
    later = f", of {counted} no sooner" if (counted := _more(len(short) - 1)) else ""
    return f"What waits meanwhile expires when it is too old: of {name} after {span_in_words(age)}{later}."


def _more(count: int) -> str:
    return "" if count == 0 else "1 other mapping" if count == 1 else f"{count} other mappings"


def concerns(pause: Pause, rule: MappingRule) -> bool | None:
    """Say whether a pause holds what a mapping starts; None where that depends on the ticket."""
    match pause.scope:
        case PauseScope.EVERYTHING:
            return True
        case PauseScope.SOURCE:
            return pause.value == rule.source
        case PauseScope.MAPPING:
            return pause.value == rule.id
        case PauseScope.ACTION:
            return pause.value == rule.action.name
        case PauseScope.PORTAL if rule.portal.fixed is not None:
            return pause.value == rule.portal.fixed
    return None


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
