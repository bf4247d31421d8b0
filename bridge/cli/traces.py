"""Prints decisions: what each mapping made of an event, condition by condition.

It must not evaluate anything; it shows what `evaluate` found, now or when the ticket arrived.
"""

from bridge.cli.showing import line
from bridge.models import Json

_OUTCOMES = {
    "fired": "fires",
    "missed": "does not fire",
    "unplannable": "fires, but no action can be planned",
    "already_served": "fires, but has had its run for this ticket or this change already",
    "ignored": "fires, but finds no device and says if_none: ignore",
}
_HELD = {True: "yes", False: "no ", None: " ? "}


def heading(mapping: str, outcome: str, mode: str | None, event: str | None = None) -> None:
    """Print what a mapping came to, and on which event where there may be several."""
    on = f" on {event}" if event else ""
    line(f"{mapping}: {_OUTCOMES[outcome]}{on}{f' (mode {mode})' if mode else ''}")


def conditions(traces: Json, *, indent: int = 2) -> None:
    """Print conditions in the form in which they are stored; ` ? ` stands before one that saw nothing."""
    for trace in traces:
        seen = f"{trace['seen']}, {trace['wanted']}" if trace["seen"] else trace["wanted"]
        line(f"{_HELD[trace['held']]} {seen}", indent=indent)
        conditions(trace["parts"], indent=indent + 4)
