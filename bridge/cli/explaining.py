"""The command `explain`: what the mapping files make of a payload, and what would be sent.

It must not send an action, nor remember anything.
"""

import json
from pathlib import Path
from typing import BinaryIO

import click

from bridge import describing
from bridge.bootstrap import load_files, utc_now
from bridge.bootstrap.outside import connect
from bridge.cli import traces
from bridge.cli.assuming import settings_for_files
from bridge.cli.options import NamedSource, SourceParam, directory_argument, json_option, portal_option
from bridge.cli.showing import as_json, jsonable, line
from bridge.errors import NotPossible, WebhookRefused
from bridge.explaining import Explanation, explained
from bridge.mapping.bounds import tightest
from bridge.mapping.rules import MappingRule
from bridge.models import Ignored, Json, Plan, Problem, SourceName, Unplannable
from bridge.previewing import Preview
from bridge.resolving import Later, Resolving
from bridge.settings import Settings


@click.command()
@click.argument("payload", metavar="PAYLOAD.json", type=click.File("rb"))
@directory_argument
@click.option(
    "--source",
    metavar="NAME[=KIND]",
    required=True,
    type=SourceParam(needs_kind=False),
    help="The source that sends the payload; with KIND (jira or servicenow) it need not be configured.",
)
@portal_option
@click.option(
    "--look-up",
    is_flag=True,
    help="Ask the portal for Engines and devices, which only reads, and show the UIDs that would be sent.",
)
@json_option
def explain(
    payload: BinaryIO,
    directory: Path | None,
    source: NamedSource,
    portals: tuple[str, ...],
    look_up: bool,
    for_programs: bool,
) -> None:
    """Show what every mapping makes of a payload, and the exact request that would be sent.

    The mapping files are read as they stand, from DIR or the folder of the settings. PAYLOAD.json is the body
    of a webhook, - for the standard input.
    What fires comes first, then the nearest misses. Earlier runs and limits are not looked at.
    """
    kinds = {} if source.kind is None else {source.name: source.kind}
    settings = settings_for_files(directory=directory, sources=kinds, portals=portals)
    if look_up and portals:
        raise click.UsageError("--look-up asks a configured portal; it cannot be combined with --portal")
    found = _explained(settings, SourceName(source.name), payload.read(), look_up=look_up)
    if for_programs:
        as_json([_for_programs(one) for one in found] if isinstance(found, tuple) else {"ignored": found})
    elif isinstance(found, Ignored):
        line(f"ignored: {found.detail} ({found.reason})")
    else:
        for one in found:
            _print(one)


def _explained(
    settings: Settings, name: SourceName, body: bytes, *, look_up: bool
) -> Ignored | tuple[Explanation, ...]:
    configured = {source.name: source for source in settings.sources}
    if name not in configured:
        raise NotPossible(f"there is no source {name} (known: {', '.join(configured)}; or say {name}=KIND)")
    connections = connect(settings)
    resolving = Resolving(connections=lambda: connections, clock=utc_now)
    try:
        return explained(
            body,
            system=connections.sources[name].system,
            portals={portal: one.config for portal, one in connections.portals.items()},
            mapping_set=load_files(settings),
            look_up=resolving.resolve if look_up else None,
            received_at=utc_now(),
        )
    except WebhookRefused as error:
        raise NotPossible(f"such a webhook is refused with {error.status}: {error.detail}") from error


def _for_programs(one: Explanation) -> Json:
    requests: Json = jsonable(one.requests)
    plan = one.decision.result
    return {
        "decision": jsonable(one.decision),
        "tightest": jsonable(tightest(plan.limits)) if isinstance(plan, Plan) else None,
        "requests": requests if isinstance(one.requests, tuple) else None,
        "no_request": requests if isinstance(one.requests, Problem | Later) else None,
    }


def _print(one: Explanation) -> None:
    decision = one.decision
    result = decision.result
    traces.heading(decision.mapping, decision.outcome, result.mode if result else None)
    traces.conditions(jsonable(decision.trace))
    if isinstance(result, Unplannable):
        where = f"{result.problem.place}: " if result.problem.place else ""
        line(f"{where}{result.problem.detail} ({result.problem.reason})", indent=2)
    elif result is not None:
        assert one.rule is not None
        _print_plan(result, one.rule)
        _print_requests(one.requests)
    line()


def _print_plan(plan: Plan, rule: MappingRule) -> None:
    line(f"action      {plan.action}: {plan.title}, on portal {plan.portal}", indent=2)
    line(f"devices     {', '.join(plan.devices)} (by {plan.by})", indent=2)
    for name, value in plan.params:
        line(f"parameter   {name}: {value}", indent=2)
    for kind, text in describing.bounds(plan, rule):
        line(f"{kind:<12}{text}", indent=2)
    line(f"told        {plan.style.visibility}", indent=2)


def _print_requests(requests: tuple[Preview, ...] | Problem | Later | None) -> None:
    if isinstance(requests, Problem | Later):
        waits = "would wait" if isinstance(requests, Later) else "would be refused"
        line(f"nothing is sent, the run {waits}: {requests.detail} ({requests.reason})", indent=2)
        return
    for request in requests or ():
        line(f"{request.method} {request.url}", indent=2)
        for name, value in request.headers:
            line(f"{name}: {value}", indent=2)
        for text in json.dumps(request.body, indent=2, ensure_ascii=False).splitlines():
            line(text, indent=2)
