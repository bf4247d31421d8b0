"""Personal tokens: by them people prove who they are when they approve (L3).

It must not hold a token, only its digest; nor decide what its bearer may do.
"""

import hmac
from datetime import timedelta

from sqlalchemy import RowMapping, select, update

from bridge.errors import NotPossible
from bridge.ledger import Tx
from bridge.ledger.codec import IDENTITIES, to_text
from bridge.ledger.people import Act
from bridge.ledger.tables import tokens
from bridge.models import Identity, Token


def make(
    tx: Tx, *, name: str, digest: str, identities: tuple[Identity, ...], lasting: timedelta, act: Act
) -> Token:
    """Remember a token by its SHA-256 in hex; raise NotPossible where the name was given before."""
    expires_at = tx.now + lasting
    values = {
        "name": name,
        "digest": digest,
        "identities": to_text(IDENTITIES, identities),
        "made_at": tx.now,
        "made_by": act.author,
        "expires_at": expires_at,
    }
    made = tx.connection.execute(
        tx.insert(tokens).values(values).on_conflict_do_nothing().returning(tokens)
    ).mappings()
    row = made.first()
    if row is None:
        # A name stands in the audit for one person for ever, so a revoked one is not given again.
        raise NotPossible(f"there was a token {name} already (choose another name)")
    detail = {"why": act.reason, "expires": expires_at.isoformat()}
    tx.audit("token_made", about=f"token:{name}", by=act.author, detail=detail)
    return _token(row)


def all_made(tx: Tx) -> tuple[Token, ...]:
    """Return every token that was made, the newest first."""
    rows = tx.connection.execute(select(tokens).order_by(tokens.c.made_at.desc(), tokens.c.name)).mappings()
    return tuple(map(_token, rows))


def revoke(tx: Tx, *, name: str, act: Act) -> None:
    """Have a token count no more; raise NotPossible where there is none that does."""
    revoked = tx.connection.execute(
        update(tokens)
        .where(tokens.c.name == name, tokens.c.revoked_at.is_(None))
        .values(revoked_at=tx.now)
        .returning(tokens.c.name)
    ).scalar()
    if revoked is None:
        raise NotPossible(f"there is no token {name} that could be revoked (see `bridge token list`)")
    tx.audit("token_revoked", about=f"token:{name}", by=act.author, detail={"why": act.reason})


def bearer(tx: Tx, *, digest: str) -> Token:
    """Return the token that has a digest; raise NotPossible where it is unknown, revoked or expired."""
    rows = list(tx.connection.execute(select(tokens)).mappings())
    # Every row is compared, and each in the same time, so that nothing is learnt from how long it takes.
    matching = [row for row in rows if hmac.compare_digest(row["digest"], digest)]
    if not matching:
        raise NotPossible("this token is not known (`bridge token make` makes one)")
    found = _token(matching[0])
    if found.revoked_at is not None:
        raise NotPossible(f"token {found.name} was revoked")
    if tx.now >= found.expires_at:
        raise NotPossible(f"token {found.name} has expired (have a new one made)")
    return found


def _token(row: RowMapping) -> Token:
    return Token(
        name=row["name"],
        identities=IDENTITIES.validate_json(row["identities"]),
        made_at=row["made_at"],
        made_by=row["made_by"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
