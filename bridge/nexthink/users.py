"""The devices of an account, as one Engine knows them: the question, and the rows that answer it.

It must not let anything but a checked account and a number into a query, whatever its template is, nor
believe a row that names another account or a use that is too long ago.
"""

import math
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

import re2

from bridge.models import (
    DeviceUid,
    DeviceUser,
    Engine,
    FoundDevice,
    HttpRequest,
    HttpResponse,
    Json,
    NoResponse,
)
from bridge.nexthink import LookupFailure, PortalConfig
from bridge.nexthink.nxql import query_request, read_rows, unreadable
from bridge.nexthink.wire import clean, uid

_LOGIN: Final = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_DOMAIN: Final = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_ACCOUNT: Final = re2.compile(f"{_LOGIN}(@{_DOMAIN})?")
# An Engine's clock may be ahead of ours, or its times in another zone than was set; beyond this neither is.
_AHEAD: Final = timedelta(days=1)


def account_of(user: DeviceUser) -> str | None:
    """Return an account as Nexthink names it, `login@DOMAIN`; None where it may not enter a query."""
    if user.login is None:
        return None
    account = user.login if user.domain is None else f"{user.login}@{user.domain}"
    return account if account.isascii() and _ACCOUNT.fullmatch(account) is not None else None


def user_query(portal: PortalConfig, engine: Engine, user: DeviceUser) -> HttpRequest:
    """Ask an Engine for the devices of an account; raise ValueError for one that may not enter."""
    account = account_of(user)
    if account is None:
        raise ValueError("not an account")
    # Whole days, rounded up: the query narrows what is sent back, the rows decide.
    days = math.ceil(user.used_within / timedelta(days=1))
    query = portal.nxql_user_query.replace("{days}", str(days)).replace("{user}", account)
    return query_request(portal, engine, query)


def read_used_devices(
    portal: PortalConfig,
    response: HttpResponse | NoResponse,
    *,
    user: DeviceUser,
    engine: Engine,
    now: datetime,
) -> tuple[FoundDevice, ...] | LookupFailure:
    """Return the devices that an account used lately; rows of other accounts and older uses are dropped.

    A row without one of the four fields, or whose time cannot be read, makes the answer none at all (S10).
    """
    rows = read_rows(response, engine)
    if isinstance(rows, LookupFailure):
        return rows
    account = account_of(user) or ""
    found: list[FoundDevice] = []
    for row in rows:
        values = _values(portal, row)
        device, name = (uid(values[0]), clean(values[1], longest=255)) if values else (None, "")
        if values is None or device is None or not name:
            return unreadable(engine, f"a row without {', '.join(portal.nxql_user_fields)}")
        if clean(values[2], longest=255).casefold() != account.casefold() or values[3] in (None, ""):
            continue
        used = _moment(values[3], portal.nxql_time_zone)
        if used is None or used > now + _AHEAD:
            return unreadable(
                engine, f"a {portal.nxql_user_fields[3]} that cannot be read, or is in the future"
            )
        if used >= now - user.used_within:
            found.append(
                FoundDevice(
                    uid=DeviceUid(device),
                    name=name,
                    last_seen=used.astimezone(UTC).isoformat(),
                    engine=engine.uid,
                    user=account,
                )
            )
    return tuple(found)


def _values(portal: PortalConfig, row: Json) -> tuple[Json, ...] | None:
    if not isinstance(row, dict) or not all(name in row for name in portal.nxql_user_fields):
        return None
    return tuple(row[name] for name in portal.nxql_user_fields)


def _moment(value: Json, zone: tzinfo) -> datetime | None:
    """Read an Engine's time, as text or as seconds since 1970; one without a zone is in the portal's."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else clean(value, longest=64)
    try:
        if text.isascii() and text.isdigit():
            return datetime.fromtimestamp(int(text), UTC)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
