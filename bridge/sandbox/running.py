"""Runs the three simulated systems in threads of one process.

It must not listen on anything but loopback.
"""

import signal
import ssl
import sys
from types import TracebackType
from typing import Self

from bridge.sandbox.jira import app as jira
from bridge.sandbox.nexthink import app as nexthink
from bridge.sandbox.nexthink.world import World, default_world
from bridge.sandbox.sending import Sender
from bridge.sandbox.servicenow import app as servicenow
from bridge.sandbox.wire import Listener


class Sandbox:
    """A simulated Nexthink, Jira and ServiceNow, each on a loopback port; 0 lets the system choose.

    `tls` serves all three over HTTPS. A sandbox runs once: after `stop` make a new one.
    """

    def __init__(
        self,
        *,
        nexthink_port: int = 0,
        jira_port: int = 0,
        servicenow_port: int = 0,
        world: World | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._sender = Sender()
        portal = nexthink.create_site(world or default_world())
        jira_site = jira.create_site(self._sender, lambda: self.jira_url)
        instance = servicenow.create_site(self._sender, lambda: self.servicenow_url)
        self._nexthink = Listener(port=nexthink_port, site=portal, context=tls)
        self._jira = Listener(port=jira_port, site=jira_site, context=tls)
        self._servicenow = Listener(port=servicenow_port, site=instance, context=tls)
        self._listeners = (self._nexthink, self._jira, self._servicenow)

    @property
    def nexthink_url(self) -> str:
        """Return the address of the portal."""
        return self._nexthink.url

    @property
    def nxql_url(self) -> str:
        """Return the template of the Engines' query addresses; `{name}` is an Engine's name or UID."""
        return f"{self._nexthink.url}/nxql/{{name}}/2/query"

    @property
    def jira_url(self) -> str:
        """Return the address of Jira, Cloud and Data Center alike."""
        return self._jira.url

    @property
    def servicenow_url(self) -> str:
        """Return the address of the ServiceNow instance."""
        return self._servicenow.url

    def start(self) -> None:
        """Start to serve."""
        for listener in self._listeners:
            listener.start()

    def stop(self) -> None:
        """Stop serving, wake every delayed answer and make no further webhook tries."""
        self._sender.stop()
        for listener in self._listeners:
            listener.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(
    *, nexthink_port: int, jira_port: int, servicenow_port: int, action_uids: tuple[str, ...] = ()
) -> None:
    """Serve until SIGINT or SIGTERM, and print the addresses; `action_uids` are further remote actions."""
    endings = {signal.SIGINT, signal.SIGTERM}
    # Blocked before there is a thread: they wait until they are asked for, and interrupt nobody.
    signal.pthread_sigmask(signal.SIG_BLOCK, endings)
    sandbox = Sandbox(
        nexthink_port=nexthink_port,
        jira_port=jira_port,
        servicenow_port=servicenow_port,
        world=default_world(action_uids=action_uids),
    )
    with sandbox:
        sys.stdout.write(
            f"Nexthink   {sandbox.nexthink_url}\n"
            f"NXQL       {sandbox.nxql_url}\n"
            f"Jira       {sandbox.jira_url}\n"
            f"ServiceNow {sandbox.servicenow_url}\n"
        )
        sys.stdout.flush()
        signal.sigwait(endings)
