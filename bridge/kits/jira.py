"""The kits of Jira: its own webhook, which signs, and a rule of Automation, which shows a token.

It must not hold a secret, nor say that a sender proves what it cannot.
"""

import json
from typing import Final

from bridge.kits.needs import Needs
from bridge.kits.parts import Snippet, Step, is_bearer, secret, setting, trying, what_is_read
from bridge.models import EventKind, Trust
from bridge.settings import SourceSettings
from bridge.settings.sources import Deployment, SignatureEncoding, Verify

_EVENTS: Final = {
    EventKind.CREATED: "Issue: created",
    EventKind.UPDATED: "Issue: updated",
    EventKind.COMMENTED: "Comment: created",
}
_TRIGGERS: Final = {
    EventKind.CREATED: "Issue created",
    EventKind.UPDATED: "Issue updated",
    EventKind.COMMENTED: "Issue commented",
}
_FORM: Final = {
    Verify.TOKEN: "at least 16 characters (openssl rand -hex 32)",
    Verify.BASIC: "user:password",
}
# Which ticket it is, and no more; Jira fills in both.
_RING: Final = '{"issue": {"id": "{{issue.id}}", "key": "{{issue.key}}"}}'


def webhook(source: SourceSettings, found: Needs, address: str) -> tuple[tuple[str, ...], tuple[Step, ...]]:
    """Return what to mind of Jira's own webhook, and the steps."""
    rows = (
        ("Name", "Nexthink ticket bridge"),
        ("URL", address),
        ("Secret", f"what stands in {setting(source, 'SECRETS')}"),
        ("Events", _asked(found, _EVENTS)),
        ("JQL", jql(found) or "as narrow as you can: the mappings name no project"),
        ("Exclude body", "off"),
    )
    return tuple(_signing(source)), (
        Step(
            title="Webhook",
            says=(
                "In System > WebHooks create a webhook.",
                *secret(source, "at least 24 characters (openssl rand -hex 32)", "Jira's field Secret"),
                "Jira sends the whole issue; which of it is believed stands in docs/trust.md.",
            ),
            rows=rows,
        ),
        what_is_read(found),
        trying(),
    )


def automation(
    source: SourceSettings, found: Needs, address: str
) -> tuple[tuple[str, ...], tuple[Step, ...]]:
    """Return what to mind of an Automation rule, and the steps."""
    doorbell = source.believed is Trust.DOORBELL
    narrowed = jql(found)
    condition = () if narrowed is None else (("Condition: JQL", narrowed),)
    body = "Custom data" if doorbell else "Issue data (Jira format)"
    notes = () if doorbell else ("TRUST=payload: whoever has the token is believed whatever the body says",)
    return notes, (
        Step(
            title="Rule",
            says=("Create a rule that all these may start; exclude the bridge's own account.",),
            rows=(("Triggers", _asked(found, _TRIGGERS)), *condition),
        ),
        Step(
            title="Action: Send web request",
            says=(
                *secret(source, _FORM[source.verify], "the header's value, hidden"),
                "It proves who sends, not what: the bridge takes which issue it is, and reads that itself."
                if doorbell
                else "The whole issue is sent; with TRUST=doorbell its number and key are enough.",
            ),
            rows=(
                ("Web request URL", address),
                ("HTTP method", "POST"),
                ("Header Content-Type", "application/json"),
                (f"Header {_header(source)}", _value(source)),
                ("Web request body", body),
            ),
            snippets=(Snippet(name="Custom data", text=_RING),) if doorbell else (),
        ),
        what_is_read(found),
        trying(),
    )


def jql(found: Needs) -> str | None:
    """Return what narrows tickets to those that some mapping may want; None where nothing does."""
    narrowed = [
        f"{field} in ({', '.join(json.dumps(text, ensure_ascii=False) for text in texts)})"
        for field, path in (("project", "ticket.project"), ("issuetype", "ticket.type"))
        if (texts := found.only(path)) is not None
    ]
    return " AND ".join(narrowed) or None


def _asked(found: Needs, words: dict[EventKind, str]) -> str:
    wanted = [text for event, text in words.items() if event in found.events or not found.mappings]
    return ", ".join(wanted)


def _signing(source: SourceSettings) -> list[str]:
    notes = []
    if source.deployment is Deployment.DATACENTER:
        notes.append("Data Center 9 and older cannot sign: use Automation there (bridge kit jira-automation)")
    signed = (source.signature_header, source.signature_prefix, source.signature_encoding, source.signed_text)
    if signed != ("x-hub-signature", "sha256=", SignatureEncoding.HEX, "{body}"):
        notes.append(
            "Jira signs in one way alone, x-hub-signature with sha256= and hex over the body: "
            f"remove SIGNATURE_HEADER, SIGNATURE_PREFIX, SIGNATURE_ENCODING and SIGNED_TEXT of {source.name}"
        )
    return notes


def _header(source: SourceSettings) -> str:
    if source.verify is Verify.BASIC or is_bearer(source):
        return "Authorization"
    return source.token_header


def _value(source: SourceSettings) -> str:
    if source.verify is Verify.BASIC:
        return "Basic, a space, and base64 of user:password, the secret"
    return "Bearer, a space, and the secret" if is_bearer(source) else "the secret"
