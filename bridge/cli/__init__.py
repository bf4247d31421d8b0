"""The command line: `bridge`, and the same as `python -m bridge`.

It must not hold rules of its own: each command calls a use case and shows what that returned.
"""

import click

from bridge.cli.door import Door, Found


@click.group(
    cls=Door,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    # In the order of use, each where its module has it: a worker loads no command but its own.
    commands=Found(
        {
            "check": "bridge.cli.files:check",
            "explain": "bridge.cli.explaining:explain",
            "backtest": "bridge.cli.backtesting:backtest",
            "why": "bridge.cli.arrivals:why",
            "deliveries": "bridge.cli.arrivals:deliveries",
            "sample": "bridge.cli.arrivals:sample",
            "runs": "bridge.cli.runs:runs",
            "resolve": "bridge.cli.acts:resolve",
            "send-again": "bridge.cli.again:send_again",
            "cancel": "bridge.cli.acts:cancel",
            "release": "bridge.cli.acts:release",
            "replay": "bridge.cli.acts:replay",
            "approve": "bridge.cli.approving:approve",
            "token": "bridge.cli.approving:token",
            "pause": "bridge.cli.pausing:pause",
            "resume": "bridge.cli.pausing:resume",
            "pauses": "bridge.cli.pausing:pauses",
            "declare-restored": "bridge.cli.acts:declare_restored",
            "audit": "bridge.cli.auditing:audit",
            "purge": "bridge.cli.purging:purge",
            "erase": "bridge.cli.purging:erase",
            "config": "bridge.cli.configuration:config",
            "console": "bridge.cli.console:console",
            "schema": "bridge.cli.files:schema",
            "kit": "bridge.cli.kits:kit",
            "migrate": "bridge.cli.processes:migrate",
            "copy": "bridge.cli.moving:copy",
            "worker": "bridge.cli.processes:worker",
            "sandbox": "bridge.cli.processes:sandbox",
            "demo": "bridge.cli.processes:demo",
            "doctor": "bridge.cli.health:doctor",
        }
    ),
)
@click.version_option(package_name="nexthink-ticket-bridge")
def main() -> None:
    """Run mapped Nexthink remote actions for Jira and ServiceNow tickets.

    Settings come from the environment and a file .env in the working directory.
    Exit codes: 0 good, 1 a problem that was to be expected, 2 wrong usage, 3 unexpected, 130 interrupted.
    """
