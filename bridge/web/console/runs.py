"""Shows a run with its timeline.

It must not change anything, nor show a comment's text or a secret.
"""

from flask import Blueprint, Response

from bridge import ways_out
from bridge.ledger import queries
from bridge.ledger.queries import RunStory
from bridge.ledger.timeline import HistoryLine
from bridge.models import RunId
from bridge.web.console.access import Role, needs
from bridge.web.console.showing import identifier, shown
from bridge.web.services import Services


def install(door: Blueprint, services: Services) -> None:
    """Add the page of a run."""

    @door.get("/runs/<run>")
    @needs(Role.VIEWER)
    def run(run: str) -> Response:
        story = services.ledger.read(queries.run_story, run=RunId(identifier(run)))
        return shown(
            "run.html",
            story=story,
            decided=story.decided,
            timeline=_timeline(story),
            ways_out=ways_out.of(story),
        )


def _timeline(story: RunStory) -> list[HistoryLine]:
    """Return all that happened to a run, in order, from its delivery on."""
    received = HistoryLine(
        at=story.delivery.received_at, event="received", by=None, detail=f"from {story.delivery.source}"
    )
    return [received, *story.history]
