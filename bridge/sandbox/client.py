"""A small client of the control API, for tests and the demo that run in another process.

It must not be used by the bridge itself, which knows nothing of a sandbox.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = Any
TIMEOUT_SECONDS = 30.0


class SandboxError(Exception):
    """The control API refused or could not be reached; the message says what it answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What every simulated system can be asked; `url` is its address without a path."""

    url: str

    def call(self, method: str, path: str, document: Json = None) -> Json:
        """Send a control request and return its JSON, None where there is none; raise SandboxError."""
        request = urllib.request.Request(  # noqa: S310 - the address is the caller's own sandbox
            f"{self.url}/_sandbox/{path}",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={"Content-Type": "application/json"},
        )
        # No proxy of the environment may stand between a test and loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise SandboxError(f"{error.code}: {error.read().decode()}") from error
        except OSError as error:
            raise SandboxError(f"{self.url} cannot be reached: {error}") from error
        return json.loads(text) if text else None

    def fault(self, kind: str, **options: Json) -> None:
        """Ask for a fault; the options are those of the documentation's table."""
        self.call("POST", "faults", {"kind": kind, **options})

    def clear_faults(self) -> None:
        """Forget the faults that are still to come."""
        self.call("DELETE", "faults")

    def requests(self) -> Json:
        """Return the requests that the system saw, oldest first."""
        return self.call("GET", "requests")

    def reset(self) -> None:
        """Forget faults, witnesses and everything that was created."""
        self.call("POST", "reset")


class NexthinkControl(Control):
    """The portal's witness and script."""

    __slots__ = ()

    def calls(self) -> Json:
        """Return every Act call, and the counts by requestUid and by device and action."""
        return self.call("GET", "calls")

    def answer(self, **script: Json) -> None:
        """Tell an Engine what to answer (code, message, engine, device) or the portal (error)."""
        self.call("POST", "answers", script)

    def log_on(self, user: str, device: str, *, engine: str, at: str) -> None:
        """Record that an account (`login@DOMAIN`) logged on to a device, as an Engine saw it."""
        self.call("PUT", "logons", {"user": user, "device": device, "engine": engine, "at": at})

    def world(self) -> Json:
        """Return the Engines, devices and remote actions that exist."""
        return self.call("GET", "world")


class TicketControl(Control):
    """What the simulated Jira and ServiceNow have in common."""

    __slots__ = ()

    def comments(self) -> Json:
        """Return every comment, oldest first."""
        return self.call("GET", "comments")

    def deliveries(self) -> Json:
        """Return every try of every webhook, of Jira and ServiceNow alike."""
        return self.call("GET", "deliveries")

    def behave(self, **behaviour: Json) -> None:
        """Set how the system behaves until the reset."""
        self.call("PUT", "behaviour", behaviour)

    def register(self, **target: Json) -> None:
        """Register a webhook target, told of every change that the bridge's own comments make."""
        self.call("POST", "targets", target)

    def webhook(self, **order: Json) -> Json:
        """Send a webhook; return what names the change."""
        return self.call("POST", "webhooks", order)


def wait_for(ready: Callable[[], Json], *, seconds: float = 10.0) -> Json:
    """Ask until there is something true and return it; raise SandboxError when the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := ready():
            return found
        time.sleep(0.05)
    raise SandboxError(f"nothing came within {seconds} seconds")
