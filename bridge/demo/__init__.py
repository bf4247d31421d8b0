"""The demo: the whole bridge on this machine against simulated systems, with real processes and signatures.

It must not reach anything but loopback, nor use a setting or a file of the folder that it is started from.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from bridge.demo import reading
from bridge.demo.house import House, HouseError
from bridge.demo.narrating import Narrator
from bridge.sandbox import scenario
from bridge.sandbox.client import SandboxError, TicketControl
from bridge.sandbox.running import Sandbox

READY_SECONDS = 60.0
COMMENT_SECONDS = 60.0
LOOK_SECONDS = 0.2
JIRA_TICKET, SERVICENOW_TICKET = "SUP-101", "INC0010001"


def run(*, once: bool, say: Callable[[str], None]) -> int:
    """Run the demo until SIGINT or SIGTERM, or with `once` until both comments came; return the exit code.

    1 where a process ended by itself or a comment did not come in time; the folder with the logs then stays.
    `say` shows one line, which may hold a ticket's text.
    """
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    narrator = Narrator(monotonic=time.monotonic, say=say)
    with Sandbox() as sandbox:
        narrator.step("simulated Nexthink, Jira and ServiceNow are up")
        house = House(sandbox)
        try:
            _show(house, sandbox, narrator, stopping, once=once)
        except (HouseError, SandboxError) as error:
            narrator.failed(str(error), house.folder)
            house.stop()
            return 1
        narrator.step("ending the processes")
        house.stop()
        house.remove()
    return 0


def _show(
    house: House, sandbox: Sandbox, narrator: Narrator, stopping: threading.Event, *, once: bool
) -> None:
    house.start()
    narrator.step(f"bridge and worker are starting in {house.folder}")
    if not _until(house.is_ready, READY_SECONDS, house, stopping):
        return
    narrator.step("the bridge has made its ledger, taken the mapping files and is ready")
    scenario.jira_ticket(sandbox.jira_url, to_url=house.webhook_url("jira"), key=JIRA_TICKET)
    narrator.step(f"Jira ticket {JIRA_TICKET} was approved, and Jira sent its signed webhook")
    scenario.servicenow_ticket(
        sandbox.servicenow_url, to_url=house.webhook_url("servicenow"), number=SERVICENOW_TICKET
    )
    narrator.step(f"ServiceNow incident {SERVICENOW_TICKET} was taken into work, and its rule sent that")
    comments = _Comments(sandbox, narrator)
    if not _until(comments.both_came, COMMENT_SECONDS, house, stopping) or once:
        return
    narrator.next_steps(house, sandbox)
    while not stopping.wait(LOOK_SECONDS):
        house.check()
        comments.show_new()


def _until(ready: Callable[[], bool], seconds: float, house: House, stopping: threading.Event) -> bool:
    """Wait until something is true; False where we are told to stop. Raises HouseError after `seconds`."""
    ends = time.monotonic() + seconds
    while not ready():
        house.check()
        if time.monotonic() > ends:
            raise HouseError(f"nothing came within {seconds:.0f} s")
        if stopping.wait(LOOK_SECONDS):
            return False
    return True


class _Comments:
    """The comments of both ticket systems, each shown once."""

    def __init__(self, sandbox: Sandbox, narrator: Narrator) -> None:
        self._jira = TicketControl(url=sandbox.jira_url)
        self._servicenow = TicketControl(url=sandbox.servicenow_url)
        self._narrator = narrator
        # So many of each system's comments were shown; both only ever grow.
        self._shown = {"jira": 0, "servicenow": 0}
        self._tickets: set[str] = set()

    def both_came(self) -> bool:
        """Show what is new and say whether both tickets have their comment."""
        self.show_new()
        return {JIRA_TICKET, SERVICENOW_TICKET} <= self._tickets

    def show_new(self) -> None:
        """Show the comments that came since the last look."""
        for ticket, lines in self._new():
            self._tickets.add(ticket)
            self._narrator.comment(ticket, lines)

    def _new(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for comment in self._jira.comments()[self._shown["jira"] :]:
            self._shown["jira"] += 1
            yield comment["issue"], reading.of_jira(comment["body"])
        for entry in self._servicenow.comments()[self._shown["servicenow"] :]:
            self._shown["servicenow"] += 1
            yield entry["ticket"], reading.of_servicenow(entry["text"])
