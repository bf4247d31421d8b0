"""How the pages show what they have: words, colours, moments, and what goes with every page.

It must not look anything up.
"""

import json
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, render_template
from flask.sansio.blueprints import BlueprintSetupState
from werkzeug.exceptions import RequestEntityTooLarge

from bridge.comments import masking
from bridge.errors import LedgerUnavailable, NotPossible, Unreadable
from bridge.models import Json
from bridge.ticketing import keys
from bridge.web.console import asking
from bridge.web.problems import RETRY_AFTER_SECONDS

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")

# Control characters but tabs and ends of lines, and those that change the direction of a text.
_STEERING: Final = re.compile(
    "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]"
)

# What a page may load: its own style, icon and script, and by that script its own parts anew.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

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


def install(door: Blueprint) -> None:
    """Give a blueprint's templates their filters, its responses their policy, and its errors their page."""
    door.add_app_template_filter(_tone, "tone")
    door.add_app_template_filter(_words, "words")
    door.add_app_template_filter(_moment, "moment")
    door.add_app_template_filter(masking.mask, "mask")
    door.add_app_template_filter(_pretty, "pretty")
    door.add_app_template_filter(asking.written, "place")
    door.add_app_template_test(_is_web_address, "web_address")
    door.add_app_template_test(keys.is_key, "ticket_key")
    door.record_once(_make_inert)

    @door.after_request
    def restrict(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    @door.errorhandler(LedgerUnavailable)
    def unavailable(_error: LedgerUnavailable) -> Response:
        response = shown("missing.html", HTTPStatus.SERVICE_UNAVAILABLE, text="The ledger does not answer.")
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response

    @door.errorhandler(RequestEntityTooLarge)
    def too_large(_error: RequestEntityTooLarge) -> Response:
        return shown("missing.html", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text="That is too much for a page.")

    @door.errorhandler(Unreadable)
    def unreadable(error: Unreadable) -> Response:
        return shown("missing.html", HTTPStatus.CONFLICT, text=f"{error}.")

    @door.errorhandler(NotPossible)
    def missing(_error: NotPossible) -> Response:
        return shown("missing.html", HTTPStatus.NOT_FOUND, text="There is no such entry.")


def shown(template: str, status: int = HTTPStatus.OK, **given: object) -> Response:
    """Return a page."""
    content = render_template(template, now=datetime.now(UTC), **given)
    return Response(content, status, content_type="text/html; charset=utf-8")


def identifier(text: str) -> str:
    """Return what may be the identifier of a run or a delivery; raise NotPossible for anything else."""
    if not _ID.fullmatch(text):
        raise NotPossible("no such identifier")
    return text


def _make_inert(state: BlueprintSetupState) -> None:
    """Have every text of every template shown as it is read, before it is escaped."""
    state.app.jinja_env.finalize = _inert


def _inert(value: object) -> object:
    """Write out what would turn the letters around it about, or steer whatever shows it."""
    if type(value) is not str:
        return value
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), value)


def _tone(state: str) -> str:
    return _TONES.get(state, "plain")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _pretty(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _is_web_address(text: str | None) -> bool:
    return text is not None and text.startswith(("https://", "http://"))
