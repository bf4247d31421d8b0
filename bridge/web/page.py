"""Shows deliveries and runs with their timelines to people, read-only.

It must not change anything, nor show a payload, a comment's text or a secret.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, render_template, request

from bridge import ways_out
from bridge.comments import masking
from bridge.errors import LedgerUnavailable, NotPossible
from bridge.ledger import Ledger, Tx, pausing, queries
from bridge.ledger.queries import DeliveryLine, RunStory
from bridge.ledger.timeline import HistoryLine
from bridge.models import DeliveryId, Pause, Run, RunId, RunState
from bridge.web.problems import RETRY_AFTER_SECONDS

LINES = 50
REFRESH_SECONDS = 5

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_TICKET: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

# How a state is coloured; the word itself always stands beside the colour.
_TONES: Final = {
    "answered": "good",
    "posted": "good",
    "fired": "good",
    "ok": "good",
    "evaluated": "plain",
    "queued": "busy",
    "claimed": "busy",
    "sending": "busy",
    "intended": "busy",
    "pending": "busy",
    "owed": "busy",
    "posting": "busy",
    "unknown": "warning",
    "held": "warning",
    "timeout": "warning",
    "not_sent": "warning",
    "expired": "warning",
    "unplannable": "warning",
    "refused": "bad",
    "dead": "bad",
    "undeliverable": "bad",
    "engine_error": "bad",
    "not_connected": "bad",
    "excluded": "bad",
    "no_permission": "bad",
    "unrecognised": "bad",
}


def blueprint(*, ledger: Ledger) -> Blueprint:
    """Return the page: lists at `/`, a run, a delivery, and the style."""
    door = Blueprint(
        "page", __name__, template_folder="templates", static_folder="static", static_url_path="/static"
    )
    door.add_app_template_filter(_tone, "tone")
    door.add_app_template_filter(_words, "words")
    door.add_app_template_filter(_moment, "moment")
    door.add_app_template_filter(masking.mask, "mask")
    door.add_app_template_test(_is_web_address, "web_address")

    def shown(template: str, status: int = HTTPStatus.OK, **given: object) -> Response:
        content = render_template(template, now=datetime.now(UTC), **given)
        return Response(content, status, content_type="text/html; charset=utf-8")

    @door.errorhandler(LedgerUnavailable)
    def unavailable(_error: LedgerUnavailable) -> Response:
        response = shown("missing.html", HTTPStatus.SERVICE_UNAVAILABLE, text="The ledger does not answer.")
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response

    @door.errorhandler(NotPossible)
    def missing(_error: NotPossible) -> Response:
        return shown("missing.html", HTTPStatus.NOT_FOUND, text="There is no such entry.")

    @door.get("/")
    def lists() -> Response:
        asked = _asked(request.args)
        pauses, deliveries, runs = ledger.read(_newest, asked=asked)
        return shown(
            "lists.html",
            asked=asked,
            pauses=pauses,
            deliveries=deliveries,
            runs=runs,
            states=tuple(RunState),
            limit=LINES,
            refresh=REFRESH_SECONDS,
        )

    @door.get("/runs/<run>")
    def run(run: str) -> Response:
        story = ledger.read(queries.run_story, run=RunId(_identifier(run)))
        return shown(
            "run.html",
            story=story,
            decided=story.decided,
            timeline=_timeline(story),
            ways_out=ways_out.of(story),
        )

    @door.get("/deliveries/<delivery>")
    def delivery(delivery: str) -> Response:
        found = ledger.read(queries.one_delivery, delivery=DeliveryId(_identifier(delivery)))
        return shown("delivery.html", delivery=found)

    return door


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the lists are narrowed to; `possible` is false where no ticket can bear that key."""

    ticket: str
    state: RunState | None
    refreshing: bool

    @property
    def possible(self) -> bool:
        return not self.ticket or _TICKET.fullmatch(self.ticket) is not None


def _asked(given: Mapping[str, str]) -> _Asked:
    state = given.get("state", "")
    return _Asked(
        # Both ticket systems write their keys in capitals.
        ticket=given.get("ticket", "").strip().upper()[:80],
        state=RunState(state) if state in set(RunState) else None,
        refreshing=given.get("refresh") == "on",
    )


def _newest(tx: Tx, *, asked: _Asked) -> tuple[tuple[Pause, ...], tuple[DeliveryLine, ...], tuple[Run, ...]]:
    """Return what is paused, and the newest lines; none for what no ticket can be."""
    ticket = asked.ticket or None
    pauses = pausing.standing(tx)
    if not asked.possible:
        return pauses, (), ()
    return (
        pauses,
        queries.list_deliveries(tx, limit=LINES, ticket=ticket),
        queries.list_runs(tx, limit=LINES, ticket=ticket, state=asked.state),
    )


def _timeline(story: RunStory) -> list[HistoryLine]:
    """Return all that happened to a run, in order, from its delivery on."""
    received = HistoryLine(
        at=story.delivery.received_at, event="received", by=None, detail=f"from {story.delivery.source}"
    )
    return [received, *story.history]


def _identifier(text: str) -> str:
    if not _ID.fullmatch(text):
        raise NotPossible("no such identifier")
    return text


def _tone(state: str) -> str:
    return _TONES.get(state, "plain")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _is_web_address(text: str | None) -> bool:
    return text is not None and text.startswith(("https://", "http://"))
