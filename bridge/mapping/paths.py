"""Paths into a ticket event: a small part of JMESPath with the language's own sense of what is missing.

It must not decide which names exist (that is `names`) nor what follows from a value.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import jmespath
from jmespath.parser import ParsedResult

from bridge.mapping.wording import nearest
from bridge.models import Json, Person, TicketEvent

ROOTS = ("ticket", "fields", "change", "actor", "payload")

_ALL_THERE_IS = "names, [], [0] and [?name=='x'] only"
_ALLOWED = frozenset(
    {"field", "subexpression", "index_expression", "index", "projection", "flatten", "filter_projection",
     "comparator", "literal", "identity"}
)  # fmt: skip


class Missing(Enum):
    """The one value of a path that is absent, null, empty text, or lost every entry."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


class PathError(ValueError):
    """A text is not a path of the language; the message says why and the way out."""


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path.

    `names` are its leading plain names, the root first; `plain` that nothing else follows. `_sources` are
    the lists that its projections go through, the outermost source first.
    """

    text: str
    names: tuple[str, ...]
    plain: bool
    _expression: Any = field(repr=False, compare=False)
    _sources: tuple[Any, ...] = field(repr=False, compare=False)

    @property
    def root(self) -> str:
        return self.names[0]


def compiled(text: str) -> Path:
    """Return the path of a text; raise PathError where it is none."""
    if "`" in text:  # JMESPath's literals, which its parser warns of before it refuses them
        raise PathError(f"'{text}' uses more than a path may ({_ALL_THERE_IS})")
    try:
        expression = jmespath.compile(text)
    except (jmespath.exceptions.JMESPathError, RecursionError) as error:
        raise PathError(
            f"'{text}' is not a path (names joined by dots; put names with spaces in double quotes)"
        ) from error
    tree = expression.parsed
    for node in _nodes(tree):
        _refuse_beyond_language(node, text)
    names, plain = _leading_names(tree)
    if not names or names[0] not in ROOTS or (plain and len(names) == 1):
        root = names[0] if names else ""
        way_out = nearest(root, ROOTS) if root not in ROOTS else "add a name after it"
        raise PathError(
            f"'{text}' does not begin with ticket., fields., change., actor. or payload. ({way_out})"
        )
    sources = tuple(ParsedResult(text, node) for node in _projected(tree))
    return Path(text, names, plain, expression, sources)


class View:
    """One event as the paths see it. It remembers what was looked up, since mappings share their paths."""

    def __init__(self, event: TicketEvent) -> None:
        self.event = event
        self._roots = _roots(event)
        self._seen: dict[str, Json | Missing] = {}

    def value(self, path: Path) -> Json | Missing:
        """Return a text, number, truth value, group or list at a path; a list without its missing entries."""
        if path.text not in self._seen:
            self._seen[path.text] = self._look_up(path)
        return self._seen[path.text]

    def occurs(self, path: Path) -> bool:
        """Say whether the event has such a path at all, be its value null or empty."""
        if self.value(path) is not MISSING:
            return True
        return path.plain and self._has_key(path.names)

    def _has_key(self, names: tuple[str, ...]) -> bool:
        at: Json = self._roots
        for name in names:
            if not isinstance(at, dict) or name not in at:
                return False
            at = at[name]
        return True

    def _look_up(self, path: Path) -> Json | Missing:
        found = path._expression.search(self._roots)
        if isinstance(found, list):
            kept = tuple(_entries(found))
            if kept or self._empty_in_event(path, found):
                return kept
            return MISSING
        return MISSING if _is_missing(found) else found

    def _empty_in_event(self, path: Path, found: Json) -> bool:
        """Tell a list that came empty from one that lost every entry on the way (then it is missing)."""
        for source in path._sources:
            entries = source.search(self._roots)
            if not isinstance(entries, list):
                return False
            if not entries:
                return source is path._sources[0]
            if all(isinstance(entry, list) and not entry for entry in entries):
                return True
        return not path._sources and found == []


def as_text(value: Json) -> str | None:
    """Return a text, number or truth value as the text that a mapping compares; None for groups and lists."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return None


def _is_missing(value: Json) -> bool:
    return value is None or value == ""


def _entries(values: list[Json]) -> Iterator[Json]:
    """Yield the entries that are not missing; those of inner lists too."""
    for value in values:
        if isinstance(value, list):
            yield from _entries(value)
        elif not _is_missing(value):
            yield value


def _nodes(tree: Any) -> Iterator[Any]:
    yield tree
    for child in tree.get("children", ()):
        yield from _nodes(child)


def _refuse_beyond_language(node: Any, text: str) -> None:
    kind, children = node["type"], node.get("children", ())
    beyond = (
        kind not in _ALLOWED
        or (kind == "projection" and children[0]["type"] != "flatten")
        or (
            kind == "comparator"
            and (node["value"] != "eq" or [c["type"] for c in children] != ["field", "literal"])
        )
        or (kind == "literal" and not isinstance(node["value"], str))
    )
    if beyond:
        raise PathError(f"'{text}' uses more than a path may ({_ALL_THERE_IS})")


def _leading_names(tree: Any) -> tuple[tuple[str, ...], bool]:
    """Return the names before the first bracket, and whether the path ends there."""
    kind, children = tree["type"], tree.get("children", ())
    if kind == "field":
        return (tree["value"],), True
    if kind != "subexpression":
        return (_leading_names(children[0])[0] if children else ()), False
    names: tuple[str, ...] = ()
    for child in children:
        more, plain = _leading_names(child)
        names += more
        if not plain:
            return names, False
    return names, True


def _projected(tree: Any) -> Iterator[Any]:
    """Yield what each projection goes through, the outermost source first."""
    kind, children = tree["type"], tree.get("children", ())
    if kind in {"subexpression", "index_expression"}:
        yield from _projected(children[0])
    elif kind in {"projection", "filter_projection"}:
        source = children[0]["children"][0] if kind == "projection" else children[0]
        yield from _projected(source)
        yield source


def _roots(event: TicketEvent) -> dict[str, Json]:
    ticket = event.ticket
    plain = ("key", "uid", "url", "project", "type", "request_type", "status", "summary", "description",
             "priority", "affected_item", "created_at", "updated_at")  # fmt: skip
    return {
        "ticket": {
            **{name: getattr(ticket, name) for name in plain},
            "labels": None if ticket.labels is None else list(ticket.labels),
            "person": _person(ticket.person),
            "assignee": _person(ticket.assignee),
        },
        "fields": event.fields,
        "change": {change.name: {"from": change.before, "to": change.after} for change in event.changes},
        "actor": {} if event.actor is None else _person(event.actor),
        "payload": event.payload,
    }


def _person(person: Person) -> dict[str, str | None]:
    return {"id": person.id, "name": person.name, "email": person.email, "login": person.login}
