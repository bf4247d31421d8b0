"""What can be tried at a Nexthink portal: its list of Engines, and a harmless query on each.

It must not run a remote action: the right to do so shows only when one is sent.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from bridge.connections import Portal
from bridge.doctoring.findings import Finding, bad, clock, failure, good, warning
from bridge.mapping.catalogue import Action
from bridge.models import Engine, HttpResponse
from bridge.nexthink import LookupFailure, engines, nxql

ANSWER_SECONDS = 15.0
AT_ONCE = 8
# A name that no device bears, so the answer is empty wherever the query works.
NOBODYS_NAME = "bridge-doctor-no-such-device"


def examine(
    portal: Portal, actions: Mapping[str, Action], *, now: Callable[[], datetime]
) -> Iterator[Finding]:
    """Yield what is found at the portal, then at each connected Engine."""
    config = portal.config
    subject, settings = f"portal {config.name}", f"BRIDGE_PORTALS__{config.name.upper()}__"
    response = portal.transport.send(engines.list_request(config), deadline=ANSWER_SECONDS)
    listed = engines.read_list(response)
    if isinstance(listed, LookupFailure):
        yield failure(subject, listed.reason, f"its Engines: {listed.detail}", settings=settings)
        return
    connected = tuple(engine for engine in listed if engine.connected)
    yield _connected(subject, listed, connected)
    if isinstance(response, HttpResponse) and (skew := clock(subject, response, now)) is not None:
        yield skew
    yield from _named_engines(portal, listed, actions)
    if config.nxql_url is None:
        yield warning(
            subject,
            "devices cannot be looked up by name, nor fences be held",
            f"set {settings}NXQL_URL, unless tickets give UIDs and actions have no fence",
        )
        return
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        yield from pool.map(lambda engine: _query(portal, engine, settings), connected)
    yield good(subject, "not tried: whether remote actions may be run, as that cannot be asked")


def _connected(subject: str, listed: tuple[Engine, ...], connected: tuple[Engine, ...]) -> Finding:
    detail = f"{len(connected)} of {len(listed)} Engines are connected"
    away = ", ".join(engine.name for engine in listed if not engine.connected)
    if not connected:
        return bad(subject, detail, "ask whoever runs Nexthink why")
    if away:
        return warning(subject, f"{detail}, not {away}", "devices that only these know are not found")
    return good(subject, detail)


def _named_engines(
    portal: Portal, listed: tuple[Engine, ...], actions: Mapping[str, Action]
) -> Iterator[Finding]:
    known = {name for engine in listed for name in (engine.name.lower(), engine.uid)}
    for action in actions.values():
        unknown = [name for name in action.engines if name.lower() not in known]
        if unknown and portal.config.name in action.portals:
            yield bad(
                f"portal {portal.config.name}",
                f"action '{action.name}' names Engines that it does not have: {', '.join(unknown)}",
                f"correct {action.place}",
            )


def _query(portal: Portal, engine: Engine, settings: str) -> Finding:
    subject = f"Engine {engine.name}"
    if not engines.allowed(portal.config, engine):
        return bad(
            subject, f"its address {engine.address} is not fenced in", f"add it to {settings}ENGINE_HOSTS"
        )
    request = nxql.device_query(portal.config, engine, NOBODYS_NAME)
    response = portal.transport.send(request, deadline=ANSWER_SECONDS)
    answer = nxql.read_devices(response, name=NOBODYS_NAME, engine=engine)
    if isinstance(answer, LookupFailure):
        return failure(
            subject, answer.reason, f"its queries: {answer.detail}", settings=settings, address="NXQL_URL"
        )
    return good(subject, "answers queries")
