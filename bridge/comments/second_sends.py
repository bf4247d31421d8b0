"""Tells of second sends: to which Engines a run goes again, when, and who wanted it.

It must not tell that anything was sent again before it was.
"""

from collections.abc import Iterable
from datetime import datetime

from bridge import comments
from bridge.comments.composing import listed, report, who
from bridge.models import Call, EngineUid, Part, Plan, Report, RunId, Tone


def planned(
    run: RunId, plan: Plan, calls: tuple[Call, ...], parts: tuple[Part, ...], *, at: datetime, number: int
) -> Report:
    """Tell what came of a run so far, and that the mapping has it sent again to those who missed it."""
    assert plan.send_again is not None
    follows = (
        f"It is sent again to {_engines(calls, parts)} not before {at:%Y-%m-%d %H:%M} UTC "
        f"({number} of {plan.send_again.times})."
    )
    return comments.answered_so_far(run, plan, calls, follows)


def asked(
    run: RunId, plan: Plan, calls: tuple[Call, ...], parts: tuple[Part, ...], *, by: str, why: str
) -> Report:
    """Tell that a person has a run sent again to the Engines that missed it."""
    advice = ("Engines that accepted it are left alone.",)
    facts = (("Sent again to", _engines(calls, parts)), *who(by, why))
    return report(run, plan, "It is sent again", Tone.NEUTRAL, advice, calls=calls, facts=facts)


def engine_names(calls: Iterable[Call]) -> dict[EngineUid, str]:
    """Return the names of the Engines that answered, as far as they were known."""
    outcomes = (outcome for call in calls if call.result for outcome in call.result.outcomes)
    return {outcome.engine: outcome.name for outcome in outcomes if outcome.name}


def _engines(calls: tuple[Call, ...], parts: tuple[Part, ...]) -> str:
    names = engine_names(calls)
    wanted = dict.fromkeys(engine for part in parts for engine in part.engines or ())
    return listed([names.get(engine, f"Engine {engine}") for engine in wanted])
