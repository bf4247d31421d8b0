"""Reads the text of a YAML file into plain data in which every place keeps its line and column.

It must not know the mapping language, and gives no value a type: every scalar is the text that was typed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import re2
import yaml

from bridge.models import Json

Path = tuple[str | int, ...]

# Deeper than any mapping needs; a bound keeps hostile nesting from exhausting the parser's caller.
_MAX_DEPTH = 50

# How a fault reads; its words may hold what somebody typed.
_FAULT = re2.compile(r"([^:\n]+):([0-9]+):([0-9]+): ((?s:.*))")

# Where a path is, its brackets and quotes are the likeliest to be in YAML's way.
_PATH = re2.compile(r"""\b(?:ticket|fields|change|actor|payload)\.|"\.[A-Za-z]""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something stands; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Fault:
    """One problem of a file and its way out, as people read it: `file:line:column: problem (way out)`."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.text}"

    @classmethod
    def read(cls, text: str) -> "Fault | None":
        """Return the problem that a text tells of; None where it names no place."""
        found = _FAULT.fullmatch(text)
        if found is None:
            return None
        return cls(file=found[1], line=int(found[2]), column=int(found[3]), text=found[4])


@dataclass(frozen=True, slots=True)
class _Spot:
    """The position of a value, and those of its keys and entries."""

    line: int
    column: int
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    entries: dict[str | int, "_Spot"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file as plain data: dictionaries, lists and texts. `data` must not be changed."""

    file: str
    data: Json
    _root: _Spot = field(repr=False)

    def place(self, path: Path) -> Place:
        """Return where the value at a path stands, or the nearest thing above it."""
        spot = self._root
        for step in path:
            below = spot.entries.get(step)
            if below is None:
                break
            spot = below
        return Place(file=self.file, line=spot.line, column=spot.column)

    def key_place(self, path: Path) -> Place:
        """Return where the last key of a path stands, or the value where there is no such key."""
        spot = self._root
        for step in path[:-1]:
            below = spot.entries.get(step)
            if below is None:
                return self.place(path)
            spot = below
        position = spot.keys.get(str(path[-1])) if path else None
        if position is None:
            return self.place(path)
        return Place(file=self.file, line=position[0], column=position[1])


class Faults:
    """Collects every problem, so that all are reported together."""

    def __init__(self) -> None:
        self._found: set[Fault] = set()

    def add(self, place: Place, text: str) -> None:
        """Note a problem at a place; the same one twice is one."""
        self._found.add(Fault(file=place.file, line=place.line, column=place.column, text=text))

    def sorted(self) -> tuple[str, ...]:
        """Return all problems as texts, in the order of the files."""
        return tuple(str(fault) for fault in sorted(self._found))

    def __bool__(self) -> bool:
        return bool(self._found)


class _UnreadableError(Exception):
    """Ends the reading of a document at a fault of form after which nothing is sure."""

    def __init__(self, position: tuple[int, int], text: str) -> None:
        super().__init__(text)
        self.position = position
        self.text = text


@dataclass(frozen=True, slots=True)
class _Stream:
    """The events of a file, and where it notes keys that stand twice; the first one counts then."""

    events: Iterator[yaml.Event]
    file: str
    faults: Faults

    def note_twice(self, position: tuple[int, int], key: str, first: tuple[int, int]) -> None:
        place = Place(file=self.file, line=position[0], column=position[1])
        self.faults.add(place, f"key '{key}' stands here twice (first in line {first[0]}; remove one)")


def read(file: str, text: str, faults: Faults) -> Document | None:
    """Return the document of a file, or None after noting why it cannot be read.

    A key that stands twice is noted, and what follows is read all the same.
    """
    try:
        events = yaml.parse(text, Loader=yaml.CBaseLoader)
        data, root = _build(_Stream(events=events, file=file, faults=faults))
    except _UnreadableError as error:
        faults.add(Place(file=file, line=error.position[0], column=error.position[1]), error.text)
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        _note(file, mark, _explain(error, mark, text), faults)
        return None
    except UnicodeError:
        _note(file, None, "a character that is no text (retype the line)", faults)
        return None
    return Document(file=file, data=data, _root=root)


def _note(file: str, mark: yaml.Mark | None, text: str, faults: Faults) -> None:
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    faults.add(Place(file=file, line=line, column=column), text)


def _explain(error: yaml.YAMLError, mark: yaml.Mark | None, text: str) -> str:
    """Say what YAML could not read, and what most likely mends it."""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    lines = text.splitlines()
    here, column = (_line(lines, mark.line), mark.column) if mark is not None else ("", 0)
    before = _line(lines, mark.line - 1) if mark is not None else ""
    return f"YAML cannot read this: {problem} ({_hint(str(problem), here, before, column)})"


def _hint(problem: str, here: str, before: str, column: int) -> str:
    """Return the way out for a problem at a column of the line `here`, which follows `before`."""
    if "escape character" in problem:
        return "use single quotes, where backslashes stay as they are"
    if "\t" in here[: column + 1]:
        return "use spaces, not tabs"
    if "mapping values" in problem:
        return "quote the value, it has ': ' in it" if ": " in here[:column] else "check the indentation"
    if any(_PATH.search(line) for line in (here, before)):
        return "put the path in quotes"
    return "check the indentation and the quotes"


def _line(lines: list[str], number: int) -> str:
    """Return a line as text that RE2 takes, empty where there is none."""
    return lines[number].encode("utf-8", "replace").decode() if 0 <= number < len(lines) else ""


def _build(stream: _Stream) -> tuple[Json, _Spot]:
    """Return data and positions of the one document that the events describe."""
    for event in stream.events:
        if isinstance(event, yaml.StreamEndEvent):
            raise _UnreadableError(_position(event), "the file is empty (write at least 'version: 1')")
        if isinstance(event, yaml.DocumentStartEvent):
            break
    result = _value(next(stream.events), stream, 1)
    for event in stream.events:
        if isinstance(event, yaml.DocumentStartEvent):
            raise _UnreadableError(_position(event), "a second document begins here (use one file for each)")
    return result


def _value(event: yaml.Event, stream: _Stream, depth: int) -> tuple[Json, _Spot]:
    """Return the value that begins with an event."""
    _refuse_marks(event)
    position = _position(event)
    spot = _Spot(*position)
    if isinstance(event, yaml.ScalarEvent):
        return event.value, spot
    if depth > _MAX_DEPTH:
        raise _UnreadableError(position, f"more than {_MAX_DEPTH} levels deep (no mapping needs that)")
    if isinstance(event, yaml.SequenceStartEvent):
        return _sequence(stream, spot, depth), spot
    return _mapping(stream, spot, depth), spot


def _position(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    assert mark is not None, "libyaml marks every event"
    return mark.line + 1, mark.column + 1


def _refuse_marks(event: yaml.Event) -> None:
    """Refuse what would make the file mean something else than it shows: aliases, anchors, tags, NULs."""
    if isinstance(event, yaml.AliasEvent):
        raise _UnreadableError(
            _position(event), f"alias '*{event.anchor}' (write the value out, or put it in quotes)"
        )
    if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
        raise _UnreadableError(
            _position(event), f"anchor '&{event.anchor}' (remove it, or put the value in quotes)"
        )
    if isinstance(event, yaml.ScalarEvent) and "\0" in event.value:
        # No file's name and no ticket holds one, and not every ledger can keep a problem that repeats it.
        raise _UnreadableError(_position(event), "a NUL character (remove it)")
    if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
        raise _UnreadableError(_position(event), f"tag '{event.tag}' (remove it, or put the value in quotes)")


def _sequence(stream: _Stream, spot: _Spot, depth: int) -> list[Json]:
    values: list[Json] = []
    for event in stream.events:
        if isinstance(event, yaml.SequenceEndEvent):
            break
        value, below = _value(event, stream, depth + 1)
        spot.entries[len(values)] = below
        values.append(value)
    return values


def _mapping(stream: _Stream, spot: _Spot, depth: int) -> dict[str, Json]:
    values: dict[str, Json] = {}
    for event in stream.events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        _refuse_marks(event)
        position = _position(event)
        if not isinstance(event, yaml.ScalarEvent):
            raise _UnreadableError(position, "a key must be a text (put it in quotes)")
        key = event.value
        value, below = _value(next(stream.events), stream, depth + 1)
        if key in values:
            stream.note_twice(position, key, spot.keys[key])
            continue
        values[key], spot.entries[key], spot.keys[key] = value, below, position
    return values
