"""The command `backtest`: what other mapping files would have made of the webhooks that came.

It must not send anything, nor change the ledger.
"""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import click

from bridge.backtesting import Backtest, Backtesting, Change, Difference, Side
from bridge.bootstrap import load_files, mapping_set_in_force, utc_now
from bridge.bootstrap.outside import connect
from bridge.cli.assuming import settings_for_files
from bridge.cli.opening import ledger_to_read, read_settings
from bridge.cli.options import DurationParam, json_option
from bridge.cli.showing import as_json, jsonable, line
from bridge.errors import NotPossible
from bridge.ledger import Ledger, in_force
from bridge.ledger.starting import NewRun
from bridge.ledger.stored import stored_since
from bridge.models import Json, RunState

_OVERLAPS = "overlaps"
_LONGEST = timedelta(days=3_650)
_SHOWN = 50


@click.command()
@click.argument("directory", metavar="NEW_DIR", type=click.Path(path_type=Path))
@click.option(
    "--last",
    metavar="DURATION",
    default="30d",
    show_default=True,
    type=DurationParam(longest=_LONGEST),
    help="Try what was received since then.",
)
@click.option(
    "--accept",
    "accepted",
    multiple=True,
    type=click.Choice([*(change.value for change in Change), _OVERLAPS]),
    help="Differences of this kind are wanted and do not make the exit code 1; may be repeated.",
)
@click.option(
    "--max-devices",
    metavar="N",
    type=click.IntRange(1),
    help="Exit code 1 where a run would be sent to more devices than this.",
)
@json_option
def backtest(
    directory: Path,
    last: timedelta,
    accepted: tuple[str, ...],
    max_devices: int | None,
    for_programs: bool,
) -> None:
    """Try the mapping files in NEW_DIR on the webhooks that came, against the mappings in force.

    NEW_DIR holds mappings and their actions.yaml. Nothing is sent, and nothing is asked outside. Runs are
    counted as the bridge makes them, one for a ticket where its mapping says so; limits are not looked at.
    Exit code 1 where a run would be added, removed or changed, two mappings newly fire for one event, or a
    run has too many devices.
    """
    with ledger_to_read() as ledger:
        result = _compared(ledger, directory, last)
    if for_programs:
        as_json(_for_programs(result))
    else:
        _print(result)
    found = {change.value for change in Change if result.of(change)}
    found |= {_OVERLAPS} if result.new_overlaps else set()
    too_many = max_devices is not None and result.after.most_devices > max_devices
    if too_many:
        line(f"one run would go to {result.after.most_devices} devices (more than {max_devices})", err=True)
    if found - set(accepted) or too_many:
        raise click.exceptions.Exit(1)


def _compared(ledger: Ledger, directory: Path, last: timedelta) -> Backtest:
    settings = read_settings()
    before = mapping_set_in_force(ledger, settings)
    if before is None:
        raise NotPossible("no mapping set is in force yet: there is nothing to compare with (start a worker)")
    new = settings_for_files(directory=directory, sources={}, portals=())
    backtesting = Backtesting(
        connections=connect(settings),
        accounts=ledger.read(in_force.own_accounts),
        before=before,
        after=load_files(new),
    )
    return backtesting.compare(stored_since(ledger, utc_now() - last))


def _print(result: Backtest) -> None:
    line(f"{result.tried} webhooks tried")
    for why, times in sorted(result.untried.items()):
        line(f"{times} not tried: {why}", indent=2)
    before, after = result.before, result.after
    line(f"runs          {_count(before)} -> {_count(after)}")
    line(f"most devices  {before.most_devices} -> {after.most_devices} of one run")
    for change in Change:
        _print_differences(change, result.of(change))
    for (first, second), times in sorted(result.new_overlaps.items()):
        line(f"overlap: {first} and {second} fire for the same event now, {times} times")
    if not result.differences and not result.new_overlaps:
        line("nothing would be other")


def _count(side: Side) -> str:
    refused = f", {side.refused} refused" if side.refused else ""
    return f"{side.runs} ({side.sent} sent{refused})"


def _print_differences(change: Change, differences: tuple[Difference, ...]) -> None:
    if not differences:
        return
    line(f"{change}: {len(differences)}")
    for each in differences[:_SHOWN]:
        run = each.run
        line(f"{run.ticket.key} {run.mapping}: {_told(run)} (delivery {each.delivery})", indent=2)
        for name, old, new in each.what:
            line(f"{name}: {old} -> {new}", indent=4)
    if len(differences) > _SHOWN:
        line(f"and {len(differences) - _SHOWN} more (see --json)", indent=2)


def _told(run: NewRun) -> str:
    if run.plan is None:
        return f"{run.state}, {run.detail}"
    state = "" if run.state is RunState.QUEUED else f", {run.state}"
    return f"{run.plan.action} on {', '.join(run.plan.devices)}{state}"


def _for_programs(result: Backtest) -> Json:
    return {
        "tried": result.tried,
        "untried": jsonable(result.untried),
        "before": _side(result.before),
        "after": _side(result.after),
        "new_overlaps": _overlaps(result.new_overlaps.items()),
        "differences": [
            {
                "change": each.change,
                "delivery": each.delivery,
                "ticket": each.run.ticket.key,
                "mapping": each.run.mapping,
                "before": _run(each.before),
                "after": _run(each.after),
                "what": [dict(zip(("name", "before", "after"), one, strict=True)) for one in each.what],
            }
            for each in result.differences
        ],
    }


def _side(side: Side) -> Json:
    return {
        "runs": side.runs,
        "sent": side.sent,
        "refused": side.refused,
        "most_devices": side.most_devices,
        "overlaps": _overlaps(side.overlaps.items()),
    }


def _overlaps(overlaps: Iterable[tuple[tuple[str, str], int]]) -> Json:
    return [{"mappings": list(pair), "events": times} for pair, times in sorted(overlaps)]


def _run(run: NewRun | None) -> Json:
    if run is None:
        return None
    plan = run.plan
    return {
        "state": run.state,
        "detail": run.detail,
        "action": plan.action if plan else None,
        "portal": plan.portal if plan else None,
        "devices": list(plan.devices) if plan else [],
    }
