"""Puts what health finds wanting into words for a person, each with the page where something can be done.

It must not judge: what is a finding, `diagnosis` says, and one without words of its own is shown as it is.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from bridge.ledger.onlooking import Pressing, PressingRun
from bridge.models import RunState
from bridge.web.diagnosis import Check, Health


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the console, and what a link to it says."""

    endpoint: str
    words: str
    given: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """What needs a person: what it is, what follows, since when, where to go, and the newest runs of it."""

    status: Health
    text: str
    advice: str | None
    at: datetime | None
    page: Page | None
    runs: tuple[PressingRun, ...]


def concerns(
    checks: Iterable[Check], pressing: Mapping[Pressing, tuple[PressingRun, ...]]
) -> tuple[Concern, ...]:
    """Return what does not pass, what keeps webhooks out first, then in the order of _WORDS.

    Pauses are not among it: they have a table of their own, with who made them and why.
    """
    wanting = [check for check in checks if check.status is not Health.PASS and check.name != "pauses"]
    # What is held is said by its reasons, where there are any.
    if any(check.name == "runs:held_for" for check in wanting):
        wanting = [check for check in wanting if check.name != "runs:held"]
    return tuple(_concern(check, pressing) for check in sorted(wanting, key=_rank))


def _rank(check: Check) -> tuple[bool, int]:
    order = list(_WORDS)
    return check.status is not Health.FAIL, order.index(check.name) if check.name in order else len(order)


def _concern(check: Check, pressing: Mapping[Pressing, tuple[PressingRun, ...]]) -> Concern:
    words = _WORDS.get(check.name)
    text, page = words(check) if words else (_as_it_is(check), None)
    kind = _PRESSING.get((check.name, check.component if check.name == "runs:held_for" else None))
    return Concern(
        status=check.status,
        text=text,
        advice=check.output,
        at=check.at,
        page=page,
        runs=pressing.get(kind, ()) if kind else (),
    )


def _as_it_is(check: Check) -> str:
    parts = (check.name, check.component, None if check.value is None else str(check.value), check.unit)
    return " ".join(part for part in parts if part)


def _runs(state: RunState, words: str = "Show them") -> Page:
    return Page(endpoint="console.runs", words=words, given={"state": state})


def _many(count: object, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


_HELD_FOR: Final = {
    "awaiting_approval": "for approval",
    "restored": "because the ledger looks restored: compare with the tickets, then release or cancel them",
    "over_limit": "because a limit is reached",
    "paused": "by a pause",
    "portal_paused": "because their portal is paused",
    "loop": "because one ticket started too many",
    "clock_went_back": "because the clock was set back",
}


def _held(check: Check) -> tuple[str, Page | None]:
    reason = check.component or ""
    held = _many(check.value, "run is held", "runs are held")
    return f"{held} {_HELD_FOR.get(reason, reason.replace('_', ' '))}", _runs(RunState.HELD)


def _waited(check: Check, what: str) -> str:
    minutes = round(float(check.value or 0) / 60)
    return f"{what} has waited for {_many(minutes, 'minute', 'minutes')}"


# Whose runs are named one by one, by the check and what it is about.
_PRESSING: Final = {
    ("runs:unknown", None): Pressing.UNKNOWN,
    ("runs:dead", None): Pressing.DEAD,
    ("runs:held_for", "awaiting_approval"): Pressing.AWAITING_APPROVAL,
    ("comments:undeliverable", None): Pressing.UNDELIVERABLE,
}

_MAPPINGS: Final = Page(endpoint="console.mappings", words="Mappings")

# In the order in which they press: what may go wrong without being seen first.
_WORDS: Final[Mapping[str, Callable[[Check], tuple[str, Page | None]]]] = {
    "ledger:commit_age": lambda _: ("The ledger does not commit: webhooks are refused", None),
    "ledger:figures_age": lambda _: ("The ledger is not read: what stands here may be old", None),
    "mappings:in_force": lambda _: ("No mapping set was ever accepted", _MAPPINGS),
    "audit:newest_seal": lambda _: ("The audit was changed behind the bridge's back", None),
    "workers:alive": lambda _: ("No worker is alive", None),
    "runs:unknown": lambda check: (
        _many(check.value, "run is", "runs are") + " unknown: sent, and what came of it is not known",
        _runs(RunState.UNKNOWN),
    ),
    "runs:dead": lambda check: (
        _many(check.value, "run", "runs") + " died with three workers",
        _runs(RunState.DEAD),
    ),
    "runs:held_for": _held,
    "runs:held": _held,
    "comments:undeliverable": lambda check: (
        _many(check.value, "comment", "comments") + " or changes of tickets could not be delivered",
        None,
    ),
    "mappings:refused": lambda check: (
        f"Newer mapping files were refused for {_many(check.value, 'problem', 'problems')}",
        _MAPPINGS,
    ),
    "sources:silence": lambda check: (
        f"Source {check.component} is silent for longer than usual",
        Page(endpoint="console.deliveries", words="Its deliveries", given={"source": check.component or ""}),
    ),
    "portals:last_good_call": lambda check: (
        f"Portal {check.component} did not answer its last call (this ends with the next that is answered)",
        None,
    ),
    "portals:lookups": lambda check: (
        f"Runs wait because portal {check.component} or its Engines do not tell which devices are meant",
        _runs(RunState.QUEUED),
    ),
    "queue:oldest_run": lambda check: (_waited(check, "A run that is due"), _runs(RunState.QUEUED)),
    "queue:oldest_delivery": lambda check: (
        _waited(check, "A delivery that has to be judged"),
        Page(endpoint="console.deliveries", words="Show them"),
    ),
    "queue:oldest_comment": lambda check: (_waited(check, "A comment"), None),
    "audit:unsealed": lambda check: (_waited(check, "A row of the audit that has to be sealed"), None),
}
