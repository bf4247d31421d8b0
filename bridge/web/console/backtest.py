"""The backtest: what other mapping texts would have made of what came, against those in force.

It must not put a text into force, nor write anything.
"""

from datetime import timedelta
from typing import Final

from flask import Blueprint, Response, request

from bridge.backtesting import Change
from bridge.errors import NotPossible
from bridge.web.console.access import Role, needs, takes_texts
from bridge.web.console.playground import LONGEST_DAYS, USUAL_DAYS, draft
from bridge.web.console.showing import shown
from bridge.web.services import Services
from bridge.workshop import Backtested, Base
from bridge.workshop.apart import Refused

# Differences of a kind that a page shows.
LINES: Final = 50


def install(door: Blueprint, services: Services) -> None:
    """Add the backtest."""

    @door.get("/backtest")
    @needs(Role.ADMINISTRATOR)
    def backtest() -> Response:
        services.workshop.warm()
        return shown(
            "backtest.html", days=USUAL_DAYS, longest=LONGEST_DAYS, tried=None, edited=None, notes=[]
        )

    @door.post("/backtest")
    @needs(Role.ADMINISTRATOR)
    @takes_texts
    def try_on_what_came() -> Response:
        wanted, notes, last = draft(request.form), [], timedelta(days=USUAL_DAYS)
        tried: Backtested | None = None
        try:
            last = timedelta(days=_days(request.form.get("days", "")))
            tried = services.workshop.backtested(wanted.texts(services.workshop), last=last)
        except (NotPossible, Refused) as error:
            notes.append(str(error))
        return shown(
            "backtest.html",
            days=last.days,
            longest=LONGEST_DAYS,
            tried=tried,
            edited=wanted.file if wanted.text.strip() else None,
            in_force=wanted.base is Base.IN_FORCE,
            notes=notes,
            changes=tuple(Change),
            lines=LINES,
        )


def _days(text: str) -> int:
    days = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    if not 1 <= days <= LONGEST_DAYS:
        raise NotPossible(f"write a number of days from 1 to {LONGEST_DAYS}")
    return days
