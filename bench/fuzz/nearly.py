"""Files that are nearly right: in one that fits its schema, a few places hold something else.

Bytes that are changed blindly seldom get past YAML and the schema; what stands behind those is reached so.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import yaml

# What stands in a mapping file beside what its schema lists, and what a careless hand writes there.
_WITHOUT_BLANKS = r"""
~ * 0 -1 1 01 1e9 1.5 true {} [] never approval required Approved
30m 1s 99999d 0h 2d main jira servicenow CORP corp.example.com
ticket.summary ticket.labels ticket.status ticket.requester.login ticket change fields
change.status.to change.status.from change.[*].to fields.a[].b fields.a[0] payload.x.y
fields.a[?b=='c'] actor.login fields. fields.a[ fields.a[?b==' nothing.a
.* WS-[A-Z]{3}-\d{5} (a+)+$ (((( (?=x) [ \ (?P<n>a) a{1000}{1000} (a){1001}
$ticket $ $$ ${person} $nobody repair-office notify-user office-repair-when-approved
00000000-0000-0000-0000-000000000001 samples/jira/approved.json ../../etc/passwd /dev/zero
"""
WORDS = (
    *_WITHOUT_BLANKS.split(),
    *("", " ", "a: b", "- a", "a\nb", 'fields."a b"', "$count $action"),
    *("9" * 41, "x" * 1_001, "\u202e", "\ud7ff"),
)
MOST_CHANGES = 3
DEEPEST = 6


@dataclass(frozen=True, slots=True)
class _Spot:
    """A place in a document: what holds it, under which key, and the schemas that it may fit."""

    holder: Any
    key: Any
    schemas: tuple[Any, ...]


def nearly_right(text: str, schema: Any, chance: Random) -> str | None:
    """Return a file with a few places changed; None where it cannot be read as YAML."""
    try:
        document = {"": yaml.load(text, Loader=yaml.CBaseLoader)}
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    for _ in range(chance.randint(1, MOST_CHANGES)):
        spots = list(_spots(document, "", (schema,)))
        _change(chance.choice(spots), spots, chance)
        document.setdefault("", {})
    try:
        return yaml.dump(document[""], Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _spots(holder: Any, key: Any, schemas: tuple[Any, ...]) -> Iterator[_Spot]:
    yield _Spot(holder, key, schemas)
    value = holder[key]
    if isinstance(value, dict):
        for below in value:
            yield from _spots(value, below, tuple(_under(schemas, below)))
    elif isinstance(value, list):
        entries = tuple(each["items"] for each in _alternatives(schemas) if "items" in each)
        for number in range(len(value)):
            yield from _spots(value, number, entries)


def _alternatives(schemas: tuple[Any, ...]) -> Iterator[Any]:
    for schema in schemas:
        yield schema
        yield from _alternatives(tuple(schema.get("oneOf", ())))


def _under(schemas: tuple[Any, ...], key: str) -> Iterator[Any]:
    """Yield what may stand under a key."""
    for schema in _alternatives(schemas):
        below = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
        if isinstance(below, dict):
            yield below


def _change(spot: _Spot, spots: list[_Spot], chance: Random) -> None:
    value = spot.holder[spot.key]
    match chance.randrange(8):
        case 0:
            del spot.holder[spot.key]
        case 1:
            spot.holder[spot.key] = chance.choice(WORDS)
        case 2:
            other = chance.choice(spots)
            # A copy, so that no document comes to hold itself.
            spot.holder[spot.key] = _copy(
                other.holder.get(other.key) if isinstance(other.holder, dict) else value
            )
        case 3 if isinstance(value, list) and value:
            value.append(_copy(chance.choice(value)))
        case 4 | 5 if isinstance(value, dict):
            known = {key for schema in _alternatives(spot.schemas) for key in schema.get("properties", ())}
            key = chance.choice(sorted(known) or WORDS)
            value[key] = _grown(tuple(_under(spot.schemas, key)), chance, 1)
        case _:
            spot.holder[spot.key] = _grown(spot.schemas, chance, 1)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(below) for key, below in value.items()}
    return [_copy(below) for below in value] if isinstance(value, list) else value


def _grown(schemas: tuple[Any, ...], chance: Random, depth: int) -> Any:
    """Return something that fits one of the schemas, as far as it is easily said."""
    fitting = [each for each in _alternatives(schemas) if "type" in each or "enum" in each]
    if not fitting:
        return chance.choice(WORDS)
    schema = chance.choice(fitting)
    if "enum" in schema:
        return chance.choice(schema["enum"])
    match schema["type"]:
        case "object":
            return _group(schema, chance, depth)
        case "array":
            few = range(chance.randint(0 if depth > DEEPEST else 1, 0 if depth > DEEPEST else 2))
            return [_grown((schema.get("items", {}),), chance, depth + 1) for _ in few]
        case "integer":
            ends = [schema.get("minimum", 0), schema.get("maximum", 100)]
            return str(chance.choice([*ends, ends[0] - 1, ends[1] + 1, chance.randint(*ends)]))
        case _:
            fits = [word for word in WORDS if re.search(schema.get("pattern", ""), word)]
            return chance.choice(fits or WORDS)


def _group(schema: Any, chance: Random, depth: int) -> Any:
    known, needed = schema.get("properties", {}), schema.get("required", [])
    optional = [key for key in known if key not in needed]
    more = [] if depth > DEEPEST else chance.sample(optional, chance.randint(0, min(3, len(optional))))
    free = schema.get("additionalProperties")
    if isinstance(free, dict) and depth <= DEEPEST:
        more.append(chance.choice(WORDS))
    return {key: _grown((known.get(key, free),), chance, depth + 1) for key in [*needed, *more]}
