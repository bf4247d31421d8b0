"""An outcome in plain words for a service desk reader: a Report for each occasion.

It must not dress or escape anything for a ticket system, claim more than is known, nor fail once an action
may have run (T3).
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from bridge.comments.composing import latest, report, sentence, who
from bridge.comments.masking import mask
from bridge.comments.wording import (
    CALL_WORDS,
    ENGINE_WORDS,
    ERROR_WORDS,
    NO_WORD,
    NOT_SAID,
    PROBLEM_WORDS,
    EngineWords,
    Words,
)
from bridge.errors import Reason
from bridge.models import (
    Call,
    CallResult,
    CallState,
    DeliveryId,
    EngineCode,
    EngineOutcome,
    EngineRow,
    Occasion,
    Part,
    Plan,
    Problem,
    Report,
    RunId,
    Tone,
    Unplannable,
)
from bridge.sending_again import by_part, newest_words
from bridge.ticketing import marks

_OPEN: Final = frozenset({CallState.UNKNOWN, CallState.INTENDED})
_EXPLAINED: Final = _OPEN | {CallState.REFUSED, CallState.NOT_SENT}
_MAYBE: Final = frozenset({EngineCode.TIMEOUT, EngineCode.UNRECOGNISED})


def marker(run: RunId, delivery: DeliveryId, occasion: Occasion, n: int) -> str:
    """Return what identifies a comment, in the ticket and in the outbox.

    Its end comes from the delivery's id, which no ticket shows: who can read one comment cannot write down
    the marker of the next, and so have it taken for posted.
    """
    tail = hashlib.sha256(f"{delivery} {occasion} {n}".encode()).hexdigest()[:8]
    return f"bridge-{run}-{occasion}-{n}-{tail}"


def contains_marker(text: str) -> bool:
    """Say whether a text holds the marker of any comment of ours, so that nothing answers itself (A3)."""
    return marks.holds_our_mark(text)


def answered(run: RunId, plan: Plan, calls: tuple[Call, ...]) -> Report:
    """Tell what came of all calls of a run, every attempt of them given: answered, refused or unknown."""
    return _answer(run, plan, calls, ())


def answered_so_far(run: RunId, plan: Plan, calls: tuple[Call, ...], what_follows: str) -> Report:
    """Tell what came of a run until now, and what is sent next."""
    return _answer(run, plan, calls, (what_follows,))


def late(run: RunId, plan: Plan, calls: tuple[Call, ...]) -> Report:
    """Tell an answer that came after the outcome had been called unknown."""
    return _answer(run, plan, calls, ("This answer came late: the outcome had been called unknown.",))


def refused(run: RunId, plan: Plan, problem: Problem) -> Report:
    """Tell that a plan cannot be turned into calls, and what is the matter."""
    return _problem(run, plan, problem)


def unplannable(run: RunId, result: Unplannable) -> Report:
    """Tell that a ticket cannot be turned into an action, and which field is the matter."""
    return _problem(run, result, result.problem)


def announced(run: RunId, plan: Plan) -> Report:
    """Tell what would run, for a mapping that only announces."""
    advice = ("Nothing was sent to Nexthink: this mapping only announces what it would do.",)
    params = tuple((f"Parameter {name}", value) for name, value in plan.params)
    return report(run, plan, f"Would run: {plan.title}", Tone.NEUTRAL, advice, facts=params)


def stopped(run: RunId, plan: Plan, calls: tuple[Call, ...], why: tuple[str, ...]) -> Report:
    """Tell what came of a run of which something was sent, and why the rest is not."""
    return _answer(run, plan, calls, why)


def cancelled(run: RunId, plan: Plan, *, by: str, why: str) -> Report:
    """Tell that a person stopped a run before it was sent."""
    facts = who(by, why)
    return report(run, plan, "Cancelled before it was sent", Tone.NEUTRAL, (), facts=facts)


def resolved(
    run: RunId, plan: Plan, calls: tuple[Call, ...], *, ran: bool, send_again: bool, by: str, why: str
) -> Report:
    """Tell what a person found out about an unknown outcome; it is their word, and the comment says so.

    It speaks only of the calls that are unknown: what an Engine answered stays as it was told.
    """
    again = ("It is sent again.",) if send_again else ()
    in_part = any(call.state is CallState.ANSWERED for call in calls)
    headline = f"{by} says that the action {'ran' if ran else 'did not run'}"
    headline += ", where that was not known" if in_part else ""
    tone = Tone.NEUTRAL if ran or send_again else Tone.WARNING
    return report(run, plan, headline, tone, again, calls=calls, facts=who(by, why))


def dead(run: RunId, plan: Plan, crashes: int) -> Report:
    """Tell that the bridge itself failed on a run again and again, and set it aside."""
    advice = (
        f"The bridge failed {crashes} times while it worked on this run, and does not try again by itself.",
        "Give the run id to whoever runs the bridge.",
    )
    return report(run, plan, "Set aside: the bridge failed on this run", Tone.BAD, advice)


def _answer(run: RunId, plan: Plan, calls: tuple[Call, ...], before: tuple[str, ...]) -> Report:
    newest, parts = latest(calls), by_part(calls)
    answers = [(attempts[0].part, word) for attempts in parts for word in newest_words(attempts)]
    outcomes = [outcome for _, outcome in answers]
    states = {call.state for call in newest}
    if any(call.state is CallState.ANSWERED for call in calls):
        # A further attempt that failed takes nothing back of what an Engine accepted before it.
        states.add(CallState.ANSWERED)
    headline, tone = _headline(states, outcomes, parts=len(parts))
    advice = (*before, *_advice_on_calls(run, newest), *(_engine_words(each).way_out for each in outcomes))
    rows = tuple(_row(part, outcome, parts=len(parts)) for part, outcome in answers)
    return report(run, plan, headline, tone, advice, calls=calls, rows=rows)


def _problem(run: RunId, result: Plan | Unplannable, problem: Problem) -> Report:
    words = PROBLEM_WORDS.get(problem.reason) or CALL_WORDS.get(problem.reason, NOT_SAID)
    facts = (("Field", problem.place),) if problem.place else ()
    advice = (sentence(problem.detail), words.way_out, "Nothing was sent to Nexthink.")
    return report(run, result, words.what, Tone.BAD, advice, facts=facts)


def _headline(states: set[CallState], outcomes: list[EngineOutcome], *, parts: int) -> tuple[str, Tone]:
    """Say no more than the weakest part allows; a part without a word rules the whole."""
    if states & _OPEN:
        where = " on every device" if CallState.ANSWERED in states else ""
        return f"It is not known whether the action ran{where}", Tone.WARNING
    if not outcomes:
        if CallState.REFUSED in states:
            return "The Nexthink portal refused the request", Tone.BAD
        return "The request was not sent", Tone.WARNING
    accepted = sum(outcome.code is EngineCode.OK for outcome in outcomes)
    text = _counted(accepted, len(outcomes), parts=parts)
    if CallState.REFUSED in states:
        text += "; a part of the request was refused"
    if accepted == len(outcomes) and states == {CallState.ANSWERED}:
        return text, Tone.GOOD
    possible = accepted or any(outcome.code in _MAYBE for outcome in outcomes)
    return text, Tone.WARNING if possible else Tone.BAD


def _counted(accepted: int, total: int, *, parts: int) -> str:
    noun = "Engine" if parts == 1 else "Engine answer"
    if total == 1:
        return f"{'Accepted' if accepted else 'Not accepted'} by the Engine"
    verb = "Accepted by" if parts == 1 else "Accepted in"
    return f"{verb} {accepted or 'none'} of {total} {noun}s"


def _row(part: Part, outcome: EngineOutcome, *, parts: int) -> EngineRow:
    words = _engine_words(outcome)
    engine = outcome.name or (f"Engine {outcome.engine}" if outcome.engine else "An Engine without a name")
    code = f" ({mask(outcome.code_text)})" if outcome.code is EngineCode.UNRECOGNISED else ""
    said = f" It said: {mask(outcome.message)}" if outcome.message else ""
    return EngineRow(
        engine=engine if parts == 1 else f"{engine}, part {part.number} of {parts}",
        result=words.result + (code if outcome.code_text else ""),
        tone=words.tone,
        meaning=words.meaning + said,
    )


def _engine_words(outcome: EngineOutcome) -> EngineWords:
    if outcome.code is EngineCode.UNRECOGNISED and not outcome.code_text:
        return NO_WORD
    return ENGINE_WORDS[outcome.code]


def _advice_on_calls(run: RunId, latest: tuple[Call, ...]) -> Iterator[str]:
    for call in latest:
        result = _result(call)
        if call.state not in _EXPLAINED:
            continue
        words = _call_words(result)
        named = f" ({result.error_code})" if result.error_code else ""
        yield words.what + named
        if result.error_text and result.error_code:
            yield f"Nexthink said: {mask(result.error_text)}"
        yield words.way_out
        if call.state in _OPEN:
            closing = f"bridge resolve {run} --ran (or --not-ran) --reason TEXT"
            yield f"Then whoever runs the bridge closes it: {closing}."


def _call_words(result: CallResult) -> Words:
    known = ERROR_WORDS.get(result.error_code or "")
    return known or CALL_WORDS.get(result.reason or Reason.ANSWER_UNREADABLE, NOT_SAID)


def _result(call: Call) -> CallResult:
    """Return how a call ended; one that stopped half way reads like a bridge that was lost (W2)."""
    return call.result or CallResult(state=call.state, reason=Reason.WORKER_LOST)
