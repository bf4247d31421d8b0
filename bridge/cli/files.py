"""Commands about mapping files: `check` and `schema`.

They must not need a ledger or a network.
"""

from pathlib import Path

import click

from bridge.bootstrap import check_files
from bridge.checking import CheckResult, unread
from bridge.cli.assuming import settings_for_files
from bridge.cli.options import NamedSource, SourceParam, directory_argument, json_option, portal_option
from bridge.cli.showing import as_json, line
from bridge.errors import ConfigurationError
from bridge.mapping import schemas
from bridge.settings import Settings

_SCHEMAS = {"actions": schemas.ACTIONS, "mappings": schemas.MAPPINGS, "people": schemas.PEOPLE}
# What is written together, and the files that each is for.
_BESIDE_MAPPINGS = {"actions": "actions.yaml", "mappings": "every other *.yaml"}
_BESIDE_PEOPLE = {"people": "the file of people"}


@click.command()
@directory_argument
@click.option(
    "--source",
    "sources",
    metavar="NAME=KIND",
    multiple=True,
    type=SourceParam(needs_kind=True),
    help="A source that the files may name, in place of the configured ones; KIND is jira or servicenow.",
)
@portal_option
@json_option
def check(
    directory: Path | None, sources: tuple[NamedSource, ...], portals: tuple[str, ...], for_programs: bool
) -> None:
    """Check mapping files and run the tests that stand in them.

    DIR is the folder of the mappings and its actions.yaml. Default: the folder of the settings. With --source
    and --portal nothing else of the settings is read, and with DIR nothing at all.
    """
    kinds = {source.name: source.kind for source in sources if source.kind is not None}
    result = _checked(settings_for_files(directory=directory, sources=kinds, portals=portals))
    if for_programs:
        _print_for_programs(result)
    else:
        _print(result)
    if result.problems:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument(
    "which", metavar="[actions|mappings|people]", default="mappings", type=click.Choice(list(_SCHEMAS))
)
@click.option(
    "--write",
    "directory",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Write them into this folder, beside your files.",
)
def schema(which: str, directory: Path | None) -> None:
    """Print a JSON Schema of the mapping language or of the file of people, or write them beside your files.

    Editors complete and check files that begin with the line that --write prints.
    """
    if directory is None:
        click.echo(schemas.text(_SCHEMAS[which]), nl=False)
        return
    written = _BESIDE_PEOPLE if which == "people" else _BESIDE_MAPPINGS
    for one in written:
        file = directory / _SCHEMAS[one]
        file.write_text(schemas.text(file.name), encoding="utf-8")
        line(f"wrote {file}")
    line(f"Put {'one of these' if len(written) > 1 else 'this'} in the first line of your files:")
    for one, files in written.items():
        line(f"# yaml-language-server: $schema={_SCHEMAS[one]}    ({files})", indent=2)


def _checked(settings: Settings) -> CheckResult:
    """Check the files; those that cannot be read are problems like any other."""
    try:
        return check_files(settings)
    except ConfigurationError as error:
        return unread(error.problems)


def _print(result: CheckResult) -> None:
    for problem in result.problems:
        line(problem)
    for warning in result.warnings:
        line(f"warning: {warning}")
    found = f"{_count(len(result.problems), 'problem')}, {_count(len(result.warnings), 'warning')}"
    if result.mapping_set is None:
        line(f"{found}; the files could not be read, so no test ran")
        return
    passed = result.tests_run - result.tests_failed
    mappings = _count(len(result.mapping_set.mappings), "mapping")
    live = result.mapping_set.live
    line(f"{found}; {mappings} ({live} live), {passed} of {_count(result.tests_run, 'test')} passed")


def _print_for_programs(result: CheckResult) -> None:
    as_json(
        {
            "problems": result.problems,
            "warnings": result.warnings,
            "tests": {"run": result.tests_run, "failed": result.tests_failed},
            "mappings": [rule.id for rule in result.mapping_set.mappings] if result.mapping_set else None,
            "mapping_set": result.mapping_set.hash if result.mapping_set else None,
        }
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
