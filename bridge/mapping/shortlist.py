"""Chooses, of many mappings for a kind of event, those that may fire: by one equality that each asks for.

It must not leave out a mapping that could fire; which of the chosen fires is for `evaluate`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.mapping.conditions import Ask, FieldCondition
from bridge.mapping.paths import Missing, Path, View, as_text
from bridge.mapping.rules import MappingRule

_EQUALITIES: Final = frozenset({Ask.EQUALS, Ask.IN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortlist:
    """Mappings in their order; `_texts` has for each path the places of those that ask for a text there.

    A place is a mapping's number in `rules`; `_always` are those that ask for no equality.
    """

    rules: tuple[MappingRule, ...]
    _always: tuple[int, ...] = field(repr=False)
    _texts: tuple[tuple[Path, Mapping[str, tuple[int, ...]]], ...] = field(repr=False)

    def of(self, view: View, *, besides: int) -> tuple[MappingRule, ...]:
        """Return the mappings that may fire for an event, and the first `besides` of all, in their order."""
        places = {*self._always, *range(min(besides, len(self.rules)))}
        for path, by_text in self._texts:
            value = view.value(path)
            text = None if isinstance(value, Missing | tuple) else as_text(value)
            if text is not None:
                places.update(by_text.get(text, ()))
        return tuple(self.rules[place] for place in sorted(places))


def shortlist(rules: Iterable[MappingRule]) -> Shortlist:
    """Index mappings, each by that of its equalities whose path has the most texts to tell them apart."""
    kept = tuple(rules)
    asked = [
        [one for one in rule.when if isinstance(one, FieldCondition) and one.test in _EQUALITIES]
        for rule in kept
    ]
    known = {(one.path.text, text) for equalities in asked for one in equalities for text in one.texts}
    common = Counter(name for name, _ in known)
    always: list[int] = []
    paths: dict[str, Path] = {}
    texts: dict[str, dict[str, list[int]]] = {}
    for place, equalities in enumerate(asked):
        if not equalities:
            always.append(place)
            continue
        chosen = max(equalities, key=lambda one: common[one.path.text])
        paths[chosen.path.text] = chosen.path
        for text in set(chosen.texts):
            texts.setdefault(chosen.path.text, {}).setdefault(text, []).append(place)
    return Shortlist(
        rules=kept,
        _always=tuple(always),
        _texts=tuple(
            (paths[name], {text: tuple(places) for text, places in by_text.items()})
            for name, by_text in texts.items()
        ),
    )
