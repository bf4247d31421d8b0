"""A mapping's entry in its file: its keys completed by the file's defaults, and where each stands.

It must not know what a key means.
"""

from dataclasses import dataclass

from bridge.mapping import names
from bridge.mapping.documents import Path as Spot
from bridge.mapping.paths import Path
from bridge.mapping.reading import Reading
from bridge.models import Json, SourceKind

_GROUPS = ("limits", "comment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`own` are the mapping's keys."""

    own: dict[str, Json]
    defaults: dict[str, Json]
    spot: Spot
    reading: Reading

    def get(self, key: str, otherwise: Json = None) -> Json:
        """Return a value of the mapping, else of the defaults."""
        return self.own.get(key, self.defaults.get(key, otherwise))

    def group(self, key: str) -> dict[str, Json]:
        """Return a group of keys; those that the mapping leaves out come from the defaults."""
        return {**self.defaults.get(key, {}), **self.own.get(key, {})}

    def at(self, *steps: str) -> Spot:
        """Return where a key stands: in the mapping, or in the defaults."""
        below: Json = self.own
        for step in steps if steps[0] in _GROUPS else steps[:1]:
            if step not in below:
                return ("defaults", *steps)
            below = below[step]
        return (*self.spot, *steps)

    def path(self, text: str, spot: Spot, kind: SourceKind | None, *, change: bool = False) -> Path | None:
        """Return the path at a place, or None after noting what is wrong with it."""
        path = self.reading.path(text, spot)
        if path is None:
            return None
        wrong = names.fault(path, kind, whole_change=change) or self._without_history(path)
        if wrong is not None:
            self.reading.fault(spot, wrong)
            return None
        return path

    def _without_history(self, path: Path) -> str | None:
        """Return why a change cannot be asked for, where the tickets do not tell of theirs."""
        if path.root != "change" or self.get("source") not in self.reading.context.without_history:
            return None
        return (
            f"'{path.text}' cannot be known: source '{self.get('source')}' tells of no history "
            "(ask how the ticket is now, as by ticket.status, or have TRUST or HISTORY of the source set)"
        )
