"""Reads what a person filled in before they act: the reason, the number to confirm, and what they saw.

It must not believe that it is whole: what is missing is said beside its field.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from werkzeug.exceptions import BadRequest

from bridge.errors import Reason
from bridge.foreseeing import Foreseen
from bridge.ledger.people import Sight
from bridge.models import RunState

# What a ticket can show of it.
LONGEST_REASON: Final = 1_000
_NO_REASON: Final = "-"
# More than a ledger holds.
_DIGITS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A form as it was sent; `way` is what was chosen, `number` what was typed to confirm."""

    way: str = ""
    reason: str = ""
    number: str = ""
    plan_hash: str = ""
    seen: Sight | None = None


def read(form: Mapping[str, str]) -> Filled:
    """Return what was sent; raise BadRequest where it does not say what was seen (S9)."""
    return Filled(
        way=form.get("way", ""),
        reason=form.get("reason", "").strip(),
        number=form.get("number", "").strip(),
        plan_hash=form.get("plan", ""),
        seen=_sight(form.get("seen", "")),
    )


def problems(filled: Filled, foreseen: Foreseen | None) -> dict[str, str]:
    """Say what is wrong with which field; nothing for a form that is whole."""
    found = reason_problem(filled.reason)
    if foreseen is None:
        found["way"] = "Choose what is to be done."
    elif foreseen.reach is not None:
        found |= number_problem(filled.number, foreseen.reach.count)
    return found


def reason_problem(reason: str) -> dict[str, str]:
    """Say what is wrong with a reason."""
    if not reason:
        return {"reason": "Say why: somebody will ask."}
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        return {"reason": f"Write at most {LONGEST_REASON} characters, in one line."}
    return {}


def number_problem(number: str, count: int) -> dict[str, str]:
    """Say that the number of devices is not the one that it comes to."""
    if number == str(count):
        return {}
    return {"number": f"It comes to {count}: look at the devices once more, then type that number."}


def count_of(text: str) -> int:
    """Return a count that a form of ours carries; raise BadRequest for anything else."""
    if not (text.isascii() and text.isdecimal() and len(text) < _DIGITS):
        raise BadRequest
    return int(text)


def written(seen: Sight) -> str:
    """Return what was seen as a form carries it."""
    return f"{seen.state} {seen.reason or _NO_REASON} {seen.attempt}"


def status_of(why_not: str, problems: Mapping[str, str] | None) -> HTTPStatus:
    """Return the status of a page: whether something was not possible, or not filled in."""
    if why_not:
        return HTTPStatus.CONFLICT
    return HTTPStatus.UNPROCESSABLE_ENTITY if problems else HTTPStatus.OK


def _sight(text: str) -> Sight:
    try:
        state, reason, attempt = text.split(" ")
        return Sight(
            state=RunState(state),
            reason=None if reason == _NO_REASON else Reason(reason),
            attempt=count_of(attempt),
        )
    except ValueError:
        raise BadRequest from None
