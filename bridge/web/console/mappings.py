"""The mappings in force and their catalogue, as pages that people can read.

It must not show a text that is not in force, nor count more runs than a page can wait for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, TypeVar

from flask import Blueprint, Response, request

from bridge import describing
from bridge.errors import NotPossible
from bridge.ledger import Tx, in_force, mapping_use, pausing
from bridge.ledger.mapping_use import MappingUse
from bridge.mapping import excerpts, in_words
from bridge.mapping.language import MappingSet
from bridge.mapping.rules import MappingRule
from bridge.models import MappingId, Mode, Pause
from bridge.watching import REFUSED_FACT
from bridge.web.console.access import Role, needs
from bridge.web.console.showing import shown
from bridge.web.services import Services
from bridge.workshop import Base

LINES: Final = 50
LOOKED_BACK: Final = timedelta(days=30)
# A ticket fits few mappings; more pairs than these are a matter for `bridge check`.
PAIRS_SHOWN: Final = 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the list is narrowed to: `idle` are mappings without a run lately."""

    text: str
    mode: Mode | None
    idle: bool
    behind: str

    def fits(self, rule: MappingRule, use: MappingUse) -> bool:
        """Say whether a mapping is among what is wanted."""
        spoken = (rule.id, rule.source, rule.action.name, rule.action.title, rule.place.file)
        return (
            any(self.text.casefold() in each.casefold() for each in spoken)
            and self.mode in (None, rule.mode)
            and not (self.idle and rule.id in use.counts)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What the ledger knows of the mappings, of one moment."""

    use: MappingUse
    refused: str | None
    pauses: tuple[Pause, ...]


def install(door: Blueprint, services: Services) -> None:
    """Add the mappings, one mapping, and the catalogue."""

    @door.get("/mappings")
    @needs(Role.VIEWER)
    def mappings() -> Response:
        found, wanted = services.mapping_set(), _wanted()
        look = services.ledger.read(_look, since=services.clock() - LOOKED_BACK)
        fitting = [rule for rule in found.mappings if wanted.fits(rule, look.use)] if found else []
        rules, further = _page(fitting, [rule.id for rule in fitting], wanted.behind)
        names = {rule.id for rule in found.mappings} if found else set()
        pairs = [(pair, how) for pair, how in look.use.together.items() if names.issuperset(pair)]
        pairs.sort(key=lambda pair: -pair[1].times)
        return shown(
            "mappings.html",
            wanted=wanted,
            found=found,
            look=look,
            rules=[(rule, in_words.occasion(rule)) for rule in rules],
            fitting=len(fitting),
            further=further,
            sent=_sent(services, rules),
            pairs=pairs[:PAIRS_SHOWN],
            pairs_left_out=max(0, len(pairs) - PAIRS_SHOWN),
            modes=tuple(Mode),
        )

    @door.get("/mappings/<mapping>")
    @needs(Role.VIEWER)
    def mapping(mapping: str) -> Response:
        found = _in_force(services)
        rule = next((rule for rule in found.mappings if rule.id == mapping), None)
        if rule is None:
            words = "No mapping of this name is in force now."
            return shown("missing.html", HTTPStatus.NOT_FOUND, text=words)
        names = {each.id for each in found.mappings}
        look = services.ledger.read(_look, since=services.clock() - LOOKED_BACK)
        pairs = [(_other(pair, rule.id), how) for pair, how in look.use.together.items() if rule.id in pair]
        texts = services.workshop.texts(Base.IN_FORCE)
        return shown(
            "mapping.html",
            rule=rule,
            occasion=in_words.occasion(rule),
            clauses=in_words.clauses(rule),
            deed=tuple(in_words.deed(rule)),
            bounds=tuple(describing.bounds_of_any(rule)),
            fence=tuple(in_words.fence(rule.action)),
            look=look,
            sent=_sent(services, [rule]),
            pauses=[pause for pause in look.pauses if describing.concerns(pause, rule)],
            pairs=[(other, how) for other, how in pairs if other in names],
            lines=excerpts.entry(dict(texts.mappings).get(rule.place.file, ""), rule.place.line),
        )

    @door.get("/actions")
    @needs(Role.VIEWER)
    def actions() -> Response:
        found = services.mapping_set()
        known = sorted(found.catalogue.actions) if found else []
        names, further = _page(known, known, request.args.get("behind", ""))
        return shown(
            "actions.html",
            actions=[_action(found, name) for name in names] if found else [],
            further=further,
        )


def _look(tx: Tx, *, since: datetime) -> _Look:
    return _Look(
        use=mapping_use.mapping_use(tx, since=since),
        refused=in_force.get_fact(tx, name=REFUSED_FACT),
        pauses=pausing.standing(tx),
    )


def _sent(services: Services, rules: Sequence[MappingRule]) -> dict[MappingId, datetime]:
    return services.ledger.read(mapping_use.last_sent, mappings=[rule.id for rule in rules])


def _wanted() -> Wanted:
    mode = request.args.get("mode", "")
    return Wanted(
        text=request.args.get("q", "").strip()[:80],
        mode=Mode(mode) if mode in set(Mode) else None,
        idle=request.args.get("idle") == "on",
        behind=request.args.get("behind", ""),
    )


def _in_force(services: Services) -> MappingSet:
    found = services.mapping_set()
    if found is None:
        raise NotPossible("no mapping set is in force")
    return found


def _page(rows: Sequence[T], names: Sequence[str], behind: str) -> tuple[list[T], str | None]:
    """Return the rows of a page, and behind which name the next one begins."""
    first = names.index(behind) + 1 if behind in names else 0
    more = first + LINES < len(rows)
    return list(rows[first : first + LINES]), names[first + LINES - 1] if more else None


def _action(found: MappingSet, name: str) -> dict[str, object]:
    action = found.catalogue.actions[name]
    users = [rule.id for rule in found.mappings if rule.action.name == name]
    return {
        "action": action,
        "facts": (
            *in_words.of_action(action),
            *(("limit", text) for text in describing.limits(action.limits)),
        ),
        "users": users[:LINES],
        "users_left_out": max(0, len(users) - LINES),
    }


def _other(pair: tuple[MappingId, MappingId], name: MappingId) -> MappingId:
    return pair[1] if pair[0] == name else pair[0]
