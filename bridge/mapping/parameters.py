"""Parameters of an action: which values the catalogue allows, and which one a mapping takes.

It must not let any value through that its rule does not allow, wherever the value comes from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import re2

from bridge.errors import Reason
from bridge.mapping import fences, patterns
from bridge.mapping.documents import Place
from bridge.mapping.paths import MISSING, Path, View, as_text
from bridge.mapping.patterns import Pattern
from bridge.mapping.wording import shortened
from bridge.models import Problem

LENGTH_LIMIT = 1000

# Scripts read parameters, and not every one quotes them. So a name is words with single spaces between, each
# begins with a letter or digit, and a quote or dash stands only between two of those: O'Brien, Jean-Luc.
_LETTER = r"[\p{L}\p{N}]\p{M}*"
_WORD = rf"{_LETTER}(?:['’-]?{_LETTER}|[.,_]+(?:{_LETTER})?)*"
_NAME = re2.compile(rf"{_WORD}(?: {_WORD})*")
_NAME_LENGTH = 100
# What PowerShell takes for the dash of an option.
_DASHES = ("-", "\N{EN DASH}", "\N{EM DASH}", "\N{HORIZONTAL BAR}")
_NUMBER = re2.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")
_DATE = re2.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)


class Shape(StrEnum):
    NAME = "name"
    NUMBER = "number"
    HOST = "host"
    DATE = "date"
    ANYTHING = "anything"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamRule:
    """A parameter as the catalogue declares it."""

    name: str
    one_of: tuple[str, ...] | None
    pattern: Pattern | None
    shape: Shape | None
    default: str | None
    required: bool
    place: Place

    @property
    def limited(self) -> bool:
        """Say whether the catalogue allows a ticket to fill it."""
        return self.one_of is not None or self.pattern is not None or self.shape is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamSource:
    """Where a mapping takes a value from: `value` alone, or `path` with the rest."""

    name: str
    value: str | None = None
    path: Path | None = None
    table: tuple[tuple[str, str], ...] | None = None
    other: str | None = None
    default: str | None = None


def refusal(rule: ParamRule, value: str) -> str | None:
    """Return why a parameter must not have a value; None where it may."""
    control = patterns.control_character(value)
    if control is not None:
        return f"it has the control character {control}"
    if len(value) > LENGTH_LIMIT:
        return f"it is longer than {LENGTH_LIMIT} characters"
    if rule.one_of is not None and value not in rule.one_of:
        return "it is none of " + shortened(", ".join(rule.one_of), 200)
    if rule.pattern is not None and not rule.pattern.whole(value):
        return f"it does not match {rule.pattern.text}"
    if rule.shape is not None and not _SHAPES[rule.shape](value):
        return f"it is not a {rule.shape.value}"
    return None


def fill(
    rules: tuple[ParamRule, ...], sources: tuple[ParamSource, ...], view: View
) -> tuple[tuple[str, str], ...] | Problem:
    """Return the parameters to send, in the catalogue's order, or why there can be none."""
    by_name = {source.name: source for source in sources}
    filled: list[tuple[str, str]] = []
    for rule in rules:
        value = _value(rule, by_name.get(rule.name), view)
        if isinstance(value, Problem):
            return value
        if value is None:
            continue
        why = refusal(rule, value)
        if why is not None:
            return _refused(rule, value, why)
        filled.append((rule.name, value))
    return tuple(filled)


def _value(rule: ParamRule, source: ParamSource | None, view: View) -> str | Problem | None:
    """Return the value before the rule has judged it; None where nothing is sent."""
    found = None if source is None else _from_source(rule, source, view)
    if found is not None:
        return found
    if rule.default is not None:
        return rule.default
    if not rule.required:
        return None
    asked = f" at {source.path.text}" if source is not None and source.path is not None else ""
    detail = f"the ticket has no value{asked} for '{rule.name}', which the action needs"
    return Problem(reason=Reason.VALUE_MISSING, place=rule.name, detail=detail)


def _from_source(rule: ParamRule, source: ParamSource, view: View) -> str | Problem | None:
    if source.path is None:
        return source.value
    found = view.value(source.path)
    if found is MISSING or found == ():
        return source.default
    if isinstance(found, tuple) and len(found) == 1:
        found = found[0]
    text = None if isinstance(found, tuple) else as_text(found)
    if text is None:
        detail = f"{source.path.text} has {_kind(found)} where one value is needed for '{source.name}'"
        return Problem(reason=Reason.VALUE_REFUSED, place=source.name, detail=detail)
    return _of_ticket(rule, text) if source.table is None else _translated(source, source.table, text)


def _of_ticket(rule: ParamRule, text: str) -> str | Problem:
    """Return a ticket's own text, unless a script could take it for an option."""
    # What one_of lists was written by the catalogue's owner, and the dash of a number is a sign.
    meant = rule.one_of is not None or rule.shape is Shape.NUMBER
    if text.lstrip().startswith(_DASHES) and not meant:
        return _refused(rule, text, "it begins with a dash, as an option of a command does")
    return text


def _translated(source: ParamSource, table: tuple[tuple[str, str], ...], text: str) -> str | Problem:
    translated = dict(table).get(text, source.other)
    if translated is not None:
        return translated
    assert source.path is not None
    detail = f"the mapping has no '{source.name}' for the value '{shortened(text)}' of {source.path.text}"
    return Problem(reason=Reason.VALUE_REFUSED, place=source.name, detail=detail)


def _refused(rule: ParamRule, value: str, why: str) -> Problem:
    detail = f"the value '{shortened(value)}' is not allowed for '{rule.name}': {why}"
    return Problem(reason=Reason.VALUE_REFUSED, place=rule.name, detail=detail)


def _kind(found: object) -> str:
    return f"{len(found)} values" if isinstance(found, tuple) else "a group of fields"


def _is_date(text: str) -> bool:
    if not text.isascii() or _DATE.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


_SHAPES: dict[Shape, Callable[[str], bool]] = {
    Shape.NAME: lambda text: len(text) <= _NAME_LENGTH and _NAME.fullmatch(text) is not None,
    Shape.NUMBER: lambda text: _NUMBER.fullmatch(text) is not None,
    Shape.HOST: fences.is_host,
    Shape.DATE: _is_date,
    Shape.ANYTHING: lambda _text: True,
}
