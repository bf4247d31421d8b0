"""NXQL as far as a device is looked up with it, by name, UID or last account: one shape, no other.

It must not evaluate any other query; an update statement is recognised so that it can be counted.
"""

from dataclasses import dataclass

import re2

from bridge.sandbox.nexthink.world import Logon, SimulatedDevice, SimulatedEngine, World

# The server adds closing parentheses that are missing, so they are not counted.
_QUERY = re2.compile(
    r"\s*\(\s*select\s*\(([a-z_ ]+)\)"
    r"\s*\(\s*from\s+device"
    r"\s*\(\s*where\s+device"
    r'\s*\(\s*eq\s+(name|device_uid|last_logged_on_user)\s*\(\s*(string|md5)\s+"?([^"()%*?\\\s]+)"?\s*\)\s*\)\s*\)\s*\)'
    r"\s*\(\s*limit\s+([0-9]{1,6})\s*\)\s*\)*\s*"
)
_SELECTABLE = ("device_uid", "name", "last_seen", "last_logged_on_user", "last_logon_time")
_PLATFORMS = {"windows", "mac_os", "mobile"}


class NxqlError(Exception):
    """A query that the Engine refuses; it answers an HTML page with this status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceQuery:
    fields: tuple[str, ...]
    by: str
    value: str
    limit: int


def check_options(formats: list[str], platforms: list[str]) -> None:
    """Refuse a request whose format or platforms the Engine does not know."""
    if formats != ["json"]:
        raise NxqlError(400, "Only format=json is simulated")
    if not platforms or not set(platforms) <= _PLATFORMS:
        raise NxqlError(400, "Unknown or missing platform")


def parse_query(text: str) -> DeviceQuery:
    """Read the one query shape that is simulated, or refuse."""
    match = _QUERY.fullmatch(text)
    if match is None:
        raise NxqlError(400, "Error while parsing the query")
    fields = tuple(match.group(1).split())
    if not fields or not set(fields) <= set(_SELECTABLE):
        raise NxqlError(400, "Unknown field")
    by, kind = match.group(2), match.group(3)
    if kind != ("md5" if by == "device_uid" else "string"):
        raise NxqlError(400, "Wrong type in comparison")
    if kind == "string" and f'"{match.group(4)}"' not in text:
        raise NxqlError(400, "A string must be quoted")
    return DeviceQuery(fields=fields, by=by, value=match.group(4), limit=int(match.group(5)))


def rows(
    query: DeviceQuery, engine: SimulatedEngine, world: World, logons: tuple[Logon, ...]
) -> list[dict[str, str]]:
    """Return what one Engine knows; `(string …)` is exact, case included."""
    known = [_fields(device, engine, logons) for device in world.known_by(engine)]
    found = [fields for fields in known if query.value == fields[query.by]]
    return [{field: fields[field] for field in query.fields} for fields in found[: query.limit]]


def _fields(device: SimulatedDevice, engine: SimulatedEngine, logons: tuple[Logon, ...]) -> dict[str, str]:
    """Return a device's fields on one Engine; of its logons there only the last one shows."""
    here = [each for each in logons if (each.device, each.engine) == (device.name, engine.name)]
    last = max(here, key=lambda logon: logon.at, default=None)
    return {
        "device_uid": device.uid,
        "name": device.name,
        "last_seen": dict(device.seen_by)[engine.name],
        "last_logged_on_user": last.user if last else "",
        "last_logon_time": last.at if last else "",
    }
