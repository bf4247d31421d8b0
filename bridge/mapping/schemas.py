"""Checks documents against the shipped JSON Schemas and says in one sentence each what does not fit.

It must not hold rules of its own: what is right stands in the schema files, which editors read as well.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from typing import Any

import jsonschema
import re2
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator

from bridge.mapping.documents import Document, Faults, Path
from bridge.mapping.wording import nearest, shortened
from bridge.models import Json

ACTIONS = "actions.schema.json"
MAPPINGS = "mappings.schema.json"
PEOPLE = "people.schema.json"

# jsonschema types every attribute of an error as perhaps unset; those that it raises are complete.
_Error = Any

_INTEGER = re2.compile(r"-?[0-9]{1,40}")
_WORD = re2.compile(r"[A-Za-z0-9_-]{1,40}")
_NUMBER = re2.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")

_PLAIN_WORDS = {
    "object": "a group of keys",
    "array": "a list",
    "string": "a text (put it in quotes)",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


def text(name: str) -> str:
    """Return a shipped schema file, such as MAPPINGS, as it is written beside an admin's files."""
    return resources.files("bridge.mapping").joinpath(name).read_text(encoding="utf-8")


def validator(name: str) -> Validator:
    """Return the validator of a shipped schema; numbers and truth values may be texts, as YAML gives them."""
    schema = json.loads(text(name))
    _write_out(schema, schema["$defs"])
    checked: Validator = _TextValidator(schema)
    return checked


def _write_out(node: Json, definitions: Json) -> None:
    """Put in place of every reference what it refers to, since looking that up costs half of a check."""
    if not isinstance(node, dict | list):
        return
    for below in list(node.values() if isinstance(node, dict) else node):
        _write_out(below, definitions)
    if isinstance(node, dict) and "$ref" in node:
        # A definition may come to hold itself, as a condition does.
        node |= definitions[node.pop("$ref").removeprefix("#/$defs/")]


def check(document: Document, schema: Validator, faults: Faults) -> frozenset[Path]:
    """Note everything in a document that does not fit its schema; return the paths of what does not."""
    errors = list(schema.iter_errors(document.data))
    for error in _telling(errors):
        _note(error, document, faults)
    return frozenset(tuple(error.absolute_path) for error in errors)


def _is_text(value: Any, pattern: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _minimum(validator: Any, limit: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    """Compare a number that is a text; what is no number is left to `type`."""
    del validator, schema
    if _is_text(value, _INTEGER) and int(value) < limit:
        yield ValidationError(f"must be {limit} or more, not {value}")


def _maximum(validator: Any, limit: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    """Compare a number that is a text; what is no number is left to `type`."""
    del validator, schema
    if _is_text(value, _INTEGER) and int(value) > limit:
        yield ValidationError(f"must be {limit} or less, not {value}")


def _telling(errors: Iterable[_Error]) -> list[_Error]:
    """Leave out what only follows from an unknown key, and look into alternatives for the one meant."""
    found = [inner for error in errors for inner in _opened(error)]
    misnamed = {tuple(error.absolute_path) for error in found if error.validator == "additionalProperties"}
    follows = {"oneOf", "minProperties", "maxProperties", "required", "dependentRequired"}
    return [
        error
        for error in found
        if error.validator not in follows or tuple(error.absolute_path) not in misnamed
    ]


def _opened(error: _Error) -> list[_Error]:
    """Return what is wrong in the one alternative whose type fits, or the error itself."""
    if error.validator != "oneOf" or not error.context:
        return [error]
    branches: dict[Any, list[_Error]] = {}
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    fitting = [branch for branch in branches.values() if not any(_wrong_kind(inner) for inner in branch)]
    if len(fitting) != 1 or len(branches) == 1:
        return [error]
    return [opened for inner in fitting[0] for opened in _opened(inner)]


def _wrong_kind(error: _Error) -> bool:
    """Say whether an alternative was not meant at all, being of another type."""
    return not error.path and error.validator == "type"


def _note(error: _Error, document: Document, faults: Faults) -> None:
    path: Path = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        for key in error.instance:
            if key not in known:
                place = document.key_place((*path, key))
                faults.add(place, f"unknown key '{key}' ({nearest(key, known)})")
        return
    if "propertyNames" in error.absolute_schema_path:
        faults.add(document.key_place((*path, error.instance)), _sentence(error, path))
        return
    faults.add(document.place(path), _sentence(error, path))


def _sentence(error: _Error, path: Path) -> str:
    """Return the problem in words of the file, not of the schema."""
    subject = f"'{path[-1]}'" if path and isinstance(path[-1], str) else "this entry"
    if error.validator in _SENTENCES and not _explained(error):
        return _SENTENCES[error.validator](error, subject)
    if isinstance(error.instance, str) and error.validator == "pattern":
        return f"'{shortened(error.instance)}' {error.schema.get('x-problem', 'has not the right form')}"
    said: str = error.schema.get("x-problem", error.message)
    return said if said.startswith("'") else f"{subject} {said}"


def _explained(error: _Error) -> bool:
    """Say whether the schema's own sentence is about this error and not about its neighbours."""
    own = {"oneOf", "not", "minProperties", "maxProperties", "pattern", "minimum", "maximum"}
    return "x-problem" in error.schema and error.validator in own


def _required(error: _Error, subject: str) -> str:
    missing = [key for key in error.validator_value if key not in error.instance]
    return f"{subject} lacks the key " + " and ".join(f"'{key}'" for key in missing) + " (add it)"


def _depends(error: _Error, subject: str) -> str:
    for key, needed in error.validator_value.items():
        missing = [name for name in needed if name not in error.instance]
        if key in error.instance and missing:
            return f"'{key}' needs '{missing[0]}' beside it (add '{missing[0]}' or remove '{key}')"
    return f"{subject} {error.message}"


def _enumerated(error: _Error, subject: str) -> str:
    found = str(error.instance)
    return f"{subject} cannot be '{shortened(found)}' ({nearest(found, error.validator_value)})"


def _type(error: _Error, subject: str) -> str:
    wanted: Json = error.validator_value
    names = wanted if isinstance(wanted, list) else [wanted]
    found = error.instance
    plain = _PLAIN_WORDS[names[0]]
    way_out = _as_list(found, error.schema) if names[0] == "array" else ""
    if "x-way-out" in error.schema:
        # It takes the place of the usual one.
        plain, way_out = plain.partition(" (")[0], f" ({error.schema['x-way-out']})"
    return f"{subject} must be {plain}, but is {_kind(found)}{way_out}"


def _as_list(found: Json, schema: Json) -> str:
    allowed = schema.get("items", {}).get("enum")
    if allowed and found not in allowed:
        return f" (write a list of {', '.join(allowed)})"
    return f" (write [{found}])" if _is_text(found, _WORD) else ""


def _kind(value: Json) -> str:
    if isinstance(value, str):
        return f"'{shortened(value)}'" if value else "empty"
    return "a list" if isinstance(value, list) else "a group of keys"


_SENTENCES: dict[str, Callable[[_Error, str], str]] = {
    "required": _required,
    "dependentRequired": _depends,
    "enum": _enumerated,
    "type": _type,
    "minLength": lambda _error, subject: f"{subject} is empty (write a value, or remove the key)",
    "maxLength": lambda error, subject: (
        f"{subject} is longer than {error.validator_value} characters (shorten it)"
    ),
    "minItems": lambda _error, subject: f"{subject} is an empty list (add an entry)",
    "minProperties": lambda _error, subject: f"{subject} is empty (add an entry)",
    "uniqueItems": lambda _error, subject: f"{subject} has the same entry twice (remove one)",
    "minimum": lambda error, subject: f"{subject} {error.message}",
    "maximum": lambda error, subject: f"{subject} {error.message}",
}

_DRAFT = jsonschema.Draft202012Validator
# Making the class takes longer than checking a file. Its `extend` is not typed.
_TextValidator: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    _DRAFT,
    {"minimum": _minimum, "maximum": _maximum},
    type_checker=_DRAFT.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _checker, value: _is_text(value, _INTEGER),
            "number": lambda _checker, value: _is_text(value, _NUMBER),
            "boolean": lambda _checker, value: value in ("true", "false"),  # a list has no hash
        }
    ),
)
