"""The kit of a ServiceNow instance: a business rule that fills an outbox, and a job that sends it.

It must not let a script hold a secret, nor send a value that no mapping reads.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

from bridge.kits.needs import Needs
from bridge.kits.parts import Snippet, Step, is_bearer, secret, setting, trying
from bridge.models import EventKind, Trust
from bridge.settings import SourceSettings
from bridge.settings.sources import SignatureEncoding, Verify
from bridge.ticketing.servicenow.columns import ALWAYS, behind

_TABLE: Final = (
    ("u_id", "String, 200, unique: names the change; the bridge has it once, however often it is sent"),
    ("u_body", "String, 1000000: what is sent; emptied when the bridge has it"),
    ("u_state", "String, 20: waiting, sent, refused or given up"),
    ("u_tries", "Integer: how often it was sent"),
    ("u_due", "Date/Time: not sent before"),
    ("u_answer", "String, 250: the last answer"),
)
_LINE: Final = 80
_PLACE: Final = re.compile("%([A-Z_]+)%")
_SIGNED: Final = {
    "{body}": "body",
    "{timestamp}.{body}": "seconds + '.' + body",
    "{id}.{timestamp}.{body}": "id + '.' + seconds + '.' + body",
}
_SECRET: Final = {
    Verify.STANDARD: "base64 of at least 24 random bytes (openssl rand -base64 32)",
    Verify.HMAC: "at least 24 characters (openssl rand -hex 32)",
    Verify.TOKEN: "at least 16 characters (openssl rand -hex 32)",
    Verify.BASIC: "user:password",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What the rule sends: of which columns (None: every one), notes, or a ring and no more."""

    columns: frozenset[str] | None
    dotted: tuple[str, ...] = ()
    notes: bool = True
    ring: bool = False


# What is sent where nothing is known of the mappings: the columns behind references as well.
EVERYTHING: Final = Sent(
    columns=None,
    dotted=(
        *("caller_id.email", "caller_id.user_name", "requested_for.email", "requested_for.user_name"),
        *("request.requested_for", "request.requested_for.email", "request.requested_for.user_name"),
        *("assigned_to.email", "assigned_to.user_name"),
    ),
)


def kit(source: SourceSettings, found: Needs, address: str) -> tuple[tuple[str, ...], tuple[Step, ...]]:
    """Return what to mind, and the steps."""
    sent = what_is_sent(source, found)
    notes = ["the scripts were run against stand-ins of the platform: try them on a test instance first"]
    if sent.ring:
        notes.append(f"VERIFY={source.verify}: the rule only rings, and the bridge reads the record itself")
    elif sent.columns is None:
        notes.append("a mapping reads a whole record, so every column is sent")
    if not sent.ring:
        notes.append("paste the business rule anew when mappings read other columns")
    return tuple(notes), (
        _properties(source),
        Step(
            title="Table",
            says=(
                "Create the table u_bridge_outbox, extending nothing, with these columns.",
                "Let nobody but administrators read it: it holds what tickets say.",
            ),
            rows=_TABLE,
        ),
        Step(
            title="Business rule",
            says=("One for each table, all with this script.",),
            rows=_rule_form(source, found),
            snippets=(Snippet(name="Business rule", text=rule(sent)),),
        ),
        Step(
            title="Scheduled script execution",
            rows=(("Run", "Periodically"), ("Repeat interval", "30 seconds"), ("Sends to", address)),
            snippets=(Snippet(name="Scheduled script", text=job(source, address)),),
        ),
        _columns(found, sent),
        trying(),
    )


def what_is_sent(source: SourceSettings, found: Needs) -> Sent:
    """Return what the mappings of a source read, or that the rule only rings."""
    if source.believed is Trust.DOORBELL:
        return Sent(columns=frozenset(), ring=True)
    read = [behind(each.names) for each in found.reads]
    every = any(columns is None for columns in read)
    named = frozenset(column for columns in read for column in columns or ())
    return Sent(
        columns=None if every else frozenset(name for name in named if "." not in name) | ALWAYS,
        dotted=tuple(sorted(name for name in named if "." in name)),
        notes=EventKind.COMMENTED in found.events,
    )


def rule(sent: Sent) -> str:
    """Return the script of the business rule."""
    columns = None if sent.columns is None else sorted(sent.columns)
    return _filled(
        "business-rule.js",
        {
            "RULE": _literal("bridge"),
            "COLUMNS": _literal(columns),
            "DOTTED": _literal(list(sent.dotted)),
            "NOTES": _literal(sent.notes),
            "RING": _literal(sent.ring),
        },
    )


def job(source: SourceSettings, address: str) -> str:
    """Return the script that sends the outbox, proving itself as the source's settings ask."""
    prove = _filled(
        f"prove-{source.verify}.js",
        {
            "HEX": _literal(source.signature_encoding is SignatureEncoding.HEX),
            "ID_HEADER": _literal(source.id_header or ""),
            "TIMESTAMP_HEADER": _literal(source.timestamp_header or ""),
            "SIGNED": _SIGNED[source.signed_text],
            "SIGNATURE_HEADER": _literal(source.signature_header),
            "SIGNATURE_PREFIX": _literal(source.signature_prefix),
            "TOKEN_HEADER": _literal(source.token_header),
            "TOKEN_PREFIX": _literal("Bearer " if is_bearer(source) else ""),
        },
    )
    secrets = setting(source, "SECRETS")
    return _filled(
        "outbox-job.js", {"PROVE": prove.rstrip("\n"), "ADDRESS": _literal(address), "SECRETS": secrets}
    )


def _properties(source: SourceSettings) -> Step:
    return Step(
        title="System properties",
        says=secret(source, _SECRET[source.verify], "the first of these properties"),
        rows=(
            ("bridge.webhook.key", "the secret; type password2, or readable by administrators only"),
            (
                "bridge.account",
                source.account or source.username or "user name of the bridge's account",
            ),
        ),
    )


def _rule_form(source: SourceSettings, found: Needs) -> tuple[tuple[str, str], ...]:
    events = found.events
    tables = found.only("ticket.type") or source.tables
    ticked = [
        name
        for name, wanted in (
            ("Insert", EventKind.CREATED in events),
            ("Update", bool(events & {EventKind.UPDATED, EventKind.COMMENTED})),
        )
        if wanted or not events
    ]
    narrower = ", or ".join(found.changes())
    rows = [
        ("Table", ", ".join(table for table in source.tables if table in tables) or ", ".join(source.tables)),
        ("When", "after"),
        ("Ticked", ", ".join([*ticked, "Advanced"])),
    ]
    if narrower:
        rows.append(("The mappings ask for", narrower))
    return tuple(rows)


def _columns(found: Needs, sent: Sent) -> Step:
    if sent.ring:
        return Step(title="What is sent", says=("The table, the sys_id and the name of the rule.",))
    return Step(
        title="What is sent",
        says=(
            "What happened, when and by whom, the number, and the names of the columns that changed.",
            "Beside that the values of these columns, which mappings read:",
        ),
        rows=tuple(_readers(found)),
    )


def _readers(found: Needs) -> Iterable[tuple[str, str]]:
    readers: dict[str, dict[str, None]] = {}
    for read in found.reads:
        columns = behind(read.names)
        for column in ("every column",) if columns is None else columns:
            readers.setdefault(column, {}).update(dict.fromkeys(read.by))
    return ((column, ", ".join(by)) for column, by in sorted(readers.items()))


def _filled(name: str, values: Mapping[str, str]) -> str:
    text = resources.files("bridge.kits").joinpath(name).read_text(encoding="utf-8")
    # In one go: what a mapping names must not be taken for a place of its own.
    return _PLACE.sub(lambda place: values[place[1]], text)


def _literal(value: object) -> str:
    """Return a value as a script writes it, a long list over several lines; JSON in ASCII is one."""
    line = json.dumps(value)
    return line if len(line) <= _LINE else json.dumps(value, indent=2).replace("\n", "\n  ")
