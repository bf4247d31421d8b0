"""The Engines of a portal: the list of them, and where each may be asked.

It must not trust an address that the list names: credentials go only to hosts that the settings fence in.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

import re2

from bridge.errors import Reason
from bridge.models import Engine, EngineUid, HttpRequest, HttpResponse, Json, NoResponse
from bridge.nexthink import LookupFailure, PortalConfig
from bridge.nexthink.wire import Unreadable, basic_authorization, clean, read_failure, read_json, uid

PATH: Final = "/api/configuration/v1/engines"

_CONNECTED: Final = "CONNECTED"
# The last label starts with a letter, so that no resolver takes a name for a number (127.1, 0x7f000001).
_HOST: Final = re2.compile(
    "([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?[.]){0,10}[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_LABEL: Final = re2.compile("[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def list_request(portal: PortalConfig) -> HttpRequest:
    """Ask the portal for its Engines; also the read-only probe of a portal."""
    return HttpRequest(
        method="GET",
        url=portal.base_url.rstrip("/") + PATH,
        headers=(("Accept", "application/json"), basic_authorization(portal.username, portal.password)),
    )


def read_list(response: HttpResponse | NoResponse) -> tuple[Engine, ...] | LookupFailure:
    """Read the list of Engines; one entry that cannot be read makes the list no answer (S10)."""
    failure = read_failure(response)
    if failure is not None:
        return failure
    assert isinstance(response, HttpResponse)
    content = read_json(response.body)
    if not isinstance(content, list):
        detail = content.detail if isinstance(content, Unreadable) else "JSON that is not a list of Engines"
        return LookupFailure(reason=Reason.ANSWER_UNREADABLE, detail=detail, status=response.status)
    engines: list[Engine] = []
    for entry in content:
        engine = _engine(entry)
        if engine is None:
            return LookupFailure(
                reason=Reason.ANSWER_UNREADABLE,
                detail="a list with an Engine without a database UID",
                status=response.status,
            )
        engines.append(engine)
    return tuple(engines)


def allowed(portal: PortalConfig, engine: Engine) -> bool:
    """Say whether queries, and the password with them, may go to an Engine."""
    return _address(portal, engine) is not None


def nxql_url(portal: PortalConfig, engine: Engine) -> str:
    """Return where an Engine is asked; raise ValueError where `allowed` says no."""
    url = _address(portal, engine)
    if url is None:
        raise ValueError("this Engine's address is not among the hosts that may be asked")
    return url


def _engine(entry: Json) -> Engine | None:
    if not isinstance(entry, dict):
        return None
    # List Engines spells the key databaseUID, Act databaseUid; both are understood.
    known = uid(entry.get("databaseUID")) or uid(entry.get("databaseUid"))
    if known is None:
        return None
    return Engine(
        uid=EngineUid(known),
        name=clean(entry.get("name"), longest=255) or known,
        address=clean(entry.get("address"), longest=255),
        connected=entry.get("status") == _CONNECTED,
    )


def _address(portal: PortalConfig, engine: Engine) -> str | None:
    """Fill the template with checked values, and check where the result really leads."""
    template = portal.nxql_url
    if template is None:
        return None
    url = template
    if "{address}" in template:
        literal = _host_literal(engine.address)
        if literal is None or not portal.engine_hosts:
            return None
        url = url.replace("{address}", literal)
    if "{name}" in template:
        if _LABEL.fullmatch(engine.name) is None:
            return None
        url = url.replace("{name}", engine.name)
    host = urlsplit(url).hostname or ""
    return url if not portal.engine_hosts or _is_inside(portal.engine_hosts, host) else None


def _host_literal(address: str) -> str | None:
    """Return an address as it stands in a URL: a name or an IP address and nothing else, else None."""
    ip = _ip(address)
    if isinstance(ip, IPv6Address):
        return f"[{ip.compressed}]" if ip.scope_id is None else None
    if ip is not None:
        return ip.compressed
    return address if len(address) <= 253 and _HOST.fullmatch(address) is not None else None


def _is_inside(rules: tuple[str, ...], host: str) -> bool:
    ip = _ip(host)
    if ip is not None:
        return any(_holds(rule, ip) for rule in rules)
    name = host.lower()
    return any(
        name.endswith(rule.lower()) if rule.startswith(".") else name == rule.lower() for rule in rules
    )


def _holds(rule: str, ip: IPv4Address | IPv6Address) -> bool:
    try:
        network = ip_network(rule)
    except ValueError:
        return False
    return ip in network


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
