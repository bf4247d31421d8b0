"""Who is signed in at the console: a row for each browser, known by a digest of what its cookie holds.

It must not hold what a cookie holds, nor decide whether somebody may still do anything.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, or_, select

from bridge.errors import Reason
from bridge.ledger import Tx
from bridge.ledger.people import Act
from bridge.ledger.pseudonyms import WHO, WHY
from bridge.ledger.tables import sign_ins, tokens
from bridge.roles import Way

# What the audit calls all of this.
ABOUT = "console"
# What the totals call it: by way, and by what became of it.
COUNTED = "sign_in"
SIGNED_IN = "signed_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A sign-in that has not ended; `proof` is a digest of the password's hash, or the name of the token."""

    name: str
    way: Way
    proof: str | None
    expires_at: datetime


def begin(
    tx: Tx, *, digest: str, name: str, way: Way, proof: str | None, lasting: timedelta, instead_of: str | None
) -> SignIn:
    """Remember a sign-in by the SHA-256 of its secret, in hex; end the one that the browser had before."""
    if instead_of is not None:
        _remove(tx, instead_of)
    values = {
        "digest": digest,
        "name": name,
        "way": way,
        "proof": proof,
        "made_at": tx.now,
        "expires_at": tx.now + lasting,
    }
    tx.connection.execute(tx.insert(sign_ins).values(values))
    tx.audit("signed_in", about=ABOUT, by=name, detail={"way": way})
    tx.count(COUNTED, way, SIGNED_IN)
    return SignIn(name=name, way=way, proof=proof, expires_at=tx.now + lasting)


def standing(tx: Tx, *, digest: str) -> SignIn | None:
    """Return a sign-in; None where it ended, or the token that it was made by does not count any more."""
    row = (
        tx.connection.execute(
            select(sign_ins).where(
                sign_ins.c.digest == digest, sign_ins.c.expires_at > tx.now, _not_by_a_dead_token(tx.now)
            )
        )
        .mappings()
        .first()
    )
    if row is None:
        return None
    return SignIn(name=row["name"], way=Way(row["way"]), proof=row["proof"], expires_at=row["expires_at"])


def end(tx: Tx, *, digest: str, why: str) -> None:
    """End a sign-in; one that has ended already stays so."""
    name = _remove(tx, digest)
    if name is not None:
        tx.audit("signed_out", about=ABOUT, by=name, detail={"reason": why})


def end_all(tx: Tx, *, name: str, act: Act) -> int:
    """End every sign-in of a person by another's word; return how many there were."""
    ended = tx.connection.execute(
        delete(sign_ins)
        .where(sign_ins.c.name == name, sign_ins.c.expires_at > tx.now)
        .returning(sign_ins.c.digest)
    ).all()
    if ended:
        detail = {WHO: name, WHY: act.reason, "count": len(ended), "reason": "by_operator"}
        tx.audit("signed_out", about=ABOUT, by=act.author, detail=detail)
    return len(ended)


def refused_role(tx: Tx, *, name: str, role: str, page: str) -> None:
    """Write into the audit who asked for a page that needs another role; `page` is its name with us."""
    tx.audit("role_refused", about=ABOUT, by=name, detail={"role": role, "page": page})


def drop_ended(tx: Tx, *, before: datetime) -> int:
    """Remove sign-ins that expired; return how many."""
    return len(
        tx.connection.execute(
            delete(sign_ins).where(sign_ins.c.expires_at <= before).returning(sign_ins.c.digest)
        ).all()
    )


def count_refused(tx: Tx, *, counted: dict[tuple[Way, Reason], int]) -> None:
    """Add tries to sign in that were refused since the last time, by way and reason."""
    for (way, reason), count in counted.items():
        tx.count(COUNTED, way, reason, count)


def _remove(tx: Tx, digest: str) -> str | None:
    removed: str | None = tx.connection.execute(
        delete(sign_ins).where(sign_ins.c.digest == digest).returning(sign_ins.c.name)
    ).scalar()
    return removed


def _not_by_a_dead_token(now: datetime) -> ColumnElement[bool]:
    counts = exists().where(
        tokens.c.name == sign_ins.c.proof, tokens.c.revoked_at.is_(None), tokens.c.expires_at > now
    )
    return or_(sign_ins.c.way != Way.TOKEN, counts)
