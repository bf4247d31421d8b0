"""Tells of runs that wait, and of those that end without having been sent.

It must not tell of a run of which something was sent.
"""

from datetime import datetime, timedelta

from bridge.comments.composing import listed, report, sentence, shown, who
from bridge.comments.waiting_words import (
    EXPIRED_WORDS,
    HELD_WORDS,
    LAYER_WORDS,
    LIMIT_WORDS,
    LIMITED,
    WITHDRAWN_WORDS,
)
from bridge.comments.wording import CALL_WORDS, NOT_SAID
from bridge.errors import Reason
from bridge.models import Limit, Part, Plan, Report, RunId, Tone
from bridge.policy import HASH_SHOWN, Ruling, plan_hash, too_old_at


def held(run: RunId, plan: Plan, ruling: Ruling) -> Report:
    """Tell that a run waits, for whom or until when, and which limit or pause holds it (S6, L1)."""
    assert ruling.reason is not None
    words = HELD_WORDS[ruling.reason]
    cause: tuple[str, ...] = ()
    if ruling.pause is not None and ruling.reason is Reason.PORTAL_PAUSED:
        answer = CALL_WORDS.get(ruling.pause.reason, NOT_SAID)
        cause = (answer.what, answer.way_out)
    facts: list[tuple[str, str]] = []
    if ruling.limit is not None:
        facts.append(("Limit", limit_in_words(ruling.limit)))
    if ruling.until is not None:
        facts.append(("Not before", _moment(ruling.until)))
    facts.append(("Expires", _moment(too_old_at(plan))))
    return report(run, plan, words.what, Tone.WARNING, (*cause, words.way_out), facts=tuple(facts))


def approval_asked(run: RunId, plan: Plan, parts: tuple[Part, ...]) -> Report:
    """Tell what waits for approval: the devices and parameters to which an approval will be bound (L3)."""
    assert plan.approval is not None
    rule = plan.approval
    devices = [shown(device) for part in parts for device in part.devices]
    params = tuple((f"Parameter {name}", value) for name, value in plan.params)
    plan_seen = plan_hash(plan, parts)[:HASH_SHOWN]
    ways = [f"Whoever has a token of the bridge can approve it: bridge approve {run} --plan {plan_seen}."]
    if rule.field is not None:
        ways.insert(0, f"Set {rule.field} of this ticket to {rule.becomes} to approve it.")
    if rule.system:
        ways.insert(0, "Approve it in this ticket's own approvals.")
    barred = "Whoever asked for it cannot approve it."
    facts = (
        ("Approval for", listed(devices)),
        *params,
        ("Approval within", span_in_words(rule.expires)),
        ("Expires", _moment(too_old_at(plan))),
    )
    headline = f"Waiting for approval: {plan.title} on {len(devices)} device(s)"
    return report(run, plan, headline, Tone.WARNING, (*ways, barred), facts=facts)


def approved(run: RunId, plan: Plan, *, by: str) -> Report:
    """Tell that a run was approved, by whom, and that it goes on."""
    return report(run, plan, "Approved: it is sent now", Tone.NEUTRAL, (), facts=(("By", by),))


def released(run: RunId, plan: Plan, *, by: str, why: str) -> Report:
    """Tell that a person let a run go on that had been told to wait."""
    return report(run, plan, "Released: it goes on now", Tone.NEUTRAL, (), facts=who(by, why))


def expired(run: RunId, plan: Plan, reason: Reason) -> Report:
    """Tell that a run became too old to be sent, or was not approved in time."""
    words = EXPIRED_WORDS[reason]
    return report(run, plan, words.what, Tone.WARNING, (words.way_out,))


def withdrawn(run: RunId, plan: Plan, reason: Reason, detail: str | None) -> Report:
    """Tell that a run is not wanted any more: declined, or its ticket closed or changed."""
    words = WITHDRAWN_WORDS[reason]
    said = (sentence(detail),) if detail else ()
    return report(run, plan, words.what, Tone.WARNING, (*said, words.way_out))


def limit_in_words(limit: Limit) -> str:
    """Return a limit as a person reads it, with whose it is."""
    whose = LAYER_WORDS[limit.layer]
    counted = f"{limit.most} {LIMITED[limit.kind]}{'' if limit.most == 1 else 's'}"
    return LIMIT_WORDS[limit.kind].format(most=counted, whose=whose, window=span_in_words(limit.window))


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def span_in_words(span: timedelta) -> str:
    """Return a length of time in the largest unit that gives a whole number."""
    seconds = int(span.total_seconds())
    units = ((86_400, "days"), (3_600, "h"), (60, "min"), (1, "s"))
    size, unit = next(one for one in units if seconds % one[0] == 0)
    return "24 h" if seconds == 86_400 else f"{seconds // size} {unit}"
