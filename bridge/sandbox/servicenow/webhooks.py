"""The webhooks of ServiceNow, as the business rule sends them that the bridge ships.

It must not send anything; it makes signed requests.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import ConfigDict
from standardwebhooks import Webhook as StandardWebhook

from bridge.sandbox import credentials as known
from bridge.sandbox.sending import Webhook
from bridge.sandbox.servicenow.records import JOURNAL, Record, Value, entry_text


class Scheme(StrEnum):
    """How a rule proves itself."""

    STANDARD = "standard"
    TOKEN = "token"
    BASIC = "basic"


class Operation(StrEnum):
    INSERT = "insert"
    UPDATE = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a business rule sends. `guarded` is its condition that the user is not the bridge's account.

    `secret` is a Standard Webhooks secret, a token, or `user:password`. `token_header` other than
    Authorization carries the token as it is.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    url: str
    rule: str = "bridge"
    scheme: Scheme = Scheme.STANDARD
    secret: str = known.SERVICENOW_WEBHOOK_SECRET
    token_header: str = "Authorization"
    guarded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChange:
    field: str
    before: Value
    after: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One insert or update of a record; `comment` is the journal column and text that it wrote."""

    operation: Operation
    record: Record
    changes: tuple[ColumnChange, ...] = ()
    comment: tuple[str, str] | None = None


def webhook(target: Target, happening: Happening, base_url: str, *, at: datetime) -> Webhook:
    """Return the request that the rule sends; there is no second try."""
    # ASCII only, so that what was signed is what is sent.
    body = json.dumps(_body(target.rule, happening, base_url))
    return Webhook(
        url=target.url,
        headers=(
            ("Content-Type", "application/json"),
            ("User-Agent", "ServiceNow/1.0"),
            *_proof(target, happening.record, body, at),
        ),
        body=body.encode("ascii"),
    )


def _proof(target: Target, record: Record, body: str, at: datetime) -> tuple[tuple[str, str], ...]:
    if target.scheme is Scheme.STANDARD:
        message = ":".join((record.table, record.sys_id, record.text("sys_mod_count"), target.rule))
        return (
            ("webhook-id", message),
            ("webhook-timestamp", str(int(at.timestamp()))),
            ("webhook-signature", StandardWebhook(target.secret).sign(message, at, body)),
        )
    if target.scheme is Scheme.BASIC:
        username, _, password = target.secret.partition(":")
        return (("Authorization", known.basic(username, password)),)
    plain = target.token_header.lower() != "authorization"
    return ((target.token_header, target.secret if plain else known.bearer(target.secret)),)


def _body(rule: str, happening: Happening, base_url: str) -> dict[str, Any]:
    record = happening.record
    body: dict[str, Any] = {
        "rule": rule,
        "table": record.table,
        "operation": happening.operation.value,
        "sys_id": record.sys_id,
        "number": record.text("number"),
        "sys_mod_count": record.text("sys_mod_count"),
        "updated_by": record.text("sys_updated_by"),
        "updated_on": record.text("sys_updated_on"),
        "url": f"{base_url}/nav_to.do?uri={record.table}.do%3Fsys_id%3D{record.sys_id}",
        "record": {name: _both(value) for name, value in record.columns.items()},
        "changes": [
            {"field": change.field, "from": _both(change.before), "to": _both(change.after)}
            for change in happening.changes
        ],
    }
    if happening.comment is not None:
        field, text = happening.comment
        body["comment"] = {"field": field, "text": text}
    return body


def _both(value: Value) -> dict[str, str]:
    return {"value": value.value, "display_value": value.display}


def update_of(before: Record, after: Record, written: dict[str, str]) -> Happening:
    """Return what a write did, as the rule sees it."""
    empty = Value(value="", display="")
    changes = tuple(
        ColumnChange(field=name, before=before.columns.get(name, empty), after=after.columns[name])
        for name in after.columns
        if not name.startswith("sys_") and before.columns.get(name, empty) != after.columns[name]
    )
    name = next((name for name in JOURNAL if written.get(name)), None)
    comment = None if name is None else (name, entry_text(after, name, written[name]))
    return Happening(operation=Operation.UPDATE, record=after, changes=changes, comment=comment)


def moment(*, seconds_ago: float = 0.0) -> datetime:
    """Return the time at which the rule runs, or ran where its message stood in a queue."""
    return datetime.now(UTC) - timedelta(seconds=seconds_ago)
