"""Commands about runs: `runs list` and `runs show`.

They must not change the ledger.
"""

import click

from bridge import ways_out
from bridge.cli.opening import ledger_to_read
from bridge.cli.options import json_option, limit_option
from bridge.cli.showing import as_json, instant, line, moment, note
from bridge.cli.tables import table
from bridge.ledger import listing, queries
from bridge.ledger.listing import WantedRuns
from bridge.models import Plan, Run, RunId, RunState
from bridge.recounting import recount
from bridge.ticketing.keys import as_written


class _ListByDefault(click.Group):
    """A group that lists where no command is named (`runs --state held`), and shows a named run."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` before options that are not the group's own, and `show` before what is no command."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        elif not args[0].startswith("-") and args[0] not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListByDefault)
def runs() -> None:
    """List runs (the default) or show one: `bridge runs RUN`.

    The list takes --ticket, --state, --mapping, --device, --limit and --json; `bridge runs list --help`
    explains them.
    """


@runs.command("list")
@click.option("--ticket", metavar="KEY", type=as_written, help="Only those of this ticket.")
@click.option(
    "--state", type=click.Choice([state.value for state in RunState]), help="Only those in this state."
)
@click.option("--mapping", metavar="ID", help="Only those of this mapping.")
@click.option("--device", metavar="NAME", help="Only those about this device, by its whole name or its UID.")
@limit_option
@json_option
def list_runs(
    ticket: str | None,
    state: str | None,
    mapping: str | None,
    device: str | None,
    limit: int,
    for_programs: bool,
) -> None:
    """List runs, the newest first."""
    wanted = WantedRuns(
        ticket=ticket, state=RunState(state) if state else None, mapping=mapping, device=device
    )
    with ledger_to_read() as ledger:
        read = ledger.read(listing.newest_runs, limit=limit, wanted=wanted)
    if read.unreadable:
        note(f"not shown, because this version cannot read them: {', '.join(read.unreadable)}")
    found = read.runs
    if for_programs:
        as_json(found)
        return
    table(
        ("run", "made", "ticket", "mapping", "action", "state", "reason"),
        [
            (
                run.id,
                moment(run.created_at),
                run.ticket.key,
                run.mapping,
                run.plan.action if run.plan else None,
                run.state,
                _waits_for(run),
            )
            for run in found
        ],
    )


@runs.command("show")
@click.argument("run")
@json_option
def show_run(run: str, for_programs: bool) -> None:
    """Show all that happened to a run: received, matched, planned, sent, answered, told, decided by whom."""
    with ledger_to_read() as ledger:
        story = ledger.read(queries.run_story, run=RunId(run))
    if for_programs:
        as_json(story)
        return
    _print_run(story.run)
    line()
    for event in recount(story):
        who = f"by {event.by}" if event.by else ""
        said = ": ".join(part for part in (who, event.said) if part)
        line(f"{instant(event.at)}  {event.word:<15} {said}".rstrip(), indent=2)
        for text in event.more:
            line(text, indent=44)
    found = ways_out.of(story)
    if found.facts:
        line()
    for word, said in found.facts:
        line(f"{word:<11} {said}", indent=2)
    if found.advice:
        line(found.advice)
    for command in found.commands:
        line(command, indent=2)


def _waits_for(run: Run) -> str | None:
    until = ways_out.until(run)
    return run.reason if until is None else f"{run.reason} until {moment(until)}"


def _print_run(run: Run) -> None:
    reason = f" ({run.reason})" if run.reason else ""
    line(f"run {run.id} is {run.state}{reason}")
    if run.detail:
        line(run.detail, indent=2)
    line(f"ticket      {run.ticket.key} from {run.ticket.source}  {run.ticket.url or ''}".rstrip(), indent=2)
    line(f"mapping     {run.mapping}", indent=2)
    if run.plan is not None:
        _print_plan(run.plan)
    if run.state is RunState.QUEUED:
        line(f"due         {moment(run.due_at)}, after {run.tries} tries", indent=2)
    if run.waived:
        line("limits      a person released it over them", indent=2)
    if run.replay_of:
        line(f"replay of   {run.replay_of}", indent=2)
    if run.crashes:
        line(f"crashes     {run.crashes}", indent=2)
    if run.purged_at:
        line(
            f"removed     all but this, at {moment(run.purged_at)} (`bridge purge` or `bridge erase`)",
            indent=2,
        )


def _print_plan(plan: Plan) -> None:
    line(f"action      {plan.action}: {plan.title} ({plan.remote_action_uid})", indent=2)
    line(f"portal      {plan.portal}", indent=2)
    line(f"mode        {plan.mode}", indent=2)
    line(f"devices     {', '.join(plan.devices)}", indent=2)
    for name, value in plan.params:
        line(f"parameter   {name}: {value}", indent=2)
    if plan.asked_by:
        line(f"asked by    {plan.asked_by}", indent=2)
