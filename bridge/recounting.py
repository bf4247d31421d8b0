"""Recounts a run for people: what happened to it, when and by whom, causes before what they cause.

It must not decide anything, nor hide what an Engine said; whoever shows it may.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from bridge.comments.second_sends import engine_names
from bridge.ledger.queries import RunStory
from bridge.ledger.timeline import HistoryLine
from bridge.models import Call, CallState, Comment, CommentState, EngineUid

_OF_CALLS = ("intended", "call_")
_LATE = "late_answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a run: one word for it, what is said of it, and lines that tell more.

    Where a person did it, `by` is who, and `said` are their own words.
    """

    at: datetime
    word: str
    said: str = ""
    by: str | None = None
    more: tuple[str, ...] = ()


def recount(story: RunStory) -> tuple[Event, ...]:
    """Return all that happened to a run, the oldest first."""
    return tuple(sorted(_events(story), key=lambda event: event.at))


def named(engines: Iterable[EngineUid], names: Mapping[EngineUid, str]) -> tuple[str, ...]:
    """Return Engines by name and UID, or by UID alone where no name is known."""
    return tuple(f"{names[engine]} {engine}" if engine in names else engine for engine in engines)


def _events(story: RunStory) -> Iterator[Event]:
    delivery = story.delivery
    received = f"delivery {delivery.id} from {delivery.source}"
    yield Event(at=delivery.received_at, word="received", said=received)
    for finding in story.decided:
        seen = tuple(condition["seen"] for condition in finding["conditions"] if condition["seen"])
        yield Event(at=delivery.received_at, word="matched", said=finding["mapping"], more=seen)
    names = engine_names(story.calls)
    made = sorted(filter(None, (call.intended_at for call in story.calls)))
    for call in story.calls:
        # What `--attempt` asks for is the number of the newest one.
        number = made.index(call.intended_at) + 1 if call.intended_at else None
        yield from _of_call(call, number, names)
    for entry in story.history:
        # The calls themselves tell more than the timeline's note of them, but for an answer that came late.
        if entry.detail == _LATE or not entry.event.startswith(_OF_CALLS):
            yield _of_history(entry)
    for comment in story.comments:
        yield _of_comment(comment)


def _of_history(entry: HistoryLine) -> Event:
    return Event(at=entry.at, word=entry.event.replace("_", " "), said=entry.detail or "", by=entry.by)


def _of_call(call: Call, number: int | None, names: Mapping[EngineUid, str]) -> Iterator[Event]:
    request = "" if number is None else f"request {number}: "
    name = f"{request}part {call.part.number}, attempt {call.attempt}"
    if call.intended_at is not None:
        devices = (f"{device.name or '-'} {device.uid}" for device in call.part.devices)
        engines = (
            ("all that are connected",) if call.part.engines is None else named(call.part.engines, names)
        )
        yield Event(
            at=call.intended_at,
            word="call",
            said=f"{name} begins, {call.request_uid}",
            more=(*devices, *(f"on Engine {engine}" for engine in engines)),
        )
    if call.ended_at is not None:
        said = f"{name} is {call.state}"
        yield Event(at=call.ended_at, word="call", said=said, more=tuple(_answer(call)))


def _answer(call: Call) -> Iterator[str]:
    result = call.result
    if result is None:
        if call.state is CallState.UNKNOWN:
            yield "the worker that made it was lost"
        return
    said = (result.reason, f"HTTP {result.status}" if result.status else None, result.error_code)
    if any(said):
        yield ", ".join(str(text) for text in said if text)
    if result.error_text:
        yield result.error_text
    for outcome in result.outcomes:
        message = f": {outcome.message}" if outcome.message else ""
        yield f"{outcome.name or outcome.engine} {outcome.code_text or 'gave no answer'}{message}"


def _of_comment(comment: Comment) -> Event:
    state = f"{comment.state}"
    if comment.state is CommentState.POSTED:
        state += f" as {comment.posted_id}"
    elif comment.reason is not None:
        state += f", {comment.reason} after {comment.attempt} tries"
        # Of a change that was refused the ticket system's own words say what is to be mended.
        state += f" ({comment.detail})" if comment.change and comment.detail else ""
    if comment.change:
        return Event(at=comment.owed_at, word="change owed", said=f"{comment.owed.text}: {state}")
    about = f"{comment.owed.occasion} {comment.owed.n}, {comment.owed.visibility}"
    return Event(at=comment.owed_at, word="comment owed", said=f"{about}: {state}")
