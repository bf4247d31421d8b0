"""Takes webhook requests: reads no more than is allowed, hands over raw bytes, answers what was decided.

It must not judge what a request says, nor log any of it.
"""

import json
from collections.abc import Callable
from datetime import datetime

import structlog
from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from bridge.connections import Connections
from bridge.errors import Reason, WebhookRefused
from bridge.models import SourceName, WebhookRequest
from bridge.receiving import Receiving
from bridge.vitals import Vitals
from bridge.web.problems import problem
from bridge.web.turnstile import Turnstile

log = structlog.get_logger(__name__)


def blueprint(
    *,
    receiving: Receiving,
    connections: Callable[[], Connections],
    vitals: Vitals,
    turnstile: Turnstile,
    clock: Callable[[], datetime],
) -> Blueprint:
    """Return the door for webhooks: `POST /webhooks/<source>`."""
    door = Blueprint("webhooks", __name__)

    def receive(name: SourceName) -> Response:
        received_at = clock()
        source = connections().sources.get(name)
        if source is None:
            raise WebhookRefused(404, Reason.UNKNOWN_SOURCE, "no such source is configured")
        webhook = WebhookRequest(
            source=name,
            headers=tuple((header.lower(), value) for header, value in request.headers),
            body=_body(source.max_body_bytes),
            received_at=received_at,
        )
        with turnstile.place() as taken:
            if not taken:
                raise WebhookRefused(503, Reason.LEDGER_UNAVAILABLE, "too many wait for the ledger")
            receipt = receiving.receive(webhook)
        return Response(json.dumps(receipt.body) + "\n", receipt.status, content_type="application/json")

    # No automatic OPTIONS: nothing but POST has a meaning here.
    @door.route("/webhooks/<source>", methods=["POST"], provide_automatic_options=False)
    def webhook(source: str) -> Response:
        name = SourceName(source)
        try:
            return receive(name)
        except WebhookRefused as refusal:
            is_first = vitals.note_refusal(name, refusal.reason)
            if is_first and refusal.reason is not Reason.UNKNOWN_SOURCE:
                log.warning("webhook.refused", source=name, status=refusal.status, reason=refusal.reason)
            return problem(refusal.status, refusal.detail, reason=refusal.reason)
        except Exception:
            # Our fault, not the sender's: a 4xx would lose the event, and a 500 is not tried again by all.
            # What was committed nevertheless is known as a duplicate when it comes again.
            log.exception("webhook.failed", source=name)
            return problem(503, "the bridge could not take this in; send it again")

    return door


def _body(limit: int) -> bytes:
    """Read the body as it came, chunked or not, and never more than one byte beyond `limit`."""
    # Werkzeug cuts a body without a length at its limit and says nothing: the byte beyond it tells.
    request.max_content_length = limit + 1
    try:
        body = request.get_data(cache=False, parse_form_data=False)
    except RequestEntityTooLarge:
        raise _too_large(limit) from None
    except Exception:  # noqa: BLE001 - whatever the server meets while it reads, the sender sent it
        raise WebhookRefused(400, Reason.NOT_JSON, "the body could not be read") from None
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> WebhookRefused:
    return WebhookRefused(413, Reason.TOO_LARGE, f"send at most {limit} bytes")
