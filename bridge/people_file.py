"""Reads the file of people: who may use the console, in which roles, and by which proofs.

It must not hold a password, nor repeat a hash or what was typed in its place. Roles come from nowhere else.
"""

import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from bridge import passwords
from bridge.errors import ConfigurationError, NotPossible
from bridge.mapping import documents, schemas
from bridge.mapping.documents import Document, Faults
from bridge.mapping.documents import Path as Spot
from bridge.mapping.wording import nearest
from bridge.models import Identity, Json, SourceName
from bridge.roles import Role, Visitor
from bridge.settings import secret_files
from bridge.tokens import folded, person_in

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 2.0
_SIZE_LIMIT: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One person of the file; `password` is a hash, `tokens` are names of personal tokens."""

    visitor: Visitor
    password: str | None = field(repr=False)
    tokens: frozenset[str]


People = Mapping[str, User]


def load(path: Path, *, sources: Collection[SourceName]) -> People:
    """Return the people of a file by their names; raise ConfigurationError with every problem."""
    name = path.name
    faults = Faults()
    document = documents.read(name, _text(path), faults)
    found: dict[str, User] = {}
    if document is not None:
        faulty = schemas.check(document, schemas.validator(schemas.PEOPLE), faults)
        if not faulty:
            found = {user.visitor.name: user for user in _users(document, faults, sources)}
    if faults:
        raise ConfigurationError(faults.sorted())
    return found


class LivePeople:
    """The people in force, read again when their file changes; safe to ask from any thread."""

    def __init__(self, path: Path, *, sources: Collection[SourceName]) -> None:
        """Read the file; raise ConfigurationError where it cannot be used."""
        self._path = path
        self._sources = tuple(sources)
        self._lock = threading.Lock()
        self._stamp = secret_files.stamp(path)
        self._people = load(path, sources=self._sources)

    def current(self) -> People:
        """Return the people; where the changed file cannot be used, the last good ones stay in force."""
        seen = secret_files.stamp(self._path)
        with self._lock:
            if seen != self._stamp:
                self._stamp = seen
                self._read_again()
            return self._people

    def run(self, stopping: threading.Event) -> None:
        """Look at the file until told to stop: the last good ones are then the newest, though nobody asks."""
        while not stopping.wait(LOOK_SECONDS):
            try:
                self.current()
            except Exception:
                # Whatever a file makes of its reader: the next one must be read all the same.
                log.exception("people.failed")

    def _read_again(self) -> None:
        try:
            self._people = load(self._path, sources=self._sources)
        except ConfigurationError as error:
            place = error.problems[0].partition(": ")[0]
            log.error("people.refused", count=len(error.problems), place=place)  # noqa: TRY400 - no trace helps
        else:
            log.info("people.read_again", count=len(self._people))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_SIZE_LIMIT + 1)
    except OSError as error:
        problem = f"cannot be read: {error.strerror} (see BRIDGE_CONSOLE_PEOPLE)"
        raise ConfigurationError((f"{path.name}: {problem}",)) from None
    if len(raw) > _SIZE_LIMIT:
        raise ConfigurationError((f"{path.name}: is larger than 1 MiB (see BRIDGE_CONSOLE_PEOPLE)",))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError((f"{path.name}: not UTF-8 (save the file as UTF-8)",)) from None


def _users(document: Document, faults: Faults, sources: Collection[SourceName]) -> Iterator[User]:
    entries: Json = document.data["people"]
    taken: dict[tuple[str, str], str] = {}
    for name, entry in entries.items():
        spot: Spot = ("people", name)
        twin = taken.setdefault(("name", _alike(name)), name)
        if twin != name:
            faults.add(
                document.key_place(spot), f"'{name}' and '{twin}' are too much alike (name one otherwise)"
            )
        _judge_password(entry, spot, document, faults)
        identities = tuple(_identities(entry.get("identities", {}), spot, document, faults, sources))
        tokens = entry.get("tokens", [name])
        for kind, text, place in (
            *(
                (f"identity in {one.source}", one.text, (*spot, "identities", one.source))
                for one in identities
            ),
            *(("token", token, (*spot, "tokens") if "tokens" in entry else spot) for token in tokens),
        ):
            other = taken.setdefault((kind, _alike(text)), name)
            if other != name:
                faults.add(
                    document.place(place), f"the {kind} '{text}' is {other}'s too (it can be one person's)"
                )
        yield User(
            visitor=Visitor(
                name=name, roles=frozenset(Role(role) for role in entry["roles"]), identities=identities
            ),
            password=entry.get("password"),
            tokens=frozenset(tokens),
        )


def _alike(text: str) -> str:
    """Return what two texts have in common that a directory, or whoever reads them, takes for one."""
    return folded(text).strip(" .")


def _judge_password(entry: Json, spot: Spot, document: Document, faults: Faults) -> None:
    if "password" in entry and not passwords.is_hash(entry["password"]):
        # What stands there may be a password, so it is not repeated.
        problem = "'password' is not a hash of this version (make one with `bridge console password`)"
        faults.add(document.place((*spot, "password")), problem)


def _identities(
    group: Json, spot: Spot, document: Document, faults: Faults, sources: Collection[SourceName]
) -> Iterator[Identity]:
    for source, given in group.items():
        if source not in sources:
            place = document.key_place((*spot, "identities", source))
            faults.add(place, f"unknown source '{source}' ({nearest(source, sources)})")
            continue
        known_by = tuple(
            Identity(source=SourceName(source), text=text)
            for text in ([given] if isinstance(given, str) else given)
        )
        try:
            person_in(SourceName(source), known_by)
        except NotPossible as error:
            faults.add(document.place((*spot, "identities", source)), str(error))
        yield from known_by
