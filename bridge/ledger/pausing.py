"""What is not sent for now: pauses by scope, made by a person, by a portal's answer or by a limit (S6).

It must not say which run a pause stops; the policy does.
"""

import hashlib
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, bindparam, case, delete, func, or_, select

from bridge.errors import NotPossible, Reason
from bridge.ledger import Tx
from bridge.ledger.codec import Stored
from bridge.ledger.tables import pauses, runs
from bridge.models import Pause, PauseScope, RunId

# Built once: it runs before every intent.
_STANDING: Final = (
    select(pauses)
    .where(or_(pauses.c.expires_at.is_(None), pauses.c.expires_at > bindparam("now")))
    .order_by(pauses.c.scope, pauses.c.value)
)


def standing(tx: Tx) -> tuple[Pause, ...]:
    """Return the pauses that hold now; one that has expired holds nothing, though its row still stands."""
    return tuple(map(_pause, tx.run(_STANDING, {"now": tx.now})))


def pause(
    tx: Tx,
    *,
    scope: PauseScope,
    value: str,
    reason: Reason,
    author: str | None = None,
    detail: str | None = None,
    expires_at: datetime | None = None,
    run: RunId | None = None,
) -> bool:
    """Stop sending within a scope; return False where it is paused for as long already, which stays.

    A pause that is only prolonged keeps its start, who made it and why, and says who prolonged it.
    """
    _drop_expired(tx)
    values = {
        "scope": scope,
        "value": value,
        "reason": reason,
        "author": author,
        "detail": detail,
        "at": tx.now,
        "expires_at": expires_at,
        "run": run,
    }
    statement = tx.insert(pauses).values(values)
    # A pause that ends by itself gives way to one that lasts longer: sending never begins in between.
    ends = pauses.c.expires_at.is_not(None)
    shorter = ends if expires_at is None else ends & (pauses.c.expires_at < expires_at)
    alike = pauses.c.reason == reason
    prolonged = (
        func.coalesce(pauses.c.detail, "") + f"; prolonged by {author or 'the bridge'}: {detail or reason}"
    )
    changed = {
        "reason": reason,
        "author": case((alike, pauses.c.author), else_=author),
        "detail": case((alike, prolonged), else_=detail),
        "expires_at": expires_at,
        "run": run,
    }
    longer = statement.on_conflict_do_update(index_elements=["scope", "value"], set_=changed, where=shorter)
    made = tx.connection.execute(longer.returning(pauses.c.id)).scalar()
    if made is not None:
        tx.audit("paused", about=f"{scope}:{value}", by=author, detail={"reason": reason, "why": detail})
    return made is not None


def still_standing(tx: Tx, *, pause: Pause) -> bool:
    """Say whether a pause still stands, and let nobody lift it until this transaction ends."""
    found = tx.connection.execute(tx.locking(select(pauses.c.id).where(pauses.c.id == pause.id)))
    return found.scalar() is not None


def lift(tx: Tx, *, scope: PauseScope, value: str, author: str, why: str) -> Pause:
    """End a pause and return it; raise NotPossible where there is none."""
    found = tx.connection.execute(
        delete(pauses).where(pauses.c.scope == scope, pauses.c.value == value).returning(pauses)
    )
    row = found.mappings().first()
    if row is None:
        raise NotPossible(f"{f'{scope} {value}'.strip()} is not paused (see `bridge pauses`)")
    tx.audit("resumed", about=f"{scope}:{value}", by=author, detail={"why": why})
    return _pause(row)


def named(pause: Pause) -> str:
    """Return a pause as people name it: `mapping office`, or `everything`."""
    return f"{pause.scope} {pause.value}".strip()


def holds(held: Pause) -> ColumnElement[bool]:
    """Return the condition on held runs that they wait for a pause."""
    by_it = (runs.c.reason == Reason.PAUSED) & (runs.c.detail == named(held))
    if held.scope is PauseScope.PORTAL:
        by_it |= (runs.c.reason == Reason.PORTAL_PAUSED) & (runs.c.portal == held.value)
    return by_it


def fingerprint(seen: Pause) -> str:
    """Return what changes when a pause does: made anew, prolonged, or made by somebody else (S9)."""
    content = (seen.id, seen.reason, seen.author, seen.detail, seen.at, seen.expires_at)
    return hashlib.sha256(repr(tuple(map(str, content))).encode()).hexdigest()[:16]


def _drop_expired(tx: Tx) -> None:
    tx.connection.execute(delete(pauses).where(pauses.c.expires_at <= tx.now))


def _pause(row: Stored) -> Pause:
    return Pause(
        id=row["id"],
        scope=PauseScope(row["scope"]),
        value=row["value"],
        reason=Reason(row["reason"]),
        author=row["author"],
        detail=row["detail"],
        at=row["at"],
        expires_at=row["expires_at"],
        run=RunId(row["run"]) if row["run"] else None,
    )
