"""The command `config`: what is configured.

It must not show a secret.
"""

import click

from bridge.cli.opening import read_settings
from bridge.cli.options import json_option
from bridge.cli.showing import as_json
from bridge.cli.tables import table
from bridge.settings import in_force


@click.command()
@json_option
def config(for_programs: bool) -> None:
    """Print every setting in force, with secrets masked."""
    settings = in_force(read_settings())
    if for_programs:
        as_json(dict(settings))
    else:
        table(("setting", "value"), settings)
