"""Says what a ticket would be told of a plan that nobody has sent.

It must not claim an outcome: each comment comes with the case that it is for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bridge import comments
from bridge.comments import waiting
from bridge.models import (
    Call,
    CallResult,
    CallState,
    EngineCode,
    EngineOutcome,
    EngineUid,
    Mode,
    Part,
    Plan,
    PortalName,
    Problem,
    Report,
    RunId,
    Unplannable,
    Visibility,
)
from bridge.nexthink import PortalConfig
from bridge.policy import HASH_SHOWN, needs_approval, plan_hash
from bridge.previewing import NO_RUN_YET, parts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A comment as its ticket would show it; `when` says after what."""

    when: str
    visibility: Visibility
    report: Report


def told_of(result: Plan | Unplannable, portals: Mapping[PortalName, PortalConfig]) -> Iterator[Told]:
    """Yield the comments that are certain, and the one for the case that every Engine accepts."""
    if result.mode is Mode.SHADOW:
        return
    if isinstance(result, Unplannable):
        yield _at_once(comments.unplannable(RunId(NO_RUN_YET), result), result)
    elif result.mode is Mode.ANNOUNCE:
        yield _at_once(comments.announced(RunId(NO_RUN_YET), result), result)
    else:
        parts = parts_of(result, portals[result.portal], None)
        if isinstance(parts, Problem):
            yield _at_once(comments.refused(RunId(NO_RUN_YET), result, parts), result)
        elif isinstance(parts, tuple):
            yield from _told_when_sent(result, parts)


def _told_when_sent(plan: Plan, parts: tuple[Part, ...]) -> Iterator[Told]:
    if plan.approval is not None and needs_approval(plan, len(plan.devices)):
        asked = waiting.approval_asked(RunId(NO_RUN_YET), plan, parts)
        # It stands for devices and Engines that nobody has looked up yet.
        unknown = plan_hash(plan, parts)[:HASH_SHOWN]
        advice = tuple(text.replace(unknown, "<plan>") for text in asked.advice)
        yield Told(
            when="once its devices are found, because it needs approval",
            visibility=plan.style.visibility,
            report=replace(asked, advice=advice),
        )
    calls = tuple(_accepted(part) for part in parts)
    yield Told(
        when="if every Engine accepts it",
        visibility=plan.style.visibility,
        report=comments.answered(RunId(NO_RUN_YET), plan, calls),
    )


def _at_once(report: Report, result: Plan | Unplannable) -> Told:
    # What a mapping that is not live has to say is for those who are trying it out.
    visibility = result.style.visibility if result.mode is Mode.LIVE else Visibility.INTERNAL
    return Told(when="at once", visibility=visibility, report=report)


def _accepted(part: Part) -> Call:
    outcome = EngineOutcome(
        engine=EngineUid(""), name="<each Engine>", code=EngineCode.OK, code_text="ok", message=""
    )
    return Call(
        run=RunId(NO_RUN_YET),
        part=part,
        attempt=1,
        state=CallState.ANSWERED,
        result=CallResult(state=CallState.ANSWERED, outcomes=(outcome,)),
    )
