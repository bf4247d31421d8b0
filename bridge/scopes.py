"""Checks what a person wants to pause: a typing mistake must not leave running what should stand still.

It must not pause anything.
"""

from collections.abc import Iterable

from bridge.connections import Connections
from bridge.errors import NotPossible
from bridge.mapping.language import MappingSet
from bridge.mapping.patterns import PatternError, compiled
from bridge.mapping.wording import nearest
from bridge.models import PauseScope


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
    else:
        known = _known(scope, connections, mapping_set)
        if known is not None and value not in known:
            raise NotPossible(f"there is no {scope} '{value}' ({nearest(value, known)})")


def _example(scope: PauseScope) -> str:
    return "'WS-PAR-.*'" if scope is PauseScope.DEVICES else "NAME"


def _require_pattern(text: str) -> None:
    try:
        compiled(text)
    except PatternError as error:
        raise NotPossible(f"'{text}' is no pattern of device names ({error})") from None


def _known(
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
