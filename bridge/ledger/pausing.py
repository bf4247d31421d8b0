"""What is not sent for now: pauses by scope, made by a person, by a portal's answer or by a limit (S6).

It must not say which run a pause stops; the policy does.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import RowMapping, delete, or_, select

from bridge.errors import NotPossible, Reason
from bridge.ledger import Tx
from bridge.ledger.tables import pauses
from bridge.models import Pause, PauseScope, RunId

_ALL: Final = select(pauses).order_by(pauses.c.scope, pauses.c.value)


def standing(tx: Tx) -> tuple[Pause, ...]:
    """Return the pauses that hold now; one that has expired holds nothing, though its row still stands."""
    in_force = _ALL.where(or_(pauses.c.expires_at.is_(None), pauses.c.expires_at > tx.now))
    return tuple(map(_pause, tx.connection.execute(in_force).mappings()))


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
    """Stop sending within a scope; return False where it is paused already, which stays as it is."""
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
    made = tx.connection.execute(
        tx.insert(pauses).on_conflict_do_nothing().returning(pauses.c.id), values
    ).scalar()
    if made is not None:
        tx.audit("paused", about=f"{scope}:{value}", by=author, detail={"reason": reason, "why": detail})
    return made is not None


def lift(tx: Tx, *, scope: PauseScope, value: str, author: str, why: str) -> Pause:
    """End a pause and return it; raise NotPossible where there is none."""
    found = tx.connection.execute(
        delete(pauses).where(pauses.c.scope == scope, pauses.c.value == value).returning(pauses)
    )
    row = found.mappings().first()
    if row is None:
        named = f"{scope} {value}".strip()
        raise NotPossible(f"{named} is not paused")
    tx.audit("resumed", about=f"{scope}:{value}", by=author, detail={"why": why})
    return _pause(row)


def holds(pauses_standing: Sequence[Pause], scope: PauseScope, value: str) -> bool:
    """Say whether exactly this scope is paused."""
    return any(each.scope is scope and each.value == value for each in pauses_standing)


def _drop_expired(tx: Tx) -> None:
    tx.connection.execute(delete(pauses).where(pauses.c.expires_at <= tx.now))


def _pause(row: RowMapping) -> Pause:
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
