"""What a person may do: pause, resume, resolve, cancel, release; who, why, and which attempt they saw (S9).

It must not know how they asked: the command line and any console call the same functions.
"""

import getpass
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bridge import comments, consequences, scopes
from bridge.approving import Approving
from bridge.comments import second_sends
from bridge.connections import Connections
from bridge.errors import NotPossible, Reason
from bridge.ledger import Ledger, Tx, again, pausing, people, replaying, sending, sessions, working
from bridge.ledger.people import Act
from bridge.mapping.language import MappingSet
from bridge.mapping.withdrawing import narrowed
from bridge.models import (
    Call,
    CallState,
    Device,
    Occasion,
    Part,
    Pause,
    PauseScope,
    Plan,
    Problem,
    Run,
    RunId,
    RunState,
)
from bridge.policy import GO, Ruling, Verdict, too_old_at
from bridge.sending_again import parts_to_send_again
from bridge.setting_aside import SettingAside
from bridge.tokens import Tokens, person_in


def author_here() -> str:
    """Return who is at this command line: the account and the host."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


class Operations:
    """The use cases of people; every one writes who and why into the run's timeline and the audit.

    `mapping_set` looks up the set in force, and gives None where there is none that this version can read.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        connections: Callable[[], Connections],
        clock: Callable[[], datetime],
        aside: SettingAside,
        mapping_set: Callable[[], MappingSet | None],
        approving: Approving,
        tokens: Tokens,
        new_id: Callable[[], str],
    ) -> None:
        self._ledger = ledger
        self._connections = connections
        self._clock = clock
        self._mapping_set = mapping_set
        self._approving = approving
        self._tokens = tokens
        self._new_id = new_id
        self._aside = aside

    def resolve(
        self, run_id: RunId, *, ran: bool, send_again: bool, attempt: int | None, act: Act
    ) -> RunState:
        """Say what became of an unknown run; return its new state.

        `ran` closes it as answered. Otherwise it is closed as refused (as answered where another call of it
        was) or, with `send_again`, gets one further attempt of every call that is unknown. `attempt` is how
        many requests had been made when the person looked; to send again they must say it, or an old
        decision could send what is new.
        Raises NotPossible where the run is not unknown, too old, or another attempt came between.
        """
        if ran and send_again:
            raise NotPossible("an action that ran is not sent again (use --not-ran with --send-again)")
        if send_again and attempt is None:
            raise NotPossible("say which attempt you looked at (see `bridge runs show`, then add --attempt)")
        run, calls, made = self._ledger.read(_seen, run=run_id)
        if send_again and run.plan and self._clock() - run.plan.occurred_at > run.plan.max_age:
            raise NotPossible(f"run {run_id} is older than its mapping allows, so it is not sent again")
        # What an Engine accepted before stays accepted, whatever became of the call that is unknown.
        accepted = ran or any(call.state is CallState.ANSWERED for call in calls)
        ended = RunState.ANSWERED if accepted else RunState.REFUSED
        state = RunState.QUEUED if send_again else ended
        comment = None
        if run.plan is not None and run.state is RunState.UNKNOWN:
            report = comments.resolved(
                run.id, run.plan, calls, ran=ran, send_again=send_again, by=act.author, why=act.reason
            )
            comment = self._aside.owed(run, Occasion.RESOLVED, len(calls), report)
        seen = made if attempt is None else attempt
        self._ledger.write(people.resolve, run=run_id, attempt=seen, state=state, act=act, comment=comment)
        return state

    def send_again(self, run_id: RunId, *, attempt: int, act: Act) -> tuple[Part, ...]:
        """Send an answered run again to exactly the Engines that missed it; return what is planned.

        `attempt` is how many requests had been made when the person looked (S9). Raises NotPossible where
        no Engine missed it, the run is too old, or another attempt came between.
        """
        run, calls, _ = self._ledger.read(_seen, run=run_id)
        if run.plan is None or run.state is not RunState.ANSWERED:
            raise NotPossible(f"run {run_id} is {run.state}; only an answered run is sent again")
        if self._clock() > too_old_at(run.plan):
            raise NotPossible(f"run {run_id} is older than its mapping allows, so it is not sent again")
        plan = self._as_bound_now(run.plan, {device for call in calls for device in call.part.devices})
        parts = parts_to_send_again(plan, calls)
        if not parts:
            raise NotPossible(
                f"run {run_id} was not missed by any Engine (sent again is what an Engine answered with "
                "not_connected, or with timeout where the action is repeatable)"
            )
        report = second_sends.asked(run.id, run.plan, calls, parts, by=act.author, why=act.reason)
        comment = self._aside.owed(run, Occasion.AGAIN, len(calls), report)
        self._ledger.write(
            again.send_again,
            run=run_id,
            plan=plan,
            attempt=attempt,
            parts=parts,
            act=act,
            comment=comment,
        )
        return parts

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

    def replay(self, run_id: RunId, *, act: Act) -> RunId:
        """Have the plan of a run that ended sent as a new run, under every rule again; return the new run.

        Its devices are looked up anew; its age still counts from the change of the ticket. Raises NotPossible
        for a run that has not ended, is too old, or was replayed before.
        """
        run, _, _ = self._ledger.read(_seen, run=run_id)
        if run.plan is None:
            raise NotPossible(
                f"run {run_id} has no plan that could be replayed (there was none, or it was purged)"
            )
        if run.state not in replaying.REPLAYABLE:
            unknown = " (say first what became of it, with `bridge resolve`)"
            hint = unknown if run.state is RunState.UNKNOWN else ""
            raise NotPossible(f"run {run_id} is {run.state}; only a run that ended is replayed{hint}")
        if self._clock() > too_old_at(run.plan):
            raise NotPossible(f"run {run_id} is older than its mapping allows, so it is not replayed")
        self._as_bound_now(run.plan, ())
        new_id = RunId(f"r{self._new_id()}")
        intro = f"Replay of run {run_id}, asked for by {act.author}: {act.reason}"
        style = replace(run.plan.style, intro=" ".join(filter(None, (run.plan.style.intro, intro))))
        plan = replace(run.plan, style=style)
        self._ledger.write(replaying.replay, run=run_id, new_id=new_id, plan=plan, act=act)
        return new_id

    def release(self, run_id: RunId, *, act: Act) -> None:
        """Queue a held run again; everything is looked at again before it is sent, but for limits.

        One that a limit held passes every limit by, for this one send.

        Raises NotPossible for one that is not held, or that would be held again or expire: the message says
        what stands in the way.
        """
        held, ruling = self._ledger.read(_ruled, run=run_id)
        if held.state is RunState.HELD:
            obstacle = _obstacle(held, ruling, self._ledger.read(pausing.standing))
            if obstacle is not None:
                raise NotPossible(f"run {run_id} {obstacle}")
        waive = held.reason is Reason.OVER_LIMIT
        comment = self._aside.released(held, act)
        self._ledger.write(
            people.release, run=run_id, reason=held.reason, waive=waive, act=act, comment=comment
        )

    def approve(self, run_id: RunId, *, secret: str, plan_hash: str, approve: bool, reason: str) -> RunState:
        """Approve or decline a run as the bearer of a personal token; return what it became.

        `plan_hash` is the beginning of the hash of the plan that they saw (S9). Raises NotPossible where the
        token does not count, does not say who they are in the run's source, or they may not decide (L3).
        """
        token = self._tokens.bearer(secret)
        run = self._ledger.read(people.find_run, run=run_id)
        return self._approving.decide(
            run_id,
            person=person_in(run.ticket.source, token.identities),
            by=token.name,
            plan_hash=plan_hash,
            approve=approve,
            act=Act(author=token.name, reason=reason),
        )

    def _as_bound_now(self, plan: Plan, devices: Iterable[Device]) -> Plan:
        """Return a plan as the rules of now bound it; raise NotPossible where they forbid it.

        Without rules that this version can read the plan comes back as it is: the worker sends nothing then.
        """
        mapping_set = self._mapping_set()
        if mapping_set is None:
            return plan
        narrower = narrowed(plan, tuple(devices), mapping_set)
        if isinstance(narrower, Problem):
            raise NotPossible(
                f"the rules do not allow it any more: {narrower.detail} (ask again in the ticket)"
            )
        return narrower

    def release_restored(self, *, act: Act) -> int:
        """Queue the runs that were held because the ledger looked restored; return how many."""
        return self._ledger.write(people.release_restored, act=act)

    def pause(self, scope: PauseScope, value: str, *, lasting: timedelta | None, act: Act) -> Pause:
        """Stop sending within a scope until it is resumed, or for `lasting`; return the pause.

        It holds for every worker before its next intent. Raises NotPossible for a name that is not
        configured, and where it is paused for as long already.
        """
        scopes.require_known(scope, value, connections=self._connections(), mapping_set=self._mapping_set())
        return self._ledger.write(people.pause, scope=scope, value=value, lasting=lasting, act=act)

    def resume(self, scope: PauseScope, value: str, *, act: Act) -> int:
        """Lift a pause and queue what it held; return how many runs. Raises NotPossible where there is none.

        Of what has been paused and then renamed or removed only the ledger knows, so the name is looked up
        among the pauses.
        """
        meant = scopes.among(self._ledger.read(pausing.standing), scope, value)
        if meant is None:
            scopes.require_known(
                scope, value, connections=self._connections(), mapping_set=self._mapping_set()
            )
        value = value if meant is None else meant.value
        return self._ledger.write(people.resume, scope=scope, value=value, act=act)

    def unknown_names(self, names: Mapping[PauseScope, str]) -> tuple[str, ...]:
        """Return a sentence for each name that is not configured, or in no mapping set in force."""
        connections, mapping_set = self._connections(), self._mapping_set()
        said = (
            scopes.unknown(scope, name, connections=connections, mapping_set=mapping_set)
            for scope, name in names.items()
        )
        return tuple(filter(None, said))

    def declare_restored(self) -> int:
        """Hold every unfinished run, after a failover or a restore that the bridge cannot see (W7)."""
        return self._ledger.write(sessions.hold_everything)


def _seen(tx: Tx, *, run: RunId) -> tuple[Run, tuple[Call, ...], int]:
    return people.find_run(tx, run=run), working.calls_of(tx, run=run), people.attempts_made(tx, run=run)


def _ruled(tx: Tx, *, run: RunId) -> tuple[Run, Ruling]:
    found = people.find_run(tx, run=run)
    ruling = sending.first_look(tx, run=found, engine_names=())[1] if found.plan else GO
    return found, ruling


def _obstacle(run: Run, ruling: Ruling, standing: tuple[Pause, ...]) -> str | None:
    """Say what would stop a held run at once if it were released, and the way out; None for nothing."""
    if ruling.verdict is Verdict.EXPIRE:
        return "is too old to be sent; it expires when it is looked at next, and the ticket is told"
    # A pause of Engines or devices is known to stop a run only by what held it.
    named = next((one for one in standing if pausing.named(one) == run.detail), None)
    pause = ruling.pause or (named if run.reason is Reason.PAUSED else None)
    if pause is not None:
        name = pausing.named(pause)
        return f"waits for {name}, which is still paused (`bridge resume {name} --reason TEXT` lifts it)"
    if run.reason is Reason.AWAITING_APPROVAL:
        return f"waits for approval, which is not yours to skip (`bridge approve {run.id}`)"
    if ruling.reason is Reason.CLOCK_WENT_BACK:
        return "waits for the clock, which was set back (see that the time service runs)"
    return None
