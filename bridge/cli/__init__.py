"""The command line: `bridge`, and the same as `python -m bridge`.

It must not hold rules of its own: each command calls a use case and shows what that returned.
"""

import click

from bridge.cli import (
    acts,
    again,
    approving,
    arrivals,
    auditing,
    backtesting,
    configuration,
    console,
    explaining,
    files,
    health,
    kits,
    moving,
    pausing,
    processes,
    purging,
    runs,
)
from bridge.cli.door import Door


@click.group(
    cls=Door,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    commands=[
        files.check,
        explaining.explain,
        backtesting.backtest,
        arrivals.why,
        arrivals.deliveries,
        arrivals.sample,
        runs.runs,
        acts.resolve,
        again.send_again,
        acts.cancel,
        acts.release,
        acts.replay,
        approving.approve,
        approving.token,
        pausing.pause,
        pausing.resume,
        pausing.pauses,
        acts.declare_restored,
        auditing.audit,
        purging.purge,
        purging.erase,
        configuration.config,
        console.console,
        files.schema,
        kits.kit,
        processes.migrate,
        moving.copy,
        processes.worker,
        processes.sandbox,
        processes.demo,
        health.doctor,
    ],
)
@click.version_option(package_name="nexthink-ticket-bridge")
def main() -> None:
    """Run mapped Nexthink remote actions for Jira and ServiceNow tickets.

    Settings come from the environment and a file .env in the working directory.
    Exit codes: 0 good, 1 a problem that was to be expected, 2 wrong usage, 3 unexpected, 130 interrupted.
    """
