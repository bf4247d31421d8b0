"""Acts on many runs at once: `--where`, `--dry-run` and `--yes` of the commands by which a person decides.

It must not act by itself: every run goes through the same use case as when it is named alone.
"""

import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import click

from bridge.bootstrap import Bridge
from bridge.cli.showing import line, note
from bridge.errors import NotPossible, Reason
from bridge.ledger import choosing
from bridge.ledger.choosing import Choice, Chosen, Seen
from bridge.mapping.wording import nearest
from bridge.models import PauseScope, RunState
from bridge.settings.forms import duration
from bridge.ticketing.keys import as_written

F = TypeVar("F", bound=Callable[..., Any])

MOST: Final = 500
_NAMED_SCOPES: Final = (PauseScope.SOURCE, PauseScope.MAPPING, PauseScope.ACTION, PauseScope.PORTAL)
_NAMES: Final = tuple(one.name for one in fields(Choice))


class ChoiceParam(click.ParamType[Choice]):
    """`state=held,mapping=office,since=2h`."""

    name = "where"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Choice:
        """Read conditions; a name or a value that does not exist is a mistake of usage."""
        given: dict[str, Any] = {}
        for condition in str(value).split(","):
            name, equals, text = (part.strip() for part in condition.partition("="))
            if not equals or not text:
                self.fail("write it as NAME=VALUE,NAME=VALUE, such as state=held,mapping=office", param, ctx)
            if name not in _NAMES:
                self.fail(f"there is no '{name}' ({nearest(name, _NAMES)})", param, ctx)
            if name in given:
                self.fail(f"'{name}' stands twice", param, ctx)
            try:
                given[name] = _read(name, text)
            except ValueError as error:
                self.fail(str(error), param, ctx)
        return Choice(**given)


def where_options(function: F) -> F:
    """Add --where, --dry-run and --yes, and let RUN be left out."""
    function = click.option("--yes", is_flag=True, help="With --where: do not ask before.")(function)
    function = click.option(
        "--dry-run", is_flag=True, help="With --where: only count runs, tickets and devices."
    )(function)
    function = click.option(
        "--where",
        "choice",
        metavar="NAME=VALUE,…",
        type=ChoiceParam(),
        help=f"In place of RUN: all runs that fit, the oldest {MOST} at most. NAME is {', '.join(_NAMES)}.",
    )(function)
    return click.argument("run", required=False)(function)


def require_one_way(run: str | None, choice: Choice | None, *, dry_run: bool, yes: bool) -> None:
    """Raise UsageError unless either a run or a choice is given, and the options belong to it."""
    if (run is None) == (choice is None):
        raise click.UsageError("name a RUN, or --where, and only one of them")
    if choice is None and (dry_run or yes):
        raise click.UsageError("--dry-run and --yes go with --where")


def on_each(
    bridge: Bridge,
    choice: Choice,
    act: Callable[[Seen], str],
    *,
    what: str,
    states: tuple[RunState, ...],
    dry_run: bool,
    yes: bool,
) -> None:
    """Do the same with every run that fits, and say of each what came of it; exit with 1 if one failed.

    `what` says in the question what is done; it can be done to runs in one of `states`.
    """
    chosen = bridge.ledger.read(choosing.choose, choice=choice, states=states, most=MOST)
    line(_counted(chosen))
    if chosen.others:
        left = ", ".join(f"{count} {state}" for state, count in chosen.others)
        note(f"not counted, for this needs {' or '.join(states)}: {left}")
    if not chosen.runs:
        for unknown in bridge.operations.unknown_names(_names_of(choice)):
            note(unknown)
    if chosen.more:
        note(f"more than {MOST} fit; these are the oldest, do the same again for the rest")
    if dry_run or not chosen.runs:
        return
    _confirm(f"{what} {len(chosen.runs)} run(s)?", yes=yes)
    failed = 0
    for seen in chosen.runs:
        try:
            fits = bridge.ledger.read(choosing.still_fits, choice=choice, seen=seen)
            said = act(seen) if fits else "not done: it does not fit any more"
        except NotPossible as error:
            fits, said = False, f"not done: {error}"
        failed += not fits
        line(f"{seen.run}: {said}")
    if failed:
        line(f"done: {len(chosen.runs) - failed}, not done: {failed}")
        raise click.exceptions.Exit(1)


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("look with --dry-run, then add --yes: nobody can be asked here")
    click.confirm(question, abort=True)


def _counted(chosen: Chosen) -> str:
    return f"{len(chosen.runs)} run(s), {chosen.tickets} ticket(s), {chosen.devices} device(s)"


def _names_of(choice: Choice) -> dict[PauseScope, str]:
    given = {scope: getattr(choice, scope, None) for scope in _NAMED_SCOPES}
    return {scope: name for scope, name in given.items() if name is not None}


def _read(name: str, text: str) -> RunState | Reason | datetime | timedelta | str:
    if name == "state":
        return _word(text, RunState, name)
    if name == "reason":
        return _word(text, Reason, name)
    if name == "since":
        return _since(text)
    return as_written(text) if name == "ticket" else text


def _word(text: str, words: type[RunState] | type[Reason], name: str) -> RunState | Reason:
    if text not in set(words):
        raise ValueError(f"there is no {name} '{text}' ({nearest(text, set(words))})")
    return words(text)


def _since(text: str) -> datetime | timedelta:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        try:
            read = duration(text)
        except (ValueError, OverflowError):
            raise ValueError("since is 30m, 2h or 7d, or a time such as 2026-11-02T08:00") from None
        assert isinstance(read, timedelta)
        return read
    # Times without a zone are those that this bridge shows: UTC.
    return at if at.tzinfo else at.replace(tzinfo=UTC)
