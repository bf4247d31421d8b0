"""Lets people in: what each way must prove, who somebody is at the next request, and when that ends.

It must not give a role: those stand in the file of people, which is asked at every request. It knows no HTTP.
"""

import hashlib
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from bridge.errors import NotPossible, Reason, SignInRefused
from bridge.ledger import Ledger, sign_ins
from bridge.ledger.sign_ins import SignIn
from bridge.passwords import Passwords, TooBusy
from bridge.people_file import People, User
from bridge.roles import Role, Visitor, Way
from bridge.tokens import Tokens
from bridge.tries import Tries

_BYTES: Final = 32


class SigningIn:
    """The use cases of who may; safe to ask from any thread.

    `people` gives those in force. A sign-in counts for `lasting` at most, and by one of `ways` only.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        people: Callable[[], People],
        tokens: Tokens,
        passwords: Passwords,
        tries: Tries,
        ways: frozenset[Way],
        lasting: timedelta,
    ) -> None:
        self._ledger = ledger
        self._people = people
        self._tokens = tokens
        self._passwords = passwords
        self._tries = tries
        self.ways = ways
        self.lasting = lasting

    def by_password(self, name: str, password: str, *, peer: str, before: str | None) -> str:
        """Sign in by name and password; return the secret that stands for it from then on.

        `peer` is the address that asks, `before` the secret that the browser had, which counts no more.
        Raises SignInRefused, in the same words and after the same work whether there is such a name or not.
        """
        self._require(Way.PASSWORD)
        if not self._tries.allowed(Way.PASSWORD, peer=peer, name=name):
            raise _too_many()
        user = self._people().get(name)
        known = None if user is None else user.password
        try:
            fits = self._passwords.fits(known, password)
        except TooBusy:
            raise _too_many() from None
        if user is None or known is None or not fits:
            raise SignInRefused(Reason.NOT_KNOWN, "This name and password do not belong together.")
        self._tries.forget(name=name)
        return self._begin(user, Way.PASSWORD, _digest(known), before)

    def by_token(self, token: str, *, peer: str, before: str | None) -> str:
        """Sign in by a personal token that belongs to a person; otherwise as `by_password`."""
        self._require(Way.TOKEN)
        self.count_try(Way.TOKEN, peer=peer)
        try:
            found = self._tokens.bearer(token)
        except NotPossible:
            raise SignInRefused(Reason.NOT_KNOWN, "This token does not count here.") from None
        user = next((user for user in self._people().values() if found.name in user.tokens), None)
        if user is None:
            raise SignInRefused(Reason.NO_SUCH_PERSON, "This token does not count here.")
        return self._begin(user, Way.TOKEN, found.name, before)

    def by_provider(self, name: str, *, before: str | None) -> str:
        """Sign in somebody whom the OpenID provider named, after its word was checked."""
        self._require(Way.OIDC)
        return self._begin(self._user(name), Way.OIDC, None, before)

    def count_try(self, way: Way, *, peer: str) -> None:
        """Count a try of an address; raise SignInRefused where it has tried too often in this way."""
        if not self._tries.allowed(way, peer=peer):
            raise _too_many()

    def through_proxy(self, name: str) -> Visitor:
        """Return somebody whom a trusted proxy named for this one request."""
        self._require(Way.PROXY)
        return self._user(name).visitor

    def visitor(self, secret: str) -> Visitor | None:
        """Return who somebody is who signed in, with the roles of now; None where that has ended."""
        digest = _digest(secret)
        found = self._ledger.read(sign_ins.standing, digest=digest)
        if found is None:
            return None
        user = self._people().get(found.name)
        if user is None or not self._still_proven(found, user):
            # It must not come back to life when the file says again what it said before.
            self._ledger.write(sign_ins.end, digest=digest, why="withdrawn")
            return None
        return user.visitor

    def sign_out(self, secret: str) -> None:
        """End a sign-in."""
        self._ledger.write(sign_ins.end, digest=_digest(secret), why="asked")

    def note_refused_role(self, visitor: Visitor, role: Role, *, page: str) -> None:
        """Write into the audit that somebody asked for what their roles do not let them."""
        self._ledger.write(sign_ins.refused_role, name=visitor.name, role=role, page=page)

    def _require(self, way: Way) -> None:
        if way not in self.ways:
            raise SignInRefused(Reason.NOT_BELIEVED, "Nobody signs in here in this way.")

    def _user(self, name: str) -> User:
        user = self._people().get(name)
        if user is None:
            raise SignInRefused(
                Reason.NO_SUCH_PERSON, "You are known, but you are not among the people of this console."
            )
        return user

    def _still_proven(self, found: SignIn, user: User) -> bool:
        """Say whether the proof would let them in again; whether a token counts, the ledger has judged."""
        if found.way not in self.ways:
            return False
        if found.way is Way.PASSWORD:
            return user.password is not None and found.proof == _digest(user.password)
        return found.way is not Way.TOKEN or found.proof in user.tokens

    def _begin(self, user: User, way: Way, proof: str | None, before: str | None) -> str:
        secret = secrets.token_urlsafe(_BYTES)
        self._ledger.write(
            sign_ins.begin,
            digest=_digest(secret),
            name=user.visitor.name,
            way=way,
            proof=proof,
            lasting=self.lasting,
            instead_of=None if before is None else _digest(before),
        )
        return secret


def _too_many() -> SignInRefused:
    return SignInRefused(Reason.TOO_MANY_TRIES, "Too many tries. Wait a few minutes, then try again.")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
