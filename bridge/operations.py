"""What a person may do: resolve an unknown, cancel, release; who, why, and which attempt they saw (S9).

It must not know how they asked: the command line and any console call the same functions.
"""

import getpass
import socket
from collections.abc import Callable
from datetime import datetime

from bridge import comments, consequences
from bridge.connections import Connections
from bridge.errors import NotPossible, Reason
from bridge.ledger import Ledger, Tx, pausing, people, sessions, working
from bridge.ledger.people import Act
from bridge.models import Call, Occasion, PauseScope, PortalName, Run, RunId, RunState
from bridge.setting_aside import SettingAside, Trips


def author_here() -> str:
    """Return who is at this command line: the account and the host."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


class Operations:
    """The use cases of people; every one writes who and why into the run's timeline."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        connections: Callable[[], Connections],
        clock: Callable[[], datetime],
        trips: Trips,
    ) -> None:
        self._ledger = ledger
        self._connections = connections
        self._clock = clock
        self._aside = SettingAside(ledger=ledger, connections=connections, trips=trips)

    def resolve(
        self, run_id: RunId, *, ran: bool, send_again: bool, attempt: int | None, act: Act
    ) -> RunState:
        """Say what became of an unknown run; return its new state.

        `ran` closes it as answered. Otherwise it is closed as refused or, with `send_again`, gets one
        further attempt of every call that is unknown. `attempt` is how many requests had been made when the
        person looked; to send again they must say it, or an old decision could send what is new.
        Raises NotPossible where the run is not unknown, too old, or another attempt came between.
        """
        if ran and send_again:
            raise NotPossible("an action that ran is not sent again (use --not-ran with --send-again)")
        if send_again and attempt is None:
            raise NotPossible("say which attempt you looked at (see `bridge runs show`, then add --attempt)")
        run, calls, made = self._ledger.read(_seen, run=run_id)
        if send_again and run.plan and self._clock() - run.plan.occurred_at > run.plan.max_age:
            raise NotPossible(f"run {run_id} is older than its mapping allows, so it is not sent again")
        state = RunState.ANSWERED if ran else RunState.QUEUED if send_again else RunState.REFUSED
        comment = None
        if run.plan is not None and run.state is RunState.UNKNOWN:
            report = comments.resolved(run.id, run.plan, calls, state=state, by=act.author, why=act.reason)
            comment = self._aside.owed(run, Occasion.RESOLVED, len(calls), report)
        seen = made if attempt is None else attempt
        self._ledger.write(people.resolve, run=run_id, attempt=seen, state=state, act=act, comment=comment)
        return state

    def cancel(self, run_id: RunId, *, act: Act) -> RunState:
        """Send nothing more of a run that waits; return what it became.

        Raises NotPossible for one that is under way or has ended.
        """
        run, calls, made = self._ledger.read(_seen, run=run_id)
        if run.plan is None or run.state not in {RunState.QUEUED, RunState.HELD}:
            raise NotPossible(f"run {run_id} is {run.state}; only a queued or held run can be cancelled")
        state, n = RunState.CANCELLED, 1
        report = comments.cancelled(run.id, run.plan, by=act.author, why=act.reason)
        if consequences.may_have_run(calls):
            state, n = consequences.ended_state(calls), len(calls)
            why = (f"{act.author} stopped the rest: {act.reason}",)
            report = comments.stopped(run.id, run.plan, calls, why)
        comment = self._aside.owed(run, Occasion.CANCELLED, n, report)
        self._ledger.write(people.cancel, run=run_id, attempt=made, state=state, act=act, comment=comment)
        return state

    def release(self, run_id: RunId, *, act: Act) -> None:
        """Queue a held run again; its age and its portal are looked at again before anything is sent.

        Raises NotPossible for one that is not held, or whose portal is still paused: it would be held again.
        """
        held, _, _ = self._ledger.read(_seen, run=run_id)
        portal = held.plan.portal if held.plan and held.reason is Reason.PORTAL_PAUSED else None
        if portal is not None and self._is_paused(portal):
            raise NotPossible(
                f"run {run_id} waits for portal {portal}, which is still paused "
                f"(mend the cause, then `bridge release --portal {portal} --reason TEXT`)"
            )
        self._ledger.write(people.release, run=run_id, act=act)

    def release_portal(self, portal: PortalName, *, act: Act) -> int:
        """Lift a portal's pause and queue what it held; return how many runs.

        Raises NotPossible for a portal that is not paused, with the names where it is none of ours.
        """
        known = sorted(self._connections().portals)
        if portal not in known and not self._is_paused(portal):
            raise NotPossible(f"there is no portal {portal} (configured: {', '.join(known) or 'none'})")
        return self._ledger.write(people.release_portal, portal=portal, act=act)

    def release_restored(self, *, act: Act) -> int:
        """Queue the runs that were held because the ledger looked restored; return how many."""
        return self._ledger.write(people.release_restored, act=act)

    def _is_paused(self, portal: PortalName) -> bool:
        # Of what has been paused and then renamed or removed only the ledger knows.
        return pausing.holds(self._ledger.read(pausing.standing), PauseScope.PORTAL, portal)

    def declare_restored(self) -> int:
        """Hold every unfinished run, after a failover or a restore that the bridge cannot see (W7)."""
        return self._ledger.write(sessions.hold_everything)


def _seen(tx: Tx, *, run: RunId) -> tuple[Run, tuple[Call, ...], int]:
    return people.find_run(tx, run=run), working.calls_of(tx, run=run), people.attempts_made(tx, run=run)
