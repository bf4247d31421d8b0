"""Turns every way in which a command can end into a short message and an honest exit code.

It must not know any command, nor print a traceback unless debugging was asked for: it may hold data.
"""

import io
import os
import sys
import traceback
from collections import UserDict
from collections.abc import Iterable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import click

from bridge import logs
from bridge.cli.showing import clean
from bridge.errors import BridgeError, ConfigurationError, LedgerUnavailable

EXPECTED, UNEXPECTED, INTERRUPTED = 1, 3, 130


class Found(UserDict[str, Any]):
    """Commands by name, made of their places (`module:name`): each is loaded when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        """Return a command; raise KeyError where there is none of this name."""
        return resolve_name(super().__getitem__(name))


class Door(click.Group):
    """A group whose commands end with 0 good, 1 expected, 2 usage, 3 unexpected, 130 interrupted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they stand, which is that of use."""
        del ctx
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None; what its module raises is not taken for a name that there is not."""
        del ctx
        if cmd_name not in self.commands:
            return None
        return self.commands[cmd_name]

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it raises becomes an exit code."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A terminal that cannot show a letter of a ticket must not end the command.
                stream.reconfigure(errors="backslashreplace")
        # A person reads messages, not lines of JSON; what runs as a process configures its own logs.
        logs.configure("debug" if _debugging() else "critical")
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except Exception as error:  # noqa: BLE001 - the last door: what nobody foresaw still ends in a sentence
            code, lines = _told(error)
            for line in lines:
                click.echo(clean(line), err=True)
            ctx.exit(code)


def _told(error: Exception) -> tuple[int, Iterable[str]]:
    """Return the exit code of an error and what a person is told."""
    match error:
        case ConfigurationError():
            return EXPECTED, error.problems
        case LedgerUnavailable():
            return EXPECTED, (_no_ledger(error),)
        case BridgeError():
            return EXPECTED, (str(error),)
        case OSError():
            return EXPECTED, (_of_system(error),)
    return UNEXPECTED, _unexpected(error)


def _no_ledger(why: object) -> str:
    return f"the ledger does not answer: {why} (see `bridge doctor`)"


def _of_system(error: OSError) -> str:
    where = f": {error.filename}" if error.filename is not None else ""
    return f"{error.strerror or type(error).__name__}{where}"


def _unexpected(error: Exception) -> tuple[str, ...]:
    """Say what happened and where; the error's own text only where debugging was asked for."""
    if _debugging():
        return tuple("".join(traceback.format_exception(error)).rstrip().splitlines())
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno}"
    return (
        f"unexpected: {type(error).__name__} at {place}",
        "This is a defect of the bridge. BRIDGE_LOG_LEVEL=debug in the environment shows the traceback.",
    )


def _debugging() -> bool:
    # Asked of the environment alone: the settings may be what failed.
    return os.environ.get("BRIDGE_LOG_LEVEL", "").lower() == "debug"
