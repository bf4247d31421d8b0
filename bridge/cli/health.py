"""The command `doctor`: what works from here, and what to fix.

It must not judge by itself; `doctoring` does.
"""

import click

from bridge.bootstrap import read_live_settings
from bridge.cli.options import json_option
from bridge.cli.showing import as_json, line
from bridge.doctoring import Finding, State, examine

_MARKS = {State.GOOD: "good   ", State.NOTE: "note   ", State.WARNING: "look   ", State.BAD: "FIX    "}


@click.command()
@json_option
def doctor(for_programs: bool) -> None:
    """Try every connection and permission that can be tried without running anything.

    Ends with 1 where something has to be fixed.
    """
    findings: list[Finding] = []
    for finding in examine(read_live_settings()):
        findings.append(finding)
        if not for_programs:
            _print(finding)
    if for_programs:
        as_json(findings)
    if any(finding.state is State.BAD for finding in findings):
        raise click.exceptions.Exit(1)


def _print(finding: Finding) -> None:
    line(f"{_MARKS[finding.state]}{finding.subject}: {finding.detail}")
    if finding.way_out:
        line(f"-> {finding.way_out}", indent=len(_MARKS[finding.state]))
