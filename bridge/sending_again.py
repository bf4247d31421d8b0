"""Which Engines missed a run and may be sent to again: calls in, further parts out.

It must not choose an Engine that may have acted, nor know who asks: a person or the mapping's own count.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from bridge.models import Call, CallState, EngineCode, EngineOutcome, EngineUid, Part, Plan

# What never reached Nexthink, or was refused there, says nothing of any Engine.
_MAY_HAVE_ACTED: Final = frozenset({CallState.INTENDED, CallState.UNKNOWN})
_TRIED: Final = _MAY_HAVE_ACTED | {CallState.ANSWERED, CallState.REFUSED}


def parts_to_send_again(plan: Plan, calls: tuple[Call, ...]) -> tuple[Part, ...]:
    """Return the further parts: each for the Engines of a part that missed it, and always naming them.

    `calls` are all of the run. An Engine missed it that answered `not_connected`, or `timeout` where the plan
    is repeatable, and never anything else. One that knows none of the part's devices is never chosen.
    """
    further: list[Part] = []
    for attempts in by_part(calls):
        missed = tuple(engine for engine in _missed(plan, attempts) if _is_known(attempts[0].part, engine))
        if missed:
            first = attempts[0].part
            further.append(Part(number=first.number, devices=first.devices, engines=missed))
    return tuple(further)


def takes_back(plan: Plan, narrower: Plan, calls: tuple[Call, ...]) -> bool:
    """Say whether an Engine stands planned to be sent to again that only the wider plan allows."""
    still = _pairs(parts_to_send_again(narrower, calls))
    lost = _pairs(parts_to_send_again(plan, calls)) - still
    return any(call.state is CallState.PLANNED and _pairs((call.part,)) & lost for call in calls)


def takes_back_by_count(plan: Plan, narrower: Plan, calls: tuple[Call, ...]) -> bool:
    """Say whether a second send stands planned that only the wider plan's own count allows."""
    then = plan.send_again.times if plan.send_again else 0
    now = narrower.send_again.times if narrower.send_again else 0
    return any(
        attempts[-1].state is CallState.PLANNED and now <= times_sent_again(attempts) < then
        for attempts in by_part(calls)
        if any(call.state is CallState.ANSWERED for call in attempts)
    )


def times_sent_again(calls: tuple[Call, ...]) -> int:
    """Return how many second sends were made: attempts that followed an answer and were not called off."""
    return max((_after_an_answer(attempts) for attempts in by_part(calls)), default=0)


def newest_words(attempts: tuple[Call, ...]) -> tuple[EngineOutcome, ...]:
    """Return what each Engine of one part said last, in the order in which the Engines first answered.

    An `ok` stands, whatever came after it. Else an Engine to which a later attempt went whose answer is lost
    has no word any more.
    """
    words: dict[EngineUid, EngineOutcome | None] = {}
    accepted = {o.engine for call in attempts for o in _outcomes(call) if o.code is EngineCode.OK}
    for call in attempts:
        if call.state in _MAY_HAVE_ACTED:
            open_ended = (engine for engine in words if _reaches(call.part, engine))
            words.update({engine: None for engine in open_ended if engine not in accepted})
        for outcome in _outcomes(call):
            if outcome.code is EngineCode.OK or outcome.engine not in accepted:
                words[outcome.engine] = outcome
    return tuple(word for word in words.values() if word is not None)


def by_part(calls: Iterable[Call]) -> tuple[tuple[Call, ...], ...]:
    """Return the attempts of each part, the parts and the attempts in their order."""
    parts: dict[int, list[Call]] = {}
    for call in sorted(calls, key=lambda call: (call.part.number, call.attempt)):
        parts.setdefault(call.part.number, []).append(call)
    return tuple(map(tuple, parts.values()))


def _pairs(parts: Iterable[Part]) -> frozenset[tuple[int, EngineUid]]:
    return frozenset((part.number, engine) for part in parts for engine in part.engines or ())


def _missed(plan: Plan, attempts: tuple[Call, ...]) -> Iterator[EngineUid]:
    harmless = {EngineCode.NOT_CONNECTED} | ({EngineCode.TIMEOUT} if plan.repeatable else set())
    for word in newest_words(attempts):
        said = {o.code for call in attempts for o in _outcomes(call) if o.engine == word.engine}
        unanswered = any(
            call.state in _MAY_HAVE_ACTED and _reaches(call.part, word.engine) for call in attempts
        )
        if word.engine and said <= harmless and (plan.repeatable or not unanswered):
            yield word.engine


def _is_known(part: Part, engine: EngineUid) -> bool:
    """Say whether an Engine was meant by a part, and knows its devices as far as that is known."""
    return _reaches(part, engine) and all(
        not device.engines or engine in device.engines for device in part.devices
    )


def _after_an_answer(attempts: tuple[Call, ...]) -> int:
    tried = [call for call in attempts if call.state in _TRIED]
    first = next((n for n, call in enumerate(tried) if call.state is CallState.ANSWERED), len(tried))
    return max(len(tried) - first - 1, 0)


def _reaches(part: Part, engine: EngineUid) -> bool:
    return part.engines is None or engine in part.engines


def _outcomes(call: Call) -> tuple[EngineOutcome, ...]:
    return call.result.outcomes if call.state is CallState.ANSWERED and call.result else ()
