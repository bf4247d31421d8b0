"""Read JSON of unknown shape without ever raising: what is not as expected counts as absent.

It must not know any ticket system's field names.
"""

from datetime import UTC, datetime
from typing import Final

from bridge.models import Json

_LAST_SECOND: Final = 253_402_300_799  # of the year 9999


def members(value: Json) -> dict[str, Json]:
    """Return an object, or an empty one."""
    return value if isinstance(value, dict) else {}


def entries(value: Json) -> list[Json]:
    """Return a list, or an empty one."""
    return value if isinstance(value, list) else []


def text(value: Json) -> str | None:
    """Return a text that is not blank; a whole number counts as its digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def moment_of_milliseconds(value: Json) -> datetime | None:
    """Return the time of an epoch value in milliseconds, where it is one."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LAST_SECOND * 1000:
        return None
    seconds, milliseconds = divmod(value, 1000)
    return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=milliseconds * 1000)


def moment_of_text(value: Json) -> datetime | None:
    """Return the time that an ISO 8601 text with its offset tells, where it is one."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at.astimezone(UTC) if at is not None and at.tzinfo is not None else None
