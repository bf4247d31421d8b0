"""What can be tried at a Nexthink portal: its list of Engines, and a harmless query on each.

It must not run a remote action: the right to do so shows only when one is sent.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from bridge.connections import Portal
from bridge.doctoring.findings import Finding, bad, clock, failure, good, note, warning
from bridge.mapping.language import MappingSet
from bridge.mapping.rules import MappingRule
from bridge.models import DeviceKey, DeviceUser, Engine, HttpResponse, PortalName
from bridge.nexthink import LookupFailure, engines, nxql, users

ANSWER_SECONDS = 15.0
AT_ONCE = 8
# A name that no device bears, so the answer is empty wherever the query works.
NOBODYS_NAME = "bridge-doctor-no-such-device"
NOBODY = DeviceUser(login="bridge-doctor-nobody", domain=None, used_within=timedelta(days=1))


def examine(
    portal: Portal, mapping_set: MappingSet | None, *, now: Callable[[], datetime]
) -> Iterator[Finding]:
    """Yield what is found at the portal, then at each connected Engine."""
    config = portal.config
    subject, settings = f"portal {config.name}", f"BRIDGE_PORTALS__{config.name.upper()}__"
    request = engines.list_request(config)
    response = portal.transport.send(request, deadline=ANSWER_SECONDS)
    listed = engines.read_list(response)
    if isinstance(listed, LookupFailure):
        detail = f"its Engines: {listed.detail}"
        yield failure(subject, listed.reason, detail, settings=settings, url=request.url)
        return
    connected = tuple(engine for engine in listed if engine.connected)
    yield _connected(subject, listed, connected)
    if isinstance(response, HttpResponse) and (skew := clock(subject, response, now)) is not None:
        yield skew
    yield from _named_engines(portal, listed, mapping_set)
    if config.nxql_url is None:
        yield _without_queries(subject, config.name, mapping_set, settings)
        return
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        yield from pool.map(lambda engine: _query(portal, engine, settings), connected)
        if any(rule.owner and _is_for(rule, config.name) for rule in _rules(mapping_set)):
            yield from pool.map(lambda engine: _user_query(portal, engine, settings, now()), connected)
    yield note(subject, "not tried: whether remote actions may be run, as that cannot be asked")


def _connected(subject: str, listed: tuple[Engine, ...], connected: tuple[Engine, ...]) -> Finding:
    detail = f"{len(connected)} of {len(listed)} Engines are connected"
    away = ", ".join(engine.name for engine in listed if not engine.connected)
    if not connected:
        return bad(subject, detail, "ask whoever runs Nexthink why")
    if away:
        return warning(subject, f"{detail}, not {away}", "devices that only these know are not found")
    return good(subject, detail)


def _without_queries(
    subject: str, portal: PortalName, mapping_set: MappingSet | None, settings: str
) -> Finding:
    detail, way_out = "devices cannot be looked up", f"set {settings}NXQL_URL and {settings}ENGINE_HOSTS"
    needing = [rule.id for rule in _rules(mapping_set) if _needs_queries(rule, portal)]
    if needing:
        return bad(subject, f"{detail}, and these mappings need it: {', '.join(needing)}", way_out)
    return warning(subject, detail, f"{way_out} before a mapping names devices or an action has a fence")


def _needs_queries(rule: MappingRule, portal: PortalName) -> bool:
    """Say whether runs of a mapping are refused at a portal whose Engines cannot be asked."""
    fence = rule.action.fence
    fenced = fence.names is not None or bool(fence.never) or rule.owner is not None
    return _is_for(rule, portal) and (rule.devices.by is DeviceKey.NAME or fenced)


def _is_for(rule: MappingRule, portal: PortalName) -> bool:
    return portal in {rule.portal.fixed, *(name for _, name in rule.portal.table)}


def _rules(mapping_set: MappingSet | None) -> tuple[MappingRule, ...]:
    return mapping_set.mappings if mapping_set else ()


def _named_engines(
    portal: Portal, listed: tuple[Engine, ...], mapping_set: MappingSet | None
) -> Iterator[Finding]:
    actions = mapping_set.catalogue.actions if mapping_set else {}
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
        detail = f"its queries: {answer.detail}"
        return failure(subject, answer.reason, detail, settings=settings, url=request.url, address="NXQL_URL")
    return good(subject, "answers queries")


def _user_query(portal: Portal, engine: Engine, settings: str, now: datetime) -> Finding:
    subject = f"Engine {engine.name}"
    if not engines.allowed(portal.config, engine):
        return note(subject, "not tried: whose devices are whose, as its address is not fenced in")
    request = users.user_query(portal.config, engine, NOBODY)
    response = portal.transport.send(request, deadline=ANSWER_SECONDS)
    answer = users.read_used_devices(portal.config, response, user=NOBODY, engine=engine, now=now)
    if isinstance(answer, LookupFailure):
        way_out = f"correct {settings}NXQL_USER_QUERY (see docs/connect-nexthink.md)"
        return bad(subject, f"its query for a person's devices: {answer.detail}", way_out)
    return good(subject, "answers the query for a person's devices; what it calls its fields shows with one")
