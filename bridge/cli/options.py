"""The options that several commands share.

It must not read settings or files.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from bridge.ledger.people import Act
from bridge.models import PauseScope, SourceKind
from bridge.operations import author_here
from bridge.settings.forms import duration

# What the timeline of a run has room for, and a ticket can show in a line.
_AUTHOR_LENGTH = 200

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSource:
    """A source as it is named on the command line; `kind` None: the one that is configured."""

    name: str
    kind: SourceKind | None


class SourceParam(click.ParamType[NamedSource]):
    """NAME=KIND, or NAME alone where `needs_kind` is false."""

    name = "source"

    def __init__(self, *, needs_kind: bool) -> None:
        self._needs_kind = needs_kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> NamedSource:
        """Read a source; a kind that does not exist is a mistake of usage."""
        name, equals, kind = str(value).partition("=")
        if not (name.isascii() and name.isidentifier()):
            self.fail("its name must be letters, digits and underscores", param, ctx)
        if not equals and not self._needs_kind:
            return NamedSource(name=name.lower(), kind=None)
        if kind not in set(SourceKind):
            self.fail(f"write it as NAME=KIND, with the kind {' or '.join(SourceKind)}", param, ctx)
        return NamedSource(name=name.lower(), kind=SourceKind(kind))


class DurationParam(click.ParamType[timedelta]):
    """A time from now such as `90s`, `30m`, `24h` or `7d`, at most `longest`."""

    name = "duration"

    def __init__(self, *, longest: timedelta) -> None:
        self._longest = longest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read a duration; what is none is a mistake of usage."""
        try:
            read = duration(value)
        except (ValueError, OverflowError):
            self.fail("write it as 90s, 30m, 24h or 7d", param, ctx)
        assert isinstance(read, timedelta)
        if read > self._longest:
            self.fail(f"at most {self._longest.days}d", param, ctx)
        return read


def json_option(function: F) -> F:
    """Add --json."""
    return click.option("--json", "for_programs", is_flag=True, help="Print JSON for programs.")(function)


def directory_argument(function: F) -> F:
    """Add DIR: the folder of mapping files, in place of the configured one."""
    return click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))(
        function
    )


def portal_option(function: F) -> F:
    """Add --portal NAME, for checking files where no portal is configured."""
    return click.option(
        "--portal",
        "portals",
        metavar="NAME",
        multiple=True,
        help="A portal that the files may name, in place of the configured ones.",
    )(function)


def limit_option(function: F) -> F:
    """Add --limit."""
    return click.option(
        "--limit",
        type=click.IntRange(1, 10_000),
        default=50,
        show_default=True,
        help="Show at most so many, the newest first.",
    )(function)


def reason_option(function: F) -> F:
    """Add --reason and --author, which every act of a person carries."""
    function = click.option(
        "--author", metavar="NAME", help="Who decides this. Default: this account and host."
    )(function)
    return click.option("--reason", metavar="TEXT", required=True, help="Why; it is kept with what you do.")(
        function
    )


def scope_arguments(function: F) -> F:
    """Add SCOPE and VALUE: what is paused."""
    function = click.argument("value", required=False, default="")(function)
    scopes = click.Choice([scope.value for scope in PauseScope])
    return click.argument("scope", metavar="SCOPE", type=scopes)(function)


def act_of(author: str | None, reason: str) -> Act:
    """Return who decides and why, from --author and --reason; raise UsageError where one is empty."""
    if not reason.strip():
        raise click.UsageError("--reason is empty: say why, somebody will ask")
    if author is not None and not 0 < len(author.strip()) <= _AUTHOR_LENGTH:
        raise click.UsageError(f"--author must have 1 to {_AUTHOR_LENGTH} characters")
    return Act(author=author.strip() if author else author_here(), reason=reason.strip())
