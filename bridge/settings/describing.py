"""Says what settings there are and which are in force: for `bridge config`, the docs and .env.example.

It must not hold a description of its own; those stand at the fields. It never shows a secret.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bridge.settings import combinations
from bridge.settings.model import Settings
from bridge.settings.portals import PortalSettings
from bridge.settings.sources import SourceSettings

PREFIX = "BRIDGE_"
# In the order of the models' fields in `Settings`.
GROUPS = ("SOURCES", "PORTALS")

_MASK = "********"
_PLAIN_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "on, off"),
    (int, "whole number"),
    (float, "number"),
    (timedelta, "duration"),
    (Path, "path"),
    (SecretStr, "text"),
    (str, "text"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDoc:
    """One setting: its variable (with <NAME> where a person chooses), and its default as it is typed."""

    name: str
    type: str
    default: str | None
    required: bool
    secret: bool
    description: str


def describe() -> tuple[SettingDoc, ...]:
    """Return every setting: the bridge's own first, then a source's, then a portal's."""
    return (
        *_docs(PREFIX, Settings),
        *_docs(f"{PREFIX}SOURCES__<NAME>__", SourceSettings),
        *_docs(f"{PREFIX}PORTALS__<NAME>__", PortalSettings),
    )


def in_force(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return every setting that has a value and an effect, with it as text; secrets are masked."""
    return (
        *_values(PREFIX, settings),
        *(
            pair
            for source in settings.sources
            for pair in _values(
                f"{PREFIX}SOURCES__{source.name.upper()}__",
                source,
                chosen={"kind": source.kind, "verify": source.verify},
            )
        ),
        *(
            pair
            for portal in settings.portals
            for pair in _values(f"{PREFIX}PORTALS__{portal.name.upper()}__", portal)
        ),
    )


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    # What has no description is not typed by a person: the groups and the names of their members.
    return ((name, field) for name, field in model.model_fields.items() if field.description)


def _docs(prefix: str, model: type[BaseModel]) -> Iterator[SettingDoc]:
    for name, field in _fields(model):
        yield SettingDoc(
            name=prefix + name.upper(),
            type=_type(field.annotation),
            default=None if field.is_required() else _typed(field.default) or None,
            required=field.is_required(),
            secret=_is_secret(field.annotation),
            description=str(field.description),
        )


def _values(
    prefix: str, model: BaseModel, chosen: combinations.Given = MappingProxyType({})
) -> Iterator[tuple[str, str]]:
    for name, field in _fields(type(model)):
        value = getattr(model, name)
        if value is None or value == () or not combinations.has_effect(name, chosen):
            continue
        if name == "database_url":
            shown = _without_password(value.get_secret_value())
        else:
            shown = _MASK if _is_secret(field.annotation) else _typed(value)
        yield prefix + name.upper(), shown


def _alternatives(annotation: Any) -> Iterator[Any]:
    """Yield what an annotation may be, without None and without what only checks."""
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    if get_origin(annotation) in {tuple, Literal} or not arguments:
        yield annotation
    else:
        yield from (leaf for argument in arguments for leaf in _alternatives(argument))


def _is_secret(annotation: Any) -> bool:
    return any(
        leaf is SecretStr or (get_origin(leaf) is tuple and SecretStr in get_args(leaf))
        for leaf in _alternatives(annotation)
    )


def _type(annotation: Any) -> str:
    leaf = next(_alternatives(annotation))
    if get_origin(leaf) is tuple:
        return "JSON list" if _is_secret(leaf) else "words, separated by commas"
    if get_origin(leaf) is Literal:
        return ", ".join(str(value) for value in get_args(leaf))
    if issubclass(leaf, StrEnum):
        return ", ".join(leaf)
    return next(words for kind, words in _PLAIN_TYPES if issubclass(leaf, kind))


def _typed(value: Any) -> str:
    """Return a value as a person would type it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, timedelta):
        return _duration(int(value.total_seconds()))
    if isinstance(value, tuple):
        return ",".join(_typed(part) for part in value)
    return "" if value is None else str(value)


def _duration(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0 and seconds > size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _without_password(url: str) -> str:
    """Return a database address without user, password and options, any of which may be secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return _MASK
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
