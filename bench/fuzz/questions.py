"""NXQL: whatever a device, an account or an Engine is called, the question stays the one that was meant."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address, ip_network
from urllib.parse import parse_qs, urlsplit

from bridge.models import DeviceUser, Engine, EngineUid, HttpRequest, HttpResponse, PortalName
from bridge.nexthink import PortalConfig, nxql, users
from bridge.nexthink.engines import allowed, read_list

PORTAL = PortalConfig(
    name=PortalName("main"),
    base_url="https://portal.example.com",
    username="bridge",
    password="made-up",
    nxql_url="https://{address}:1671/2/query",
    engine_hosts=("192.0.2.0/24", ".example.com"),
)
ENGINE = Engine(uid=EngineUid("1" * 32), name="engine-1", address="192.0.2.7", connected=True)
DAYS = 30
SYNTAX = "\"'()%*\\ \t\r\n\x00"


def questions() -> Callable[[bytes], None]:
    """Texts between NULs: a device's name or UID, a login, a domain, an Engine's address and name."""

    def run(data: bytes) -> None:
        texts = data.decode("utf-8", "surrogateescape").split("\x00")
        device, login, domain, address, name = (texts + [""] * 5)[:5]
        user = DeviceUser(login=login, domain=domain or None, used_within=timedelta(days=DAYS))
        see_asked(lambda: nxql.device_query(PORTAL, ENGINE, device), nxql.device_query(PORTAL, ENGINE, "X"))
        see_asked(lambda: nxql.uid_query(PORTAL, ENGINE, device), nxql.uid_query(PORTAL, ENGINE, "0" * 32))
        see_asked(
            lambda: users.user_query(PORTAL, ENGINE, user),
            users.user_query(PORTAL, ENGINE, replace(user, login="X", domain=None)),
        )
        listed = [{"databaseUID": ENGINE.uid, "name": name, "address": address, "status": "CONNECTED"}]
        engines = read_list(HttpResponse(status=200, body=json.dumps(listed).encode()))
        assert isinstance(engines, tuple), engines
        see_inside(engines[0])

    return run


def see_asked(ask: Callable[[], HttpRequest], plain: HttpRequest) -> None:
    """See that a question differs from one with a plain name by the name alone, which has no syntax."""
    try:
        asked = ask()
    except ValueError:
        return
    assert (asked.method, asked.url) == (plain.method, plain.url)
    assert asked.headers == plain.headers
    form, plain_form = (parse_qs(each.body.decode("ascii"), strict_parsing=True) for each in (asked, plain))
    (query,), (plain_query,) = form.pop("query"), plain_form.pop("query")
    assert form == plain_form
    start, _, end = plain_query.partition('"X"') if '"X"' in plain_query else plain_query.partition("0" * 32)
    mark = '"' if '"X"' in plain_query else ""
    assert query.startswith(start + mark), query
    assert query.endswith(mark + end), query
    name = query[len(start + mark) : len(query) - len(mark + end)]
    assert name, query
    assert name.isascii(), query
    assert not set(name) & set(SYNTAX), query


def see_inside(engine: Engine) -> None:
    """See that credentials go nowhere but to a host that the settings allow, at the port and path set."""
    for template in ("https://{address}:1671/2/query", "https://{name}.example.com:1671/2/query"):
        portal = replace(PORTAL, nxql_url=template)
        if not allowed(portal, engine):
            continue
        url = urlsplit(nxql.device_query(portal, engine, "X").url)
        assert (url.scheme, url.port, url.path, url.query, url.fragment) == (
            "https",
            1671,
            "/2/query",
            "",
            "",
        )
        assert url.username is None, url
        assert url.password is None, url
        host = url.hostname or ""
        assert host.endswith(".example.com") or ip_address(host) in ip_network("192.0.2.0/24"), url


def questions_seeds() -> list[bytes]:
    """Return names as they are, and as somebody might try."""
    return [
        b"WS-ABC-12345\x00jdoe\x00EXAMPLE\x00192.0.2.7\x00engine-1",
        b"0123456789abcdef0123456789ABCDEF\x00j.doe\x00\x00a.example.com\x00e1",
        b'x"))) (update (set (string x\x00a@b\x00c@d\x00[::ffff:192.0.2.7]\x00a.b@c',
        b"192.0.2.7%en0\x00*\x00%\x003221225991\x00x/../y",
    ]
