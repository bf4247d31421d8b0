"""The Act requests that a plan would become, with passwords masked.

It must not send an action. What only a portal's Engines know stands between < and > until they are asked.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bridge.errors import Reason
from bridge.models import (
    Call,
    Device,
    DeviceKey,
    DeviceUid,
    EngineChoice,
    EngineUid,
    HttpRequest,
    Json,
    Part,
    Plan,
    PortalName,
    Problem,
    RunId,
)
from bridge.nexthink import PortalConfig, act, resolution
from bridge.nexthink.resolution import Resolved
from bridge.resolving import Later

LookUp = Callable[[Plan], Resolved | Problem | Later]

# What stands for the id of a run that nobody has made.
NO_RUN_YET: Final = "<run>"

_MASK = "********"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One request as it would leave; `body` is its JSON."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Requests of a run: those of its calls, in their order, or those that it would become.

    `missing` says why there is neither.
    """

    made: tuple[Preview, ...] = ()
    planned: tuple[Preview, ...] = ()
    missing: str = ""


def previews(
    plan: Plan, portal: PortalConfig, look_up: LookUp | None
) -> tuple[Preview, ...] | Problem | Later:
    """Return every request of a plan, or why there would be none; see `parts_of`."""
    parts = parts_of(plan, portal, look_up)
    return _first_requests(NO_RUN_YET, plan, portal, parts) if isinstance(parts, tuple) else parts


def parts_of(plan: Plan, portal: PortalConfig, look_up: LookUp | None) -> tuple[Part, ...] | Problem | Later:
    """Return the parts that a plan would be sent in, or why there would be none.

    `look_up` asks the Engines, which reads only; None writes placeholders for what they would say.
    """
    resolved: Resolved | Problem | Later
    if look_up is not None:
        resolved = look_up(plan)
    else:
        resolved = _unasked(plan) if portal.nxql_url is not None else resolution.without_lookup(plan, ())
        if isinstance(resolved, Problem) and resolved.reason is Reason.ENGINE_UNKNOWN:
            # The portal knows the Engines that the catalogue names; nobody has asked it.
            resolved = _unasked(plan)
    if not isinstance(resolved, Resolved):
        return resolved
    return resolution.parts(resolved, portal.max_devices_per_call)


def of_run(
    run: RunId,
    plan: Plan,
    portals: Mapping[PortalName, PortalConfig],
    *,
    calls: tuple[Call, ...],
    parts: tuple[Part, ...],
) -> Requests:
    """Return the requests of a run, in the form that the portal's settings of now give them.

    `parts` are what was frozen of a run that has no call yet, as when its approval was asked for.
    """
    portal = portals.get(plan.portal)
    if portal is None:
        return Requests(missing=f"Portal {plan.portal} is not configured any more, so its form is not known.")
    if calls:
        return Requests(made=tuple(_request(call.request_uid, plan, portal, call.part) for call in calls))
    planned = parts or parts_of(plan, portal, None)
    if isinstance(planned, tuple):
        return Requests(planned=_first_requests(run, plan, portal, planned))
    return Requests(missing=f"Nothing would be sent: {planned.detail}.")


def _first_requests(
    run: str, plan: Plan, portal: PortalConfig, parts: tuple[Part, ...]
) -> tuple[Preview, ...]:
    return tuple(_request(f"{run}-{part.number}-1", plan, portal, part) for part in parts)


def _request(request_uid: str, plan: Plan, portal: PortalConfig, part: Part) -> Preview:
    return _masked(
        act.run_request(
            portal,
            request_uid=request_uid,
            remote_action_uid=plan.remote_action_uid,
            part=part,
            timeout_seconds=plan.timeout_seconds,
            params=plan.params,
        )
    )


def _unasked(plan: Plan) -> Resolved:
    engines = tuple(map(EngineUid, _engines(plan)))
    unknown = {DeviceKey.NAME: "<UID of {}>", DeviceKey.USER: "<UIDs of the devices of {}>"}
    return Resolved(
        devices=tuple(
            Device(
                uid=DeviceUid(unknown.get(plan.by, "{}").format(device)),
                name=device if plan.by is DeviceKey.NAME else None,
                engines=engines,
            )
            for device in plan.devices
        )
    )


def _engines(plan: Plan) -> Iterator[str]:
    if plan.engine_choice is EngineChoice.NAMED:
        yield from (f"<UID of {engine}>" for engine in plan.engines)
    elif plan.engine_choice is EngineChoice.WHERE_FOUND:
        yield "<UIDs of the Engines that know the device>"


def _masked(request: HttpRequest) -> Preview:
    return Preview(
        method=request.method,
        url=request.url,
        headers=tuple(
            (name, f"{value.partition(' ')[0]} {_MASK}" if name.lower() == "authorization" else value)
            for name, value in request.headers
        ),
        body=json.loads(request.body or b"null"),
    )
