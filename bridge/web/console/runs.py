"""Shows the runs by pages, and each with all that happened to it.

It must not change anything, nor show a comment's text or a secret.
"""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, request

from bridge import previewing, recounting, ways_out
from bridge.ledger import listing, queries
from bridge.ledger.listing import WantedRuns
from bridge.ledger.queries import RunStory
from bridge.models import RunId, RunState
from bridge.previewing import Requests
from bridge.web.console.access import Role, needs
from bridge.web.console.asking import Asking, Reader
from bridge.web.console.showing import identifier, shown
from bridge.web.services import Services

LINES: Final = 50
# What moves on by itself within seconds, so that its page looks again.
_MOVING: Final = (RunState.QUEUED, RunState.CLAIMED, RunState.SENDING)


def install(door: Blueprint, services: Services) -> None:
    """Add the list of runs and the page of one."""

    @door.get("/runs")
    @needs(Role.VIEWER)
    def runs() -> Response:
        asked, wanted = _asked()
        page = None
        if not asked.problems:
            page = services.ledger.read(listing.page_of_runs, wanted=wanted, limit=LINES, behind=asked.behind)
        rules = services.mapping_set()
        return shown(
            "runs.html",
            HTTPStatus.BAD_REQUEST if asked.problems else HTTPStatus.OK,
            asked=asked,
            page=page,
            states=tuple((state, state) for state in RunState),
            sources=tuple((name, name) for name in services.connections().sources),
            mappings=tuple(rule.id for rule in rules.mappings[:LINES]) if rules else (),
            actions=tuple(rules.catalogue.actions)[:LINES] if rules else (),
        )

    @door.get("/runs/<run>")
    @needs(Role.VIEWER)
    def run(run: str) -> Response:
        story = services.ledger.read(queries.run_story, run=RunId(identifier(run)))
        found = ways_out.of(story)
        return shown(
            "run.html",
            story=story,
            decided=story.decided,
            timeline=recounting.recount(story),
            ways_out=found,
            requests=_requests(story, services),
            moving=story.run.state in _MOVING,
        )


def _asked() -> tuple[Asking, WantedRuns]:
    reader = Reader(request.args)
    wanted = WantedRuns(
        ticket=reader.ticket(),
        state=reader.choice("state", RunState),
        source=reader.text("source"),
        mapping=reader.text("mapping"),
        action=reader.text("action"),
        device=reader.text("device"),
        made=reader.span(),
    )
    return reader.done(), wanted


def _requests(story: RunStory, services: Services) -> Requests | None:
    """Return what was or would be sent; None where the plan is gone, or none could be made."""
    plan = story.run.plan
    if plan is None:
        return None
    return previewing.of_run(
        story.run.id,
        plan,
        {name: portal.config for name, portal in services.connections().portals.items()},
        calls=story.calls,
        parts=story.approval.parts if story.approval else (),
    )
