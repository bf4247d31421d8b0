"""Checks what a person wants to pause: a typing mistake must not leave running what should stand still.

It must not pause anything.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import re2

from bridge.connections import Connections
from bridge.errors import NotPossible
from bridge.mapping.language import MappingSet
from bridge.mapping.patterns import PatternError, compiled
from bridge.mapping.wording import nearest
from bridge.models import Pause, PauseScope

# The longest pause that ends by itself.
LONGEST: Final = timedelta(days=365)
_ESCAPED_OR_NOT: Final = re2.compile(r"(\\.)|[^\\]+")


def require_known(
    scope: PauseScope, value: str, *, connections: Connections, mapping_set: MappingSet | None
) -> None:
    """Raise NotPossible where a scope has no such value; the message names the nearest one.

    `mapping_set` None means that no set can be looked at; then mappings and actions are taken as they are
    written: whoever has to stop something in a hurry must be able to.
    """
    if scope is PauseScope.EVERYTHING:
        if value:
            raise NotPossible(f"'everything' has no name beside it (write `bridge pause {scope}`)")
    elif not value.strip():
        raise NotPossible(f"say which {scope} (write `bridge pause {scope} {_example(scope)}`)")
    elif scope is PauseScope.DEVICES:
        _require_pattern(value)
    elif (wrong := unknown(scope, value, connections=connections, mapping_set=mapping_set)) is not None:
        raise NotPossible(wrong)


def unknown(
    scope: PauseScope, value: str, *, connections: Connections, mapping_set: MappingSet | None
) -> str | None:
    """Say that a scope has no such value and which is the nearest; None where it has, or nobody knows."""
    names = known(scope, connections, mapping_set)
    if names is None or value in names:
        return None
    return f"there is no {scope} '{value}' ({nearest(value, names)})"


def among(standing: Iterable[Pause], scope: PauseScope, value: str) -> Pause | None:
    """Return the pause that a person means: the one of exactly that value, else one in another case.

    The case counts only where it counts for sending, too: Engines and devices are matched without it.
    """
    of_scope = [one for one in standing if one.scope is scope]
    exact = next((one for one in of_scope if one.value == value), None)
    if exact is not None or scope not in (PauseScope.ENGINE, PauseScope.DEVICES):
        return exact
    wanted = _folded(value)
    alike = [one for one in of_scope if _folded(one.value) == wanted]
    return alike[0] if len(alike) == 1 else None


def _folded(pattern: str) -> str:
    """Return a pattern without the case of its letters, but for escapes: \\d and \\D are opposites."""
    folded: str = _ESCAPED_OR_NOT.sub(lambda found: found[1] or found[0].casefold(), pattern)
    return folded


def _example(scope: PauseScope) -> str:
    return "'WS-PAR-.*'" if scope is PauseScope.DEVICES else "NAME"


def _require_pattern(text: str) -> None:
    try:
        compiled(text)
    except PatternError as error:
        raise NotPossible(f"'{text}' is no pattern of device names ({error})") from None


def known(
    scope: PauseScope, connections: Connections, mapping_set: MappingSet | None
) -> frozenset[str] | None:
    """Return the names of a scope; None where they are not known. Engines are known to Nexthink only."""
    names: Iterable[str] | None = None
    if scope is PauseScope.SOURCE:
        names = connections.sources
    elif scope is PauseScope.PORTAL:
        names = connections.portals
    elif mapping_set is not None and scope is PauseScope.MAPPING:
        names = (rule.id for rule in mapping_set.mappings)
    elif mapping_set is not None and scope is PauseScope.ACTION:
        names = mapping_set.catalogue.actions
    return None if names is None else frozenset(names)
