"""Says why a run waits, and by which commands a person moves one on that waits for one.

It must not carry a command out, nor decide anything: the policy has ruled.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from bridge.comments.waiting import limit_in_words
from bridge.errors import Reason
from bridge.ledger import pausing
from bridge.ledger.choosing import FREED_BY_TIME
from bridge.ledger.queries import RunStory
from bridge.models import Approval, ApprovalState, Part, Pause, Run, RunState
from bridge.policy import HASH_SHOWN, too_old_at
from bridge.sending_again import parts_to_send_again


@dataclass(frozen=True, slots=True, kw_only=True)
class WaysOut:
    """Why a run waits, what to do first, and the commands to choose from; empty where it waits for nobody.

    `facts` are pairs of a word and what it stands for: the limit, the pause and its author, until when.
    """

    facts: tuple[tuple[str, str], ...] = ()
    advice: str = ""
    commands: tuple[str, ...] = ()


def of(story: RunStory) -> WaysOut:
    """Return why a run waits, and its ways out."""
    run = story.run
    attempt = sum(call.intended_at is not None for call in story.calls)
    if run.state is RunState.UNKNOWN:
        return WaysOut(
            advice="Find out in Nexthink whether the action ran, then say so with one of these:",
            commands=(
                f"bridge resolve {run.id} --ran --reason TEXT",
                f"bridge resolve {run.id} --not-ran --reason TEXT",
                f"bridge resolve {run.id} --not-ran --send-again --attempt {attempt} --reason TEXT",
            ),
        )
    if run.state is RunState.HELD:
        advice, commands = _held(story)
        return WaysOut(
            facts=tuple(_facts(story)),
            advice=advice,
            commands=(*commands, f"bridge cancel {run.id} --reason TEXT"),
        )
    facts = tuple(_of_approval(story.approval)) if story.approval else ()
    if run.state is RunState.ANSWERED and run.plan and parts_to_send_again(run.plan, story.calls):
        return WaysOut(
            facts=facts,
            advice="Engines missed it. When they are back, and it is not too old, send it to exactly those:",
            commands=(f"bridge send-again {run.id} --attempt {attempt} --reason TEXT",),
        )
    return WaysOut(facts=facts)


def until(run: Run) -> datetime | None:
    """Return when a held run goes on by itself, as it was when it was held; None where it does not."""
    if run.state is not RunState.HELD or run.plan is None or run.reason not in FREED_BY_TIME:
        return None
    return run.due_at if run.due_at < too_old_at(run.plan) else None


def pause_of(story: RunStory) -> Pause | None:
    """Return the pause that holds a run; one of Engines or devices is known only by what held the run."""
    if story.ruling is not None and story.ruling.pause is not None:
        return story.ruling.pause
    held_by = (one for one in story.pauses if pausing.named(one) == story.run.detail)
    return next(held_by, None) if story.run.reason is Reason.PAUSED else None


def _held(story: RunStory) -> tuple[str, tuple[str, ...]]:
    """Return what to do first about a held run, and the commands that let it go on."""
    run, approval = story.run, story.approval
    release = f"bridge release {run.id} --reason TEXT"
    match run.reason:
        case Reason.PORTAL_PAUSED if run.plan is not None:
            advice = "Its portal was paused. Mend the cause, then lift the pause, or cancel this run:"
            return advice, (f"bridge release --portal {run.plan.portal} --reason TEXT",)
        case Reason.RESTORED:
            advice = (
                "The ledger looked restored. Compare with the tickets, then release all, or cancel this run:"
            )
            return advice, ("bridge release --restored --reason TEXT",)
        case Reason.LOOP:
            return "Find out who keeps changing the ticket, then choose one of these:", (release,)
        case Reason.OVER_LIMIT:
            if (pause := pause_of(story)) is not None:
                advice = (
                    "It is paused, too. Lift the pause; then it goes on when the limit allows. Not to wait:"
                )
                return advice, (_resume(pause), release)
            advice = "It goes on by itself when the limit allows, if it is not too old by then. Not to wait:"
            return advice, (release,)
        case Reason.PAUSED:
            named = pause_of(story)
            lift = _resume(named) if named else f"bridge resume {run.detail or 'SCOPE VALUE'} --reason TEXT"
            return "It goes on when the pause is lifted or expires:", (lift,)
        case Reason.AWAITING_APPROVAL if approval is not None:
            plan = approval.plan_hash[:HASH_SHOWN]
            approve = f"bridge approve {run.id} --plan {plan}"
            return (
                "It goes on when somebody else than who asked approves exactly this:",
                (f"{approve} --reason TEXT", f"{approve} --decline --reason TEXT"),
            )
        case Reason.CLOCK_WENT_BACK:
            return "It goes on when the clock is right again. See that the time service runs:", ()
    return "It waits for a person:", (release,)


def _resume(pause: Pause) -> str:
    """Return the command that lifts a pause; its value may be a pattern that a shell would read."""
    value = f" {shlex.quote(pause.value)}" if pause.value else ""
    return f"bridge resume {pause.scope}{value} --reason TEXT"


def _facts(story: RunStory) -> Iterator[tuple[str, str]]:
    run, ruling = story.run, story.ruling
    pause = pause_of(story)
    if ruling is not None and ruling.limit is not None:
        yield "limit", limit_in_words(ruling.limit)
    if pause is not None:
        author = pause.author or "the bridge"
        why = f": {pause.detail}" if pause.detail else ""
        yield "pause", f"{pausing.named(pause)}, since {_moment(pause.at)} by {author} ({pause.reason}{why})"
    if story.approval is not None:
        yield from _of_approval(story.approval)
    known = (ruling.until if ruling else None, pause.expires_at if pause else None)
    ends = [at for at in known if at is not None]
    if ends:
        yield "not before", _moment(max(ends))
    if run.plan is not None:
        yield "expires", _moment(too_old_at(run.plan))


def _of_approval(approval: Approval) -> Iterator[tuple[str, str]]:
    yield "plan", approval.plan_hash[:HASH_SHOWN]
    for part in approval.parts:
        yield from _would_reach(part)
    yield "asked", f"{_moment(approval.asked_at)}, may be approved until {_moment(approval.expires_at)}"
    if approval.state is not ApprovalState.ASKED:
        at = f" at {_moment(approval.decided_at)}" if approval.decided_at else ""
        yield str(approval.state), f"by {approval.decided_by}{at}"


def _would_reach(part: Part) -> Iterator[tuple[str, str]]:
    engines = "all connected" if part.engines is None else ", ".join(part.engines)
    for device in part.devices:
        yield "device", f"{device.name or '-'} {device.uid}"
    yield "Engines", engines


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
