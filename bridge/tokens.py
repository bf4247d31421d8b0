"""Personal tokens as people have them made, and whom one stands for in a ticket system (L3).

It must not store or log a token: it is shown once, and known by its digest from then on.
"""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from bridge.connections import Connections
from bridge.errors import NotPossible
from bridge.ledger import Ledger, tokens
from bridge.ledger.people import Act
from bridge.mapping.wording import nearest
from bridge.models import Identity, Person, SourceName, Token

# It lets scanners of repositories and logs find one that was lost.
PREFIX: Final = "bridge_"
_BYTES: Final = 32
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
# Account ids: Jira Cloud's, Jira Data Center's, and the sys_id of ServiceNow.
_ACCOUNT_ID: Final = re.compile(r"[0-9a-f]{24,32}|[0-9a-zA-Z-]+:[0-9a-zA-Z-]+|JIRAUSER[0-9]+")


class Tokens:
    """The use cases of personal tokens."""

    def __init__(self, *, ledger: Ledger, connections: Callable[[], Connections]) -> None:
        self._ledger = ledger
        self._connections = connections

    def make(
        self, name: str, identities: tuple[Identity, ...], *, lasting: timedelta, act: Act
    ) -> tuple[str, Token]:
        """Make a token and return its secret, which is not kept, with what is kept.

        Raises NotPossible for a name or an identity that cannot be used.
        """
        if not _NAME.fullmatch(name):
            raise NotPossible("a token's name has lower-case letters, digits, '.', '_' and '-', 64 at most")
        known = sorted(self._connections().sources)
        for one in identities:
            if one.source not in known:
                raise NotPossible(f"there is no source '{one.source}' ({nearest(one.source, known)})")
        for source in {one.source for one in identities}:
            person_in(source, identities)
        secret = PREFIX + secrets.token_urlsafe(_BYTES)
        made = self._ledger.write(
            tokens.make, name=name, digest=_digest(secret), identities=identities, lasting=lasting, act=act
        )
        return secret, made

    def revoke(self, name: str, *, act: Act) -> None:
        """Have a token count no more."""
        self._ledger.write(tokens.revoke, name=name, act=act)

    def bearer(self, secret: str) -> Token:
        """Return whose token this is; raise NotPossible where it does not count."""
        return self._ledger.read(tokens.bearer, digest=_digest(secret.strip()))


def person_in(source: SourceName, identities: tuple[Identity, ...]) -> Person:
    """Return the person that identities of a source stand for: account id, login and e-mail, each once.

    Raises NotPossible where two are of one kind, or none is of this source: then nobody could say whether
    the requester approves.
    """
    found: dict[str, str] = {}
    for one in identities:
        if one.source != source:
            continue
        if problem := _mistakable(one.text):
            raise NotPossible(f"{one.text!a} {problem}")
        kind = _kind(one.text)
        if kind in found:
            raise NotPossible(f"'{found[kind]}' and '{one.text}' are both the {kind} in {source} (give one)")
        found[kind] = one.text
    if not found:
        raise NotPossible(f"nothing says who that is in {source} (their token or the people file does)")
    return Person(id=found.get("account id"), login=found.get("login"), email=found.get("e-mail"))


def folded(identifier: str) -> str:
    """Return an identifier as it is compared: in whatever spelling of case, width and outer spaces."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", identifier).strip().casefold())


def _mistakable(text: str) -> str:
    """Say what makes an identity look like another one; who looks like the requester must not approve.

    A ticket system compares what it holds letter by letter, and so does the bridge.
    """
    if any(unicodedata.category(letter)[0] in "CMZ" and letter != " " for letter in text):
        return "has a letter that nobody sees (write it anew, by hand)"
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in text if letter.isalpha()}
    if "LATIN" in scripts and scripts & {"CYRILLIC", "GREEK"}:
        return "has letters of several alphabets, which look alike (write it anew, by hand)"
    if "@" in text and not _EMAIL.fullmatch(text):
        return "is no plain e-mail address (write it as name@example.com)"
    return ""


def _kind(text: str) -> str:
    if "@" in text:
        return "e-mail"
    return "account id" if _ACCOUNT_ID.fullmatch(text) else "login"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
