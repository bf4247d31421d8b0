"""The reference page of the mapping language, made from the JSON Schemas so that it cannot differ from them.

It must not say anything that the schemas do not.
"""

import json
from collections.abc import Iterator

from bridge.mapping import schemas
from bridge.models import Json

_HEAD = """# Mapping reference

Every key of the catalogue and of the mapping files. This page is made from the JSON Schemas that the bridge
checks files with; `bridge schema --write DIR` puts them beside your files, where editors use them. The
[mapping guide](mapping-guide.md) explains how to go about it.
"""
_TITLES = ((schemas.ACTIONS, "The catalogue: `actions.yaml`"), (schemas.MAPPINGS, "Mapping files"))
_KINDS = {
    "object": "group",
    "array": "list",
    "string": "text",
    "integer": "whole number",
    "boolean": "true or false",
}


def markdown() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, *(line for name, title in _TITLES for line in _chapter(name, title))])


def _chapter(name: str, title: str) -> Iterator[str]:
    schema = json.loads(schemas.text(name))
    yield f"## {title}\n"
    yield f"{schema['description']}\n"
    pending: list[tuple[str, Json]] = [("", schema)]
    done: set[str] = set()
    while pending:
        path, group = pending.pop(0)
        if path:
            yield f"### `{path}`\n"
            yield f"{group['description']}\n"
        yield "| key | value | meaning |"
        yield "|---|---|---|"
        for key, entry in group["properties"].items():
            resolved = _resolved(entry, schema)
            needed = " **Required.**" if key in group.get("required", ()) else ""
            yield f"| `{key}` | {_kind(resolved, schema)} | {resolved['description']}{needed} |"
            pending += _groups_below(f"{path}.{key}" if path else key, entry, schema, done)
        yield ""


def _resolved(entry: Json, schema: Json) -> Json:
    """Return an entry with what it refers to; its own words come first."""
    if "$ref" not in entry:
        return entry
    found = schema["$defs"][entry["$ref"].removeprefix("#/$defs/")]
    return {**_resolved(found, schema), **entry}


def _groups_below(path: str, entry: Json, schema: Json, done: set[str]) -> list[tuple[str, Json]]:
    """Return the groups of keys that a key leads to, each shared one only once."""
    resolved = _resolved(entry, schema)
    name = entry.get("$ref", path)
    if "properties" in resolved:
        if name in done:
            return []
        done.add(name)
        return [(path, resolved)]
    below = resolved.get("items"), resolved.get("additionalProperties")
    inner = next((one for one in below if isinstance(one, dict)), None)
    if inner is None:
        # Of several forms of a value one may be a group.
        groups = [one for one in resolved.get("oneOf", ()) if "properties" in one]
        if not groups or name in done:
            return []
        done.add(name)
        return [(path, group) for group in groups]
    suffix = "[]" if "items" in resolved else ".NAME"
    return _groups_below(path + suffix, inner, schema, done)


def _kind(entry: Json, schema: Json) -> str:
    if "oneOf" in entry and "type" not in entry:
        return " or ".join(_kind(_resolved(one, schema), schema) for one in entry["oneOf"])
    kind = entry["type"][0] if isinstance(entry["type"], list) else entry["type"]
    words = [" · ".join(f"`{value}`" for value in entry["enum"])] if "enum" in entry else [_KINDS[kind]]
    if "minimum" in entry and "maximum" in entry:
        low, high = entry["minimum"], entry["maximum"]
        words.append(f"{low}" if low == high else f"{low} to {high}")
    if "items" in entry and "enum" in entry["items"]:
        words.append("of " + ", ".join(f"`{value}`" for value in entry["items"]["enum"]))
    if "default" in entry:
        value = entry["default"]
        shown = str(value).lower() if isinstance(value, bool) else value
        words.append(f"(default `{shown}`)")
    return " ".join(words)
