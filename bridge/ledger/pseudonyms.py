"""Turns what the audit is told into rows that name nobody: persons and their words stand as salted digests.

It must not store a name or a free text; whoever knows a name can find its digest with the ledger's salt.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from bridge.ledger.prepared import INSERTS
from bridge.ledger.tables import facts

SALT_FACT: Final = "audit_salt"
# What a person said, and who was meant, stand under these keys of a detail, and are always digested.
WHY: Final = "why"
WHO: Final = "who"
# Identifiers, states, reasons, hashes, times: our own words have no spaces. Anything else is digested too.
_OWN_WORDS: Final = re.compile(r"[A-Za-z0-9_.:+/-]{0,120}")
# Made once: every row of every commit is encoded by it.
_JSON: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something that the audit is told, as it was said; `by`, WHY and WHO are a person's."""

    event: str
    about: str
    by: str | None
    detail: dict[str, Any]


def rows_of(connection: Connection, now: datetime, deeds: Iterable[Deed]) -> list[dict[str, Any]]:
    """Return the rows of the audit for what happened at `now`; the ledger gets its salt where it has none."""
    salt: str | None = None
    rows = []
    for deed in deeds:
        if salt is None and _names_somebody(deed):
            salt = salt_of(connection, now)
        rows.append(
            {
                "at": now,
                "event": deed.event,
                "about": deed.about,
                "by": None if deed.by is None else digest_of(salt, deed.by),
                "detail": _JSON.encode({key: _said(salt, key, value) for key, value in deed.detail.items()}),
            }
        )
    return rows


def salt_of(connection: Connection, now: datetime) -> str:
    """Return the salt of this ledger; it is made once."""
    query = select(facts.c.value).where(facts.c.name == SALT_FACT)
    found = connection.execute(query).scalar()
    if found is None:
        made = INSERTS[connection.dialect.name](facts).values(
            name=SALT_FACT, value=secrets.token_hex(32), at=now
        )
        connection.execute(made.on_conflict_do_nothing())
        found = connection.execute(query).scalar_one()
    return str(found)


def digest_of(salt: str | None, text: str) -> str:
    """Return what stands for a name or a free text."""
    assert salt is not None
    return "digest:" + hmac.new(bytes.fromhex(salt), text.encode(), hashlib.sha256).hexdigest()


def _names_somebody(deed: Deed) -> bool:
    return deed.by is not None or any(_is_personal(key, value) for key, value in deed.detail.items())


def _is_personal(key: str, value: object) -> bool:
    return isinstance(value, str) and (key in {WHY, WHO} or not _OWN_WORDS.fullmatch(value))


def _said(salt: str | None, key: str, value: object) -> object:
    return digest_of(salt, value) if isinstance(value, str) and _is_personal(key, value) else value
