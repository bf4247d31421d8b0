"""Read JSON that has one meaning only, whoever reads it.

It must not know what the JSON means, nor who is told that it cannot be read.
"""

import json
import math
from typing import Final, NoReturn

from bridge.models import Json

_MAX_DIGITS: Final = 30  # of one whole number; storage and later readers differ beyond 64 bits


def loads(text: str) -> Json:
    """Return the value of a JSON text.

    Raises ValueError for a key that stands twice in one object, a number that is not finite or longer than
    any reader agrees on, and for what is no JSON; RecursionError for what is nested too deep to be read.
    """
    value: Json = json.loads(
        text,
        object_pairs_hook=_unique,
        parse_constant=_no_constant,
        parse_float=_finite,
        parse_int=_bounded,
    )
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _bounded(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError("too many digits")
    return int(digits)
