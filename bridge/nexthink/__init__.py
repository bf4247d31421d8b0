"""What the bridge asks of a Nexthink portal and its Engines: values in, HTTP values out, and back.

Nothing in this package may send, read a clock or a file, or know a ticket system.
"""

from dataclasses import dataclass, field
from datetime import UTC, timedelta, tzinfo
from enum import StrEnum
from typing import Final

from bridge.errors import Reason
from bridge.models import EngineUid, PortalName

# Which type NXQL gives a device_uid in a condition is not documented; public clients write an MD5 value so.
DEFAULT_UID_QUERY: Final = (
    "(select (device_uid name last_seen) (from device (where device (eq device_uid (md5 {uid})))) "
    "(limit 100))"
)
# Public code reads these two fields of a device, one row for each device. That a condition may stand on the
# first, and that it spells an account as a user's name is documented (login@DOMAIN), is not settled.
DEFAULT_USER_QUERY: Final = (
    "(select (device_uid name last_logged_on_user last_logon_time) "
    '(from device (where device (eq last_logged_on_user (string "{user}")))) (limit 100))'
)
DEFAULT_USER_FIELDS: Final = ("device_uid", "name", "last_logged_on_user", "last_logon_time")


class ParamsEncoding(StrEnum):
    """How parameters are written on the wire; the contract says "list" and shows no example."""

    OBJECT = "object"
    LIST = "list"


class NameCase(StrEnum):
    """How a device name is written in a query; whether NXQL compares with case is not documented."""

    AS_IS = "as_is"
    UPPER = "upper"
    LOWER = "lower"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalConfig:
    """One portal, by the lower-case names of its settings.

    `nxql_url` is a template that may hold {address} and {name} of an Engine; None: nothing can be looked up.
    `engine_hosts` are names, suffixes (`.example.com`) or networks. `max_devices_per_call` None: never split.
    `nxql_uid_query` holds {uid}, which is filled with 32 hex digits and nothing else. `nxql_user_query` holds
    {user}, a checked account, and may hold {days}, a number; `nxql_user_fields` are its answer's names for
    device UID, device name, account and last use. `nxql_time_zone` is that of times that an Engine gives
    without one.
    """

    name: PortalName
    base_url: str
    username: str
    password: str = field(repr=False)
    params_encoding: ParamsEncoding = ParamsEncoding.OBJECT
    nxql_url: str | None = None
    engine_hosts: tuple[str, ...] = ()
    nxql_username: str | None = None
    nxql_password: str | None = field(default=None, repr=False)
    nxql_uid_query: str = DEFAULT_UID_QUERY
    nxql_user_query: str = DEFAULT_USER_QUERY
    nxql_user_fields: tuple[str, ...] = DEFAULT_USER_FIELDS
    nxql_time_zone: tzinfo = UTC
    name_case: NameCase = NameCase.AS_IS
    max_devices_per_call: int | None = None
    proxy_503_not_sent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupFailure:
    """A read that did not say what was asked; it may be repeated. `engine` None: the portal's own list."""

    reason: Reason
    detail: str
    engine: EngineUid | None = None
    status: int | None = None
    retry_after: timedelta | None = None
