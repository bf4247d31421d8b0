"""Looking a device up on one Engine with NXQL: the question and the rows that answer it.

The same address takes updates, and how to escape text is not documented; so nothing but a checked name or
UID ever enters the fixed query text, and no answer is believed that does not name what was asked.
"""

from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

import re2

from bridge.errors import Reason
from bridge.models import DeviceUid, Engine, FoundDevice, HttpRequest, HttpResponse, Json, NoResponse
from bridge.nexthink import LookupFailure, NameCase, PortalConfig
from bridge.nexthink.engines import nxql_url
from bridge.nexthink.wire import Unreadable, basic_authorization, clean, read_failure, read_json, uid

# As many rows as this may be a cut answer, and then it is not known which devices bear a name.
ROW_LIMIT: Final = 100

_NAME: Final = re2.compile("[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_NAME_QUERY: Final = (
    '(select (device_uid name last_seen) (from device (where device (eq name (string "{name}")))) '
    f"(limit {ROW_LIMIT}))"
)
_PLATFORMS: Final = ("windows", "mac_os")


def is_askable(name: str) -> bool:
    """Say whether a device name may enter a query: it holds no quote, parenthesis, wildcard, % or space."""
    return name.isascii() and _NAME.fullmatch(name) is not None


def device_query(portal: PortalConfig, engine: Engine, name: str) -> HttpRequest:
    """Ask an Engine for the devices of one name, exactly; raise ValueError for a name that may not enter."""
    if not is_askable(name):
        raise ValueError("not a device name")
    written = {NameCase.UPPER: name.upper(), NameCase.LOWER: name.lower()}.get(portal.name_case, name)
    return query_request(portal, engine, _NAME_QUERY.replace("{name}", written))


def uid_query(portal: PortalConfig, engine: Engine, device: str) -> HttpRequest:
    """Ask an Engine for the device of one UID; raise ValueError for what is not 32 hex digits."""
    checked = uid(device)
    if checked is None:
        raise ValueError("not a device UID")
    return query_request(portal, engine, portal.nxql_uid_query.replace("{uid}", checked))


def read_devices(
    response: HttpResponse | NoResponse, *, name: str, engine: Engine
) -> tuple[FoundDevice, ...] | LookupFailure:
    """Return the devices of the name asked for; rows that bear another name are dropped."""
    return _read(response, engine, name=name)


def read_device(
    response: HttpResponse | NoResponse, *, device: str, engine: Engine
) -> tuple[FoundDevice, ...] | LookupFailure:
    """Return the device of the UID asked for, or an empty tuple; other rows are dropped."""
    return _read(response, engine, device=device)


def query_request(portal: PortalConfig, engine: Engine, query: str) -> HttpRequest:
    """Ask an Engine; whoever fills in a query has checked every value that enters it."""
    form = [("query", query), *(("platform", platform) for platform in _PLATFORMS), ("format", "json")]
    return HttpRequest(
        method="POST",
        url=nxql_url(portal, engine),
        headers=(
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Accept", "application/json"),
            basic_authorization(
                portal.nxql_username or portal.username,
                portal.password if portal.nxql_password is None else portal.nxql_password,
            ),
        ),
        body=urlencode(form).encode("ascii"),
    )


def _read(
    response: HttpResponse | NoResponse, engine: Engine, *, name: str | None = None, device: str | None = None
) -> tuple[FoundDevice, ...] | LookupFailure:
    rows = read_rows(response, engine)
    if isinstance(rows, LookupFailure):
        return rows
    found: list[FoundDevice] = []
    for row in rows:
        read = _row(row, engine)
        if read is None:
            return unreadable(engine, "a row without a device UID and name")
        if _is_asked(read, name=name, device=device):
            found.append(read)
    return tuple(found)


def read_rows(response: HttpResponse | NoResponse, engine: Engine) -> tuple[Json, ...] | LookupFailure:
    """Return the rows of an answer that is whole; one that may have been cut is no answer (S10)."""
    failure = read_failure(response)
    if failure is not None:
        return replace(failure, engine=engine.uid)
    assert isinstance(response, HttpResponse)
    content = read_json(response.body)
    if not isinstance(content, list):
        detail = content.detail if isinstance(content, Unreadable) else "JSON that is not a list of rows"
        return unreadable(engine, detail)
    if len(content) >= ROW_LIMIT:
        return unreadable(engine, f"{ROW_LIMIT} rows or more for one question, perhaps cut")
    return tuple(content)


def unreadable(engine: Engine, detail: str) -> LookupFailure:
    """Return that an Engine's answer says nothing that can be relied on."""
    return LookupFailure(reason=Reason.ANSWER_UNREADABLE, detail=detail, engine=engine.uid, status=200)


def _is_asked(row: FoundDevice, *, name: str | None, device: str | None) -> bool:
    if name is not None:
        return row.name.lower() == name.lower()
    assert device is not None
    return row.uid == device.lower()


def _row(row: Json, engine: Engine) -> FoundDevice | None:
    if not isinstance(row, dict):
        return None
    device = uid(row.get("device_uid"))
    name = clean(row.get("name"), longest=255)
    if device is None or not name:
        return None
    last_seen = row.get("last_seen")
    if isinstance(last_seen, int):
        last_seen = str(last_seen)
    return FoundDevice(
        uid=DeviceUid(device), name=name, last_seen=clean(last_seen, longest=64) or None, engine=engine.uid
    )
