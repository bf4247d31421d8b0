"""What the demo says on the terminal, as it happens.

It must not do anything else.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from bridge.demo.house import House
from bridge.sandbox.running import Sandbox

_WIDTH = 100


class Narrator:
    """Tells each step with the seconds since the start.

    `monotonic` gives seconds; `say` shows one line at once, whatever stands in it.
    """

    def __init__(self, *, monotonic: Callable[[], float], say: Callable[[str], None]) -> None:
        self._monotonic = monotonic
        self._write = say
        self._began = monotonic()

    def step(self, text: str) -> None:
        """Tell a step."""
        self._say(f"{self._monotonic() - self._began:5.1f} s  {text}")

    def comment(self, ticket: str, lines: tuple[str, ...]) -> None:
        """Show a comment as it stands in a ticket."""
        self.step(f"the bridge wrote into {ticket}:")
        self._say()
        for line in lines:
            self._say(f"         │ {line}".rstrip())
        self._say()

    def failed(self, why: str, folder: Path) -> None:
        """Tell why the demo cannot go on, and where its logs are."""
        self.step(why)
        self._say(f"The logs are in {folder}")

    def next_steps(self, house: House, sandbox: Sandbox) -> None:
        """Tell where everything is and what to try."""
        bridge = f"{sys.executable} -m bridge"
        ticket = (
            f"from bridge.sandbox import scenario; scenario.jira_ticket('{sandbox.jira_url}', "
            f"to_url='{house.webhook_url('jira')}', key='SUP-201')"
        )
        fault = '{"kind": "reset_after_read", "path": "/api/remoteaction/*"}'
        self._say("─" * _WIDTH)
        self._say(f"Console     {house.url}/")
        self._say(f"Health      {house.url}/health    metrics {house.url}/metrics")
        self._say(f"Simulated   Nexthink {sandbox.nexthink_url}   Jira {sandbox.jira_url}")
        self._say(f"            ServiceNow {sandbox.servicenow_url}")
        self._say()
        self._say("In another terminal, from the folder of the demo:")
        self._say(f"  cd {house.folder}")
        self._say(f"  {bridge} runs")
        self._say(f"  {bridge} why SUP-101")
        self._say(f"  {bridge} doctor")
        self._say()
        self._say("Let the next action be carried out and its answer be lost, then approve another ticket:")
        self._say(f"  curl -X POST {sandbox.nexthink_url}/_sandbox/faults \\")
        self._say(f"    -H 'Content-Type: application/json' -d '{fault}'")
        self._say(f'  {sys.executable} -c "{ticket}"')
        self._say()
        self._say(f"Mappings that you edit in {house.folder / 'mappings'} are taken within seconds.")
        self._say("Ctrl-C ends it all.")

    def _say(self, text: str = "") -> None:
        for line in text.split("\n"):
            self._write(line)
