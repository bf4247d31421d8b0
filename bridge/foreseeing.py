"""What an act of a person comes to: the run's next state, what is sent, what the ticket is told; or why not.

It must not change anything. Whoever does an act and whoever shows it before ask here, so that both say the
same.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from bridge import comments, consequences, offering
from bridge.approving import told, waiting_for
from bridge.comments import second_sends
from bridge.errors import NotPossible
from bridge.ledger import Ledger, Tx, admitting, pausing, people, replaying, working
from bridge.ledger.people import Act, Sight
from bridge.mapping.language import MappingSet
from bridge.mapping.withdrawing import narrowed
from bridge.models import (
    ApprovalState,
    Call,
    CallState,
    Device,
    DeviceKey,
    IfSeveral,
    Occasion,
    Part,
    Pause,
    Plan,
    Problem,
    Report,
    Run,
    RunId,
    RunState,
)
from bridge.policy import GO, Ruling, too_old_at
from bridge.sending_again import by_part, parts_to_send_again
from bridge.setting_aside import SettingAside

_SENT_AGAIN_AT_RESOLVE = frozenset({CallState.UNKNOWN, CallState.NOT_SENT, CallState.PLANNED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a ticket is told; with its occasion and number a comment is unique."""

    occasion: Occasion
    n: int
    report: Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What is sent to, as (name, UID) where either is known, and how many devices that is.

    `exact` is false where the devices are looked up when it is sent, and may be fewer than `count`.
    """

    devices: tuple[tuple[str | None, str | None], ...]
    count: int
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What an act comes to: `run` as it stands, `made` requests of it until now, `state` what it becomes.

    `plan` is what is sent of from then on, None where nothing is; `parts` are what of it is frozen already.
    `told` is None where the act itself owes the ticket nothing.
    """

    run: Run
    made: int
    state: RunState
    plan: Plan | None
    parts: tuple[Part, ...]
    told: Told | None

    @property
    def sight(self) -> Sight:
        """Return the run as it was looked at (S9)."""
        return Sight(state=self.run.state, reason=self.run.reason, attempt=self.made)

    @property
    def reach(self) -> Reach | None:
        """Return to what it is sent; None where nothing is."""
        if self.plan is None:
            return None
        if self.parts:
            devices = {device.uid: device.name for part in self.parts for device in part.devices}
            known = tuple((name, uid) for uid, name in devices.items())
            return Reach(devices=known, count=len(known), exact=True)
        by_name = self.plan.by is not DeviceKey.UID
        named = tuple((text, None) if by_name else (None, text) for text in self.plan.devices)
        # A login stands for all devices of its user, and a name may be that of several.
        open_ended = self.plan.by is DeviceKey.USER or self.plan.if_several is IfSeveral.ALL
        count = self.plan.max_devices if open_ended else len(named)
        return Reach(devices=named, count=count, exact=not open_ended)


class Foreseeing:
    """Looks ahead for each act; every look raises NotPossible where the run's state or age does not allow it.

    `mapping_set` looks up the set in force, and gives None where there is none that this version can read.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Callable[[], datetime],
        aside: SettingAside,
        mapping_set: Callable[[], MappingSet | None],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._aside = aside
        self._mapping_set = mapping_set

    def resolve(self, run_id: RunId, *, ran: bool, send_again: bool, act: Act) -> Foreseen:
        """Look at saying what became of an unknown run; `send_again` has what did not run sent once more."""
        run, calls, made = self._ledger.read(_seen, run=run_id)
        if run.state is not RunState.UNKNOWN:
            raise people.not_in(run, people.RESOLVABLE)
        if send_again and run.plan and self._clock() > too_old_at(run.plan):
            raise NotPossible(f"run {run_id} is older than its mapping allows, so it is not sent again")
        # What an Engine accepted before stays accepted, whatever became of the call that is unknown.
        accepted = ran or any(call.state is CallState.ANSWERED for call in calls)
        ended = RunState.ANSWERED if accepted else RunState.REFUSED
        state = RunState.QUEUED if send_again else ended
        report = None
        if run.plan is not None:
            report = comments.resolved(
                run.id, run.plan, calls, ran=ran, send_again=send_again, by=act.author, why=act.reason
            )
        return Foreseen(
            run=run,
            made=made,
            state=state,
            plan=run.plan if send_again else None,
            parts=_newest_in(calls, _SENT_AGAIN_AT_RESOLVE) if send_again else (),
            told=_told(Occasion.RESOLVED, len(calls), report),
        )

    def send_again(self, run_id: RunId, *, act: Act) -> Foreseen:
        """Look at sending an answered run again to exactly the Engines that missed it."""
        run, calls, made = self._ledger.read(_seen, run=run_id)
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
        return Foreseen(
            run=run,
            made=made,
            state=RunState.QUEUED,
            plan=plan,
            parts=parts,
            told=Told(occasion=Occasion.AGAIN, n=len(calls), report=report),
        )

    def cancel(self, run_id: RunId, *, act: Act) -> Foreseen:
        """Look at sending nothing more of a run that waits."""
        run, calls, made = self._ledger.read(_seen, run=run_id)
        if run.plan is None or run.state not in people.CANCELLABLE:
            raise NotPossible(f"run {run_id} is {run.state}; only a queued or held run can be cancelled")
        state, n = RunState.CANCELLED, 1
        report = comments.cancelled(run.id, run.plan, by=act.author, why=act.reason)
        if consequences.may_have_run(calls):
            state, n = consequences.ended_state(calls), len(calls)
            why = (f"{act.author} stopped the rest: {act.reason}",)
            report = comments.stopped(run.id, run.plan, calls, why)
        return Foreseen(
            run=run,
            made=made,
            state=state,
            plan=None,
            parts=(),
            told=Told(occasion=Occasion.CANCELLED, n=n, report=report),
        )

    def replay(self, run_id: RunId, *, act: Act) -> Foreseen:
        """Look at having the plan of a run that ended sent as a new run; `plan` is that of the new one."""
        run, _, made = self._ledger.read(_seen, run=run_id)
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
        self._ledger.read(replaying.require_first, run=run_id)
        self._as_bound_now(run.plan, ())
        intro = f"Replay of run {run_id}, asked for by {act.author}: {act.reason}"
        style = replace(run.plan.style, intro=" ".join(filter(None, (run.plan.style.intro, intro))))
        plan = replace(run.plan, style=style)
        return Foreseen(run=run, made=made, state=run.state, plan=plan, parts=(), told=None)

    def release(self, run_id: RunId, *, act: Act) -> Foreseen:
        """Look at queueing a held run again; the message says what would hold it again at once."""
        run, calls, made, ruling, standing = self._ledger.read(_ruled, run=run_id)
        if run.state is not RunState.HELD:
            raise people.not_in(run, people.RELEASABLE)
        obstacle = offering.obstacle(run, ruling, standing)
        if obstacle is not None:
            raise NotPossible(f"run {run_id} {obstacle}")
        released = self._aside.released(run, act)
        return Foreseen(
            run=run,
            made=made,
            state=RunState.QUEUED,
            plan=run.plan,
            parts=_newest_in(calls, frozenset({CallState.PLANNED})),
            told=None if released is None else _told(Occasion.RELEASED, *released),
        )

    def decide(self, run_id: RunId, *, approve: bool, act: Act) -> Foreseen:
        """Look at approving or declining what a run waits with."""
        run, approval = self._ledger.read(waiting_for, run=run_id)
        assert run.plan is not None
        state = ApprovalState.APPROVED if approve else ApprovalState.DECLINED
        occasion, report = told(run.id, run.plan, state, by=act.author)
        return Foreseen(
            run=run,
            made=self._ledger.read(people.attempts_made, run=run_id),
            state=RunState.QUEUED if approve else RunState.CANCELLED,
            plan=run.plan if approve else None,
            parts=approval.parts if approve else (),
            told=_told(occasion, 1, report),
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


def _told(occasion: Occasion, n: int, report: Report | None) -> Told | None:
    return None if report is None else Told(occasion=occasion, n=n, report=report)


def _newest_in(calls: tuple[Call, ...], states: frozenset[CallState]) -> tuple[Part, ...]:
    """Return the parts whose newest attempt is in one of these states."""
    return tuple(attempts[-1].part for attempts in by_part(calls) if attempts[-1].state in states)


def _seen(tx: Tx, *, run: RunId) -> tuple[Run, tuple[Call, ...], int]:
    return working.find_run(tx, run=run), working.calls_of(tx, run=run), people.attempts_made(tx, run=run)


def _ruled(tx: Tx, *, run: RunId) -> tuple[Run, tuple[Call, ...], int, Ruling, tuple[Pause, ...]]:
    found, calls, made = _seen(tx, run=run)
    ruling = admitting.first_look(tx, run=found, engine_names=())[1] if found.plan else GO
    return found, calls, made, ruling, pausing.standing(tx)
