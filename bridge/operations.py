"""What a person may do: resolve an unknown, cancel, release; who, why, and which attempt they saw (S9).

It must not know how they asked: the command line and any console call the same functions.
"""

import getpass
import socket
from collections.abc import Callable

from bridge import comments
from bridge.connections import Connections
from bridge.errors import NotPossible
from bridge.ledger import Ledger, people, sessions, working
from bridge.ledger.people import Act
from bridge.models import Occasion, OwedComment, PortalName, Report, Run, RunId, RunState
from bridge.telling import owed


def author_here() -> str:
    """Return who is at this command line: the account and the host."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


class Operations:
    """The use cases of people; every one writes who and why into the run's timeline."""

    def __init__(self, *, ledger: Ledger, connections: Callable[[], Connections]) -> None:
        self._ledger = ledger
        self._connections = connections

    def resolve(
        self, run_id: RunId, *, ran: bool, send_again: bool, attempt: int | None, act: Act
    ) -> RunState:
        """Say what became of an unknown run; return its new state.

        `ran` closes it as answered. Otherwise it is closed as refused or, with `send_again`, gets one
        further attempt of every call that is unknown. `attempt` None: the one that stands now.
        Raises NotPossible where the run is not unknown, or another attempt came between.
        """
        if ran and send_again:
            raise NotPossible("an action that ran is not sent again (use --not-ran with --send-again)")
        run = self._ledger.read(people.find_run, run=run_id)
        seen = attempt
        if seen is None:
            seen = self._ledger.read(people.newest_attempt, run=run_id)
        state = RunState.ANSWERED if ran else RunState.QUEUED if send_again else RunState.REFUSED
        comment = None
        if run.plan is not None and run.state is RunState.UNKNOWN:
            calls = self._ledger.read(working.calls_of, run=run_id)
            report = comments.resolved(run.id, run.plan, calls, state=state, by=act.author, why=act.reason)
            comment = self._owed(run, Occasion.RESOLVED, seen, report)
        self._ledger.write(people.resolve, run=run_id, attempt=seen, state=state, act=act, comment=comment)
        return state

    def cancel(self, run_id: RunId, *, act: Act) -> None:
        """Cancel a run that waits; raise NotPossible for one that was sent or has ended."""
        run = self._ledger.read(people.find_run, run=run_id)
        if run.plan is None or run.state not in {RunState.QUEUED, RunState.HELD}:
            raise NotPossible(f"run {run_id} is {run.state}; only a queued or held run can be cancelled")
        report = comments.cancelled(run.id, run.plan, by=act.author, why=act.reason)
        self._ledger.write(
            people.cancel, run=run_id, act=act, comment=self._owed(run, Occasion.CANCELLED, 1, report)
        )

    def release(self, run_id: RunId, *, act: Act) -> None:
        """Queue a held run again; its age and its portal are looked at again before anything is sent."""
        self._ledger.write(people.release, run=run_id, act=act)

    def release_portal(self, portal: PortalName, *, act: Act) -> int:
        """Lift a portal's pause and queue what it held; return how many runs."""
        return self._ledger.write(people.release_portal, portal=portal, act=act)

    def release_restored(self, *, act: Act) -> int:
        """Queue the runs that were held because the ledger looked restored; return how many."""
        return self._ledger.write(people.release_restored, act=act)

    def declare_restored(self) -> int:
        """Hold every unfinished run, after a failover or a restore that the bridge cannot see (W7)."""
        return self._ledger.write(sessions.hold_everything)

    def _owed(self, run: Run, occasion: Occasion, n: int, report: Report) -> OwedComment:
        assert run.plan is not None
        source = self._connections().sources.get(run.ticket.source)
        if source is None:
            raise NotPossible(f"source {run.ticket.source} is not configured, so its ticket cannot be told")
        return owed(
            source.system,
            run=run.id,
            occasion=occasion,
            n=n,
            visibility=run.plan.style.visibility,
            report=report,
        )
