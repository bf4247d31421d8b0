"""Which acts of a person fit a run as it stands: what a page may offer, and what stands in another's way.

It must not carry one out; whoever does looks again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bridge import ways_out
from bridge.errors import Reason
from bridge.ledger import pausing, people, replaying
from bridge.ledger.queries import RunStory
from bridge.models import ApprovalState, Pause, Run, RunState
from bridge.policy import GO, Ruling, Verdict, too_old_at
from bridge.sending_again import parts_to_send_again


class RunAct(StrEnum):
    """What a person may do with one run, by the last word of its address."""

    APPROVE = "approve"
    RELEASE = "release"
    RESOLVE = "resolve"
    SEND_AGAIN = "send-again"
    CANCEL = "cancel"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """The acts that fit a run.

    `pause` is what would have to be lifted for it to go on; `restored` says that a restore holds it.
    """

    acts: tuple[RunAct, ...]
    pause: Pause | None
    restored: bool


def of(story: RunStory, *, now: datetime) -> Offers:
    """Return what fits a run; nothing fits one whose plan was purged, or never was."""
    return Offers(
        acts=tuple(_fitting(story, now)) if story.run.plan else (),
        pause=ways_out.pause_of(story),
        restored=story.run.state is RunState.HELD and story.run.reason is Reason.RESTORED,
    )


def obstacle(run: Run, ruling: Ruling, standing: tuple[Pause, ...]) -> str | None:
    """Say what would stop a held run at once if it were released, and the way out; None for nothing."""
    if ruling.verdict is Verdict.EXPIRE:
        return "is too old to be sent; it expires when it is looked at next, and the ticket is told"
    # A pause of Engines or devices is known to stop a run only by what held it.
    named = next((one for one in standing if pausing.named(one) == run.detail), None)
    pause = ruling.pause or (named if run.reason is Reason.PAUSED else None)
    if pause is not None:
        name = pausing.named(pause)
        return f"waits for {name}, which is still paused (`bridge resume {name} --reason TEXT` lifts it)"
    if run.reason is Reason.AWAITING_APPROVAL:
        return f"waits for approval, which is not yours to skip (`bridge approve {run.id}`)"
    if ruling.reason is Reason.CLOCK_WENT_BACK:
        return "waits for the clock, which was set back (see that the time service runs)"
    return None


def _fitting(story: RunStory, now: datetime) -> Iterator[RunAct]:
    run, plan, approval = story.run, story.run.plan, story.approval
    assert plan is not None
    in_time = now <= too_old_at(plan)
    if run.state is RunState.HELD:
        if run.reason is Reason.AWAITING_APPROVAL and approval and approval.state is ApprovalState.ASKED:
            yield RunAct.APPROVE
        if obstacle(run, story.ruling or GO, story.pauses) is None:
            yield RunAct.RELEASE
    if run.state in people.RESOLVABLE:
        yield RunAct.RESOLVE
    if run.state is RunState.ANSWERED and in_time and parts_to_send_again(plan, story.calls):
        yield RunAct.SEND_AGAIN
    if run.state in people.CANCELLABLE:
        yield RunAct.CANCEL
    replayed = any(line.event == "replayed" for line in story.history)
    if run.state in replaying.REPLAYABLE and in_time and not replayed:
        yield RunAct.REPLAY
