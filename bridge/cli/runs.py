"""Commands about runs: `runs list` and `runs show`.

They must not change the ledger.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

import click

from bridge import ways_out
from bridge.cli.opening import ledger_to_read
from bridge.cli.options import json_option, limit_option, ticket_key
from bridge.cli.showing import as_json, instant, line, moment, named, table
from bridge.comments.second_sends import engine_names
from bridge.ledger import queries
from bridge.ledger.queries import RunStory
from bridge.ledger.timeline import HistoryLine
from bridge.models import Call, CallState, Comment, CommentState, EngineUid, Plan, Run, RunId, RunState

_OF_CALLS = ("intended", "call_")
_LATE = "late_answer"


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

    The list takes --ticket, --state, --mapping, --limit and --json; `bridge runs list --help` explains them.
    """


@runs.command("list")
@click.option("--ticket", metavar="KEY", type=ticket_key, help="Only those of this ticket.")
@click.option(
    "--state", type=click.Choice([state.value for state in RunState]), help="Only those in this state."
)
@click.option("--mapping", metavar="ID", help="Only those of this mapping.")
@limit_option
@json_option
def list_runs(
    ticket: str | None, state: str | None, mapping: str | None, limit: int, for_programs: bool
) -> None:
    """List runs, the newest first."""
    with ledger_to_read() as ledger:
        found = ledger.read(
            queries.list_runs,
            limit=limit,
            ticket=ticket,
            state=RunState(state) if state else None,
            mapping=mapping,
        )
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
    for at, texts in sorted(_timeline(story), key=lambda entry: entry[0]):
        line(f"{instant(at)}  {texts[0]}", indent=2)
        for text in texts[1:]:
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


def _timeline(story: RunStory) -> Iterator[tuple[datetime, tuple[str, ...]]]:
    """Yield what happened when, each as one or more lines; causes stand before what they cause."""
    delivery = story.delivery
    yield delivery.received_at, (f"received        delivery {delivery.id} from {delivery.source}",)
    for finding in story.decided:
        seen = (condition["seen"] for condition in finding["conditions"])
        yield delivery.received_at, (f"matched         {finding['mapping']}", *filter(None, seen))
    names = engine_names(story.calls)
    made = sorted(filter(None, (call.intended_at for call in story.calls)))
    for call in story.calls:
        # What `--attempt` asks for is the number of the newest one.
        number = made.index(call.intended_at) + 1 if call.intended_at else None
        yield from _call_lines(call, number, names)
    for entry in story.history:
        # The calls themselves tell more than the timeline's note of them, but for an answer that came late.
        if entry.detail == _LATE or not entry.event.startswith(_OF_CALLS):
            yield entry.at, (_history_line(entry),)
    for comment in story.comments:
        yield comment.owed_at, (_comment_line(comment),)


def _history_line(entry: HistoryLine) -> str:
    who = f"by {entry.by}" if entry.by else ""
    said = ": ".join(part for part in (who, entry.detail or "") if part)
    return f"{entry.event.replace('_', ' '):<15} {said}".rstrip()


def _call_lines(
    call: Call, number: int | None, names: Mapping[EngineUid, str]
) -> Iterator[tuple[datetime, tuple[str, ...]]]:
    request = "" if number is None else f"request {number}: "
    name = f"call            {request}part {call.part.number}, attempt {call.attempt}"
    if call.intended_at is not None:
        devices = (f"{device.name or '-'} {device.uid}" for device in call.part.devices)
        engines = (
            ("all that are connected",) if call.part.engines is None else named(call.part.engines, names)
        )
        yield (
            call.intended_at,
            (f"{name} begins, {call.request_uid}", *devices, *(f"on Engine {engine}" for engine in engines)),
        )
    if call.ended_at is not None:
        yield call.ended_at, (f"{name} is {call.state}", *_answer_lines(call))


def _answer_lines(call: Call) -> Iterator[str]:
    result = call.result
    if result is None:
        if call.state is CallState.UNKNOWN:
            yield "the worker that made it was lost"
        return
    said = (result.reason, f"HTTP {result.status}" if result.status else None, result.error_code)
    if any(said):
        yield ", ".join(str(text) for text in said if text)
    if result.error_text:
        yield result.error_text
    for outcome in result.outcomes:
        message = f": {outcome.message}" if outcome.message else ""
        yield f"{outcome.name or outcome.engine} {outcome.code_text or 'gave no answer'}{message}"


def _comment_line(comment: Comment) -> str:
    state = f"{comment.state}"
    if comment.state is CommentState.POSTED:
        state += f" as {comment.posted_id}"
    elif comment.reason is not None:
        state += f", {comment.reason} after {comment.attempt} tries"
        # Of a change that was refused the ticket system's own words say what is to be mended.
        state += f" ({comment.detail})" if comment.change and comment.detail else ""
    if comment.change:
        return f"change owed     {comment.owed.text}: {state}"
    return f"comment owed    {comment.owed.occasion} {comment.owed.n}, {comment.owed.visibility}: {state}"
