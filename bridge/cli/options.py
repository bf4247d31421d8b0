"""The options that several commands share.

It must not read settings or files.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from bridge.models import SourceKind

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


def ticket_key(text: str) -> str:
    """Read a ticket's key: both ticket systems write it in capitals, and people do not."""
    return text.strip().upper()


def json_option(function: F) -> F:
    """Add --json."""
    return click.option("--json", "for_programs", is_flag=True, help="Print JSON for programs.")(function)


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
    return click.option(
        "--reason", metavar="TEXT", required=True, help="Why; it stands in the run's timeline."
    )(function)
