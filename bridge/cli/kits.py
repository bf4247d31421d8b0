"""The command `kit`: what the administrator of a ticket system needs.

It must not show a secret, nor ask for one.
"""

from pathlib import Path

import click

from bridge import kits
from bridge.bootstrap import load_files
from bridge.cli.assuming import settings_for_files
from bridge.cli.opening import read_settings
from bridge.cli.options import json_option
from bridge.cli.showing import as_json, line
from bridge.kits import Kind, Kit
from bridge.kits.parts import Step


@click.command()
@click.argument("kind", metavar="KIND", type=click.Choice([kind.value for kind in Kind]))
@click.option(
    "--for",
    "directory",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The mapping files whose needs it serves. Default: the folder of the settings.",
)
@click.option("--source", "name", metavar="NAME", help="The source, where several are of this kind.")
@json_option
def kit(kind: str, directory: Path | None, name: str | None, for_programs: bool) -> None:
    """Print what the administrator of a ticket system needs, so that it sends what the mappings read.

    KIND is servicenow, jira (its own webhook, which signs) or jira-automation. Address and headers are
    those of the settings. No secret is printed: it says where one is put.
    """
    settings = read_settings()
    source = kits.choose(Kind(kind), settings.sources, name)
    files = settings_for_files(directory=directory, sources={}, portals=())
    made = kits.make(source, load_files(files), settings.public_url)
    if for_programs:
        as_json(made)
    else:
        _print(made)


def _print(made: Kit) -> None:
    line(f"{made.kind} kit of the source {made.source}: {made.address}")
    for note in made.notes:
        line(f"note: {note}")
    for number, step in enumerate(made.steps, start=1):
        line()
        _print_step(number, step)


def _print_step(number: int, step: Step) -> None:
    line(f"{number}. {step.title}")
    for said in step.says:
        line(said, indent=3)
    width = max((len(name) for name, _ in step.rows), default=0)
    for name, value in step.rows:
        line(f"{name:<{width}}  {value}", indent=3)
    for snippet in step.snippets:
        line()
        line(f"---- {snippet.name}: copy from the next line on")
        for text in snippet.text.splitlines():
            line(text)
        line("---- up to the line above")
