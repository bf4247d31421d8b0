"""Whatever comes in whatever order, nothing is sent too old, paused, unapproved, over a limit or twice.

Runs arrive, workers claim, send and die, answers come, are lost or late, people pause, decide, release,
cancel and send again, and the clock goes on or back. Each request that the ledger lets go is held against
what this file remembers by itself; it never asks the ledger or the policy whether that was right.

The sequences are drawn by a seeded chance and not by Hypothesis: what matters lies several fitting steps
deep, where its choices rarely led, and making a failure smaller took it minutes of real commits.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import pytest
from sqlalchemy import func, select

from bridge import policy
from bridge.errors import LostOwnership, NotPossible, Reason
from bridge.ledger import (
    Ledger,
    Tx,
    accepting,
    admitting,
    again,
    approvals,
    claiming,
    late,
    pausing,
    people,
    sending,
    sessions,
    starting,
    working,
)
from bridge.ledger.claiming import Allowance
from bridge.ledger.people import Act
from bridge.ledger.sending import Next
from bridge.ledger.tables import METADATA, calls
from bridge.models import (
    ApprovalRule,
    ApprovalState,
    Call,
    CallResult,
    CallState,
    Delivery,
    DeliveryId,
    Device,
    DeviceUid,
    EngineCode,
    EngineOutcome,
    EngineUid,
    Layer,
    Limit,
    LimitKind,
    MappingId,
    Mode,
    Occasion,
    OwedComment,
    Part,
    PauseScope,
    Plan,
    PortalName,
    Run,
    RunId,
    RunState,
    SessionId,
    SourceName,
    TicketRef,
    Visibility,
)
from bridge.policy import Verdict
from bridge.sending_again import parts_to_send_again

MAIN = PortalName("main")
ACT = Act(author="ann", reason="because")
LASTING = timedelta(seconds=80)
# Short against the steps of the clock, so that a sequence of a few steps meets each of them.
MAX_AGE, WINDOW, COOLDOWN, TO_APPROVE = (timedelta(minutes=minutes) for minutes in (60, 30, 10, 20))
CLOCK_TOLERANCE, READ_WITHIN = timedelta(minutes=5), timedelta(seconds=30)
BRIDGE, MAPPING, DEVICES = 3, 2, 4
LIMITS = (
    Limit(kind=LimitKind.PER_HOUR, layer=Layer.BRIDGE, most=BRIDGE, window=WINDOW),
    Limit(kind=LimitKind.PER_HOUR, layer=Layer.MAPPING, most=MAPPING, window=WINDOW),
    Limit(kind=LimitKind.DEVICES_PER_DAY, layer=Layer.ACTION, most=DEVICES, window=WINDOW),
    Limit(kind=LimitKind.COOLDOWN, layer=Layer.ACTION, most=1, window=COOLDOWN),
)
PAUSES = ((PauseScope.EVERYTHING, ""), (PauseScope.MAPPING, "a"), (PauseScope.DEVICES, "WS-1-."))
ENGINES = (EngineUid("e" * 32), EngineUid("f" * 32))
OK, MISSED = EngineCode.OK, EngineCode.NOT_CONNECTED
# How a call ends, and what each Engine says; None: its intent is closed because the COMMIT raised.
ENDS = (
    (CallState.ANSWERED, (OK, OK)),
    (CallState.ANSWERED, (OK, MISSED)),
    (CallState.ANSWERED, (MISSED, MISSED)),
    (CallState.REFUSED, ()),
    (CallState.NOT_SENT, ()),
    (CallState.UNKNOWN, ()),
    (CallState.UNKNOWN, ()),
    (None, ()),
)
ENDED_BY = {
    Verdict.EXPIRE: RunState.EXPIRED,
    Verdict.CANCEL: RunState.CANCELLED,
    Verdict.REFUSE: RunState.REFUSED,
}


@dataclass
class Sent:
    """A request that the ledger let go."""

    attempt: int
    at: datetime
    devices: frozenset[DeviceUid]
    engines: tuple[EngineUid, ...] | None
    state: CallState = CallState.INTENDED
    words: dict[EngineUid, EngineCode] = field(default_factory=dict)


@dataclass
class Known:
    """What is remembered of a run.

    `leave` is for one request: a run comes with one, gets it back for a request that provably was not sent,
    and has another one of a person only. `asked` is which devices the approver is shown, and until when.
    """

    mapping: str
    numbers: tuple[int, ...]
    made_at: datetime
    above: int | None
    limited: bool
    leave: bool = True
    held_for: Reason | None = None
    waived: bool = False
    declined: bool = False
    restored: bool = False
    asked: tuple[frozenset[DeviceUid], datetime] | None = None
    approved: bool = False
    sent: list[Sent] = field(default_factory=list)

    @property
    def counted(self) -> Iterator[Sent]:
        return (sent for sent in self.sent if sent.state is not CallState.NOT_SENT)


@dataclass(frozen=True)
class Work:
    """What comes and goes between two events: runs arrive, time passes, a worker claims and sends, calls end.

    `asked` are mapping, devices by number, above how many it needs approval, and whether it has limits.
    `before` minutes pass before the claim of at `most` so many, `between` more after it; then names may
    mean other devices for once. `going` of what is claimed are sent, with tickets that were read `read`
    seconds ago.
    """

    asked: list[tuple[str, tuple[int, ...], int | None, bool]]
    before: int
    between: int
    moved: bool
    most: int
    going: int
    read: int
    ends: list[tuple[CallState | None, tuple[EngineCode, ...]]]


def some_work(chance: Random) -> Work:
    return Work(
        asked=[
            (
                chance.choice("aab"),
                chance.choice(((1,), (2,), (3,), (2, 3), (1, 2, 3, 4, 5))),
                chance.choice((None, None, 0, 1)),
                chance.random() < 0.5,
            )
            for _ in range(chance.randrange(3))
        ],
        before=chance.choice((0, 0, 0, 0, 1, 2, 6, 12)),
        between=chance.choice((*[0] * 15, 21, 61, -10)),
        moved=chance.random() < 0.15,
        most=chance.choice((5, 5, 2)),
        going=chance.choice((9, 9, 9, 1, 0)),
        read=chance.choice((0, 0, 0, 40)),
        ends=chance.choices(ENDS, k=chance.randrange(4)),
    )


class Machine:
    """One sequence; `chance` decides what happens in it."""

    def __init__(self, ledger: Ledger, clock: Any, make_plan: Callable[..., Plan], chance: Random) -> None:
        self.ledger, self.clock, self.make_plan, self.chance = ledger, clock, make_plan, chance
        with ledger.engine.connect().execution_options(writing=True) as connection, connection.begin():
            for table in reversed(METADATA.sorted_tables):
                connection.execute(table.delete())
        self.steps: list[str] = []
        self.start = clock.now
        self.numbers, self.names = count(1), count(1)
        self.runs: dict[RunId, Known] = {}
        self.pauses: list[tuple[PauseScope, datetime]] = []
        self.claimed: list[Run] = []
        self.open_calls: list[tuple[Run, Call]] = []
        self.lost_runs: list[Run] = []
        self.lost_calls: list[tuple[Run, Call]] = []
        self.place = 0
        self._open()

    def _open(self) -> None:
        self.session = SessionId(f"s{next(self.names)}")
        if self.ledger.write(sessions.open_session, session=self.session, host="host", pid=1):
            for known in self.runs.values():
                # What waits already waits for a person too; but for a loop, which a person frees anyway.
                if known.leave and known.held_for not in (Reason.LOOP, Reason.RESTORED):
                    known.held_for, known.restored = Reason.RESTORED, True

    def step(self) -> None:
        """Let something happen, then work."""
        happening = self.chance.choice((None, *self._events()))
        work = some_work(self.chance)
        self.steps.append(f"{happening.__name__ if happening else 'nothing else'}, then {work}")
        if happening is not None:
            happening()
        self._work(work)
        made = sum(len(known.sent) for known in self.runs.values())
        assert self.ledger.read(requests) == made, "the ledger let go what nobody asked for"

    def _events(self) -> Iterator[Callable[[], None]]:
        """Return what may happen now."""
        if self.claimed or self.open_calls:
            yield self.worker_dies
        if self.lost_runs or self.lost_calls:
            yield self.dead_worker_goes_on
        if not self.pauses:
            yield self.pause
        if self._held(Reason.AWAITING_APPROVAL):
            yield self.decide
        if self._held(*Reason):
            yield self.release_or_cancel
        if self._stopped_at(CallState.UNKNOWN):
            yield self.send_unknown_again
        if self._stopped_at(CallState.ANSWERED):
            yield self.send_missed_again

    def _possible(self, operation: Callable[..., object], **given: object) -> bool:
        """Write what a person wants; return False where that is refused."""
        try:
            self.ledger.write(operation, **given)
        except NotPossible:
            return False
        return True

    # ── what happens in every step ──

    def _work(self, work: Work) -> None:
        """Work in two transactions, so that a step is cheap; the clock moves before each."""
        self._move_clock(work.before)
        self.ledger.write(self._take_in, work)
        self._move_clock(work.between)
        self.ledger.write(self._carry_out, work)

    def _take_in(self, tx: Tx, work: Work) -> None:
        """Accept, wake whom time may have freed, and claim; that some are too old is left to the policy."""
        for mapping, numbers, above, limited in work.asked:
            self._accept(tx, mapping, numbers, above, limited)
        for run in working.due_held(tx, limit=20).runs:
            if run.reason is not Reason.RESTORED:
                working.wake(tx, run=run)
                self.runs[run.id].held_for = None
        allowance = Allowance(portal=MAIN, runs=work.most)
        self.claimed += claiming.claim(tx, session=self.session, allowances=(allowance,), configured=(MAIN,))

    def _carry_out(self, tx: Tx, work: Work) -> None:
        self.place = int(work.moved)
        for _ in range(min(work.going, len(self.claimed))):
            run = self.claimed.pop(0)
            try:
                self._send(tx, run, tx.now - timedelta(seconds=work.read))
            except LostOwnership:
                # An earlier attempt may still be under way.
                working.give_back(tx, run=run, delay=timedelta(seconds=30), reason=None)
        for state, codes in work.ends[: len(self.open_calls)]:
            run, call = self.open_calls.pop(0)
            if state is None:
                sending.close_not_sent(tx, run=run, delay=timedelta())
                self._ended(run.id, call, CallState.NOT_SENT, {})
            else:
                self._answer(tx, run, call, state, codes)

    def _accept(
        self, tx: Tx, mapping: str, numbers: tuple[int, ...], above: int | None, limited: bool
    ) -> None:
        number = next(self.numbers)
        ticket = TicketRef(source=SourceName("jira"), uid=str(number), key=f"SUP-{number}")
        plan = self.make_plan(
            mapping=MappingId(mapping),
            devices=tuple(map(str, numbers)),
            limits=LIMITS if limited else (),
            max_age=MAX_AGE,
            occurred_at=self.clock.now,
            ticket=ticket,
            approval=None if above is None else ApprovalRule(above=above, expires=TO_APPROVE),
        )
        new = starting.NewRun(
            id=RunId(f"r{number}"),
            mapping=plan.mapping,
            mode=Mode.LIVE,
            key="once",
            ticket=ticket,
            state=RunState.QUEUED,
            reason=None,
            detail=None,
            plan=plan,
            comment=None,
        )
        delivery = Delivery(
            source=ticket.source,
            key=f"k{number}",
            digest=f"{number:064}",
            timed=True,
            payload={},
            received_at=self.clock.now,
        )
        verdict = accepting.Verdict(
            reason=None, detail=None, ticket=ticket, findings=[], mapping_set="0" * 64, runs=(new,)
        )
        self.runs[new.id] = Known(mapping, numbers, self.clock.now, above, limited)
        accepting.accept(tx, delivery_id=DeliveryId(f"d{number}"), delivery=delivery, verdict=verdict)

    def _move_clock(self, minutes: int) -> None:
        """Move the clock, never back past a request: of a run sent again limits count the last one only."""
        last = max((sent.at for known in self.runs.values() for sent in known.sent), default=self.start)
        self.clock.now = max(self.clock.now + timedelta(minutes=minutes), last)
        self.pauses = [(scope, until) for scope, until in self.pauses if until > self.clock.now]

    def _send(self, tx: Tx, run: Run, read_at: datetime) -> None:
        assert run.plan is not None
        looked_up = self._looked_up(run.id)
        frozen = working.calls_of(tx, run=run.id)
        parts = () if frozen else (looked_up,)
        admission = admitting.admit(tx, run=run, parts=parts, lasting=LASTING, read_at=read_at)
        ruling, call = admission.ruling, admission.call
        if ruling.verdict is Verdict.GO:
            # Without a call a late answer has left nothing to send.
            if call is None:
                self._end(tx, run, RunState.ANSWERED, None)
            else:
                self._check(run, call, read_at)
        elif ruling.verdict is Verdict.READ:
            working.give_back(tx, run=run, delay=timedelta(), reason=None)
        elif ruling.verdict is Verdict.ASK:
            self._ask(tx, run, frozen[0].part if frozen else looked_up)
        elif ruling.verdict is Verdict.HOLD:
            self._hold(tx, run, ruling.reason, ruling.until or policy.too_old_at(run.plan))
        else:
            self._end(tx, run, ENDED_BY[ruling.verdict], ruling.reason)

    def _looked_up(self, run: RunId) -> Part:
        """Return what a run's names mean by now."""
        devices = tuple(
            Device(uid=DeviceUid(f"{10 * number + self.place:032}"), name=f"WS-{number}-{self.place}")
            for number in self.runs[run].numbers
        )
        return Part(number=1, devices=devices, engines=None)

    def _ask(self, tx: Tx, run: Run, part: Part) -> None:
        assert run.plan is not None
        plan_hash = policy.plan_hash(run.plan, (part,))
        expires_at = self.clock.now + TO_APPROVE
        approvals.ask(tx, run=run.id, plan_hash=plan_hash, parts=(part,), expires_at=expires_at)
        self.runs[run.id].asked = devices_of(part), expires_at
        self._hold(tx, run, Reason.AWAITING_APPROVAL, expires_at)

    def _hold(self, tx: Tx, run: Run, reason: Reason | None, due_at: datetime) -> None:
        assert reason is not None
        working.hold(tx, run=run, reason=reason, detail=None, due_at=due_at, comment=None)
        self.runs[run.id].held_for = reason

    def _end(self, tx: Tx, run: Run, state: RunState, reason: Reason | None) -> None:
        working.end(tx, run=run, state=state, reason=reason, detail=None, comment=None)

        # ── what happens now and then ──
        self.runs[run.id].leave = False

    def _answer(self, tx: Tx, run: Run, call: Call, state: CallState, codes: tuple[EngineCode, ...]) -> None:
        result = answered(call, state, codes)
        self._ended(run.id, call, state, {outcome.engine: outcome.code for outcome in result.outcomes})
        following = Next(state=self._state_after(run.id, state), again=state is CallState.NOT_SENT)
        sending.answer(tx, run=run, call=call, result=result, following=following)

    def _state_after(self, run: RunId, state: CallState) -> RunState:
        if state is CallState.NOT_SENT:
            return RunState.QUEUED
        if state is CallState.UNKNOWN:
            return RunState.UNKNOWN
        accepted = any(sent.state is CallState.ANSWERED for sent in self.runs[run].sent)
        return RunState.ANSWERED if accepted else RunState.REFUSED

    def _ended(self, run: RunId, call: Call, state: CallState, words: dict[EngineUid, EngineCode]) -> None:
        known = self.runs[run]
        sent = next(each for each in known.sent if each.attempt == call.attempt)
        sent.state, sent.words = state, words
        if state is CallState.NOT_SENT:
            known.leave |= all(each.state in {CallState.NOT_SENT, CallState.REFUSED} for each in known.sent)
            known.leave |= sent is known.sent[-1]
        if state is CallState.ANSWERED:
            known.leave = False

    def worker_dies(self) -> None:
        """The worker is found dead: what it had claimed is queued again, what it had sent is unknown."""
        self._work(replace(some_work(self.chance), going=1, ends=[]))
        self.ledger.write(self._bury)
        self.lost_runs, self.claimed = self.claimed, []
        self.lost_calls, self.open_calls = self.lost_calls + self.open_calls, []
        self._open()

    def _bury(self, tx: Tx) -> None:
        beat = next(each for each in sessions.beats(tx) if each.session == self.session)
        sessions.bury(tx, session=self.session, seen=beat.count)
        left = [bereaved.run for bereaved in sessions.bereaved(tx)]
        lost = {run.id for run, _ in self.open_calls}
        assert {run.id for run in left} == lost, "of a lost request it is not said that it is unknown"
        for run in left:
            sent = self.runs[run.id].sent
            comment = words(run.id, Occasion.UNKNOWN, len(sent))
            sessions.declare_unknown(tx, run=run, reason=Reason.WORKER_LOST, comment=comment)
            sent[-1].state = CallState.UNKNOWN

    def dead_worker_goes_on(self) -> None:
        """It only stood still: it wants to send what it had claimed, and brings an answer to what it sent."""
        for run in self.lost_runs:
            with pytest.raises(LostOwnership):
                self.ledger.write(self._send, run, self.clock.now)
        for run, call in self.lost_calls[:1]:
            state, codes = self.chance.choice(ENDS[:-1])
            assert state is not None
            result = answered(call, state, codes)
            self._ended(run.id, call, state, {outcome.engine: outcome.code for outcome in result.outcomes})
            self.ledger.write(
                late.answer_late,
                run=run,
                call=call,
                result=result,
                state=self._state_after(run.id, state),
                comment=words(run.id, Occasion.LATE, call.attempt),
                tell_replay=lambda replay: words(replay.id, Occasion.LATE, 1),
            )
        self.lost_runs, self.lost_calls = [], self.lost_calls[1:]

    # ── what people do ──

    def pause(self) -> None:
        scope, value = self.chance.choice(PAUSES)
        until = self.clock.now + timedelta(minutes=self.chance.choice((3, 8)))
        self.ledger.write(
            pausing.pause, scope=scope, value=value, reason=Reason.BY_OPERATOR, expires_at=until
        )
        self.pauses.append((scope, until))

    def _held(self, *reasons: Reason) -> list[RunId]:
        return [run for run, known in self.runs.items() if known.held_for in reasons]

    def decide(self) -> None:
        """Say yes or no to all that wait for it; the policy has to stop what was declined."""
        approve = self.chance.random() < 0.6
        state = ApprovalState.APPROVED if approve else ApprovalState.DECLINED
        for run in self._held(Reason.AWAITING_APPROVAL):
            known = self.runs[run]
            asked = self.ledger.read(approvals.approval_of, run=run)
            if self._possible(approvals.decide, run=run, plan_hash=asked.plan_hash, state=state, by="ann"):
                self.ledger.write(working.wake, run=self.ledger.read(working.find_run, run=run))
                assert known.asked is not None
                assert self.clock.now < known.asked[1], "decided after its time"
                known.approved, known.declined, known.held_for = approve, not approve, None

    def release_or_cancel(self) -> None:
        """Do it with all that are held for one reason."""
        reason = self.chance.choice(
            sorted({known.held_for for known in self.runs.values() if known.held_for})
        )
        cancel = self.chance.random() < 0.3
        for run in self._held(reason):
            if cancel:
                self._cancel(run)
            else:
                self._release(run, reason)

    def _release(self, run: RunId, reason: Reason) -> None:
        waive = reason is Reason.OVER_LIMIT
        wanted = {"run": run, "reason": reason, "waive": waive, "act": ACT, "comment": None}
        if self._possible(people.release, **wanted):
            known = self.runs[run]
            known.held_for, known.restored, known.waived = None, False, known.waived or waive

    def _cancel(self, run: RunId) -> None:
        known = self.runs[run]
        accepted = any(sent.state is CallState.ANSWERED for sent in known.sent)
        state = RunState.ANSWERED if accepted else RunState.CANCELLED
        comment = words(run, Occasion.CANCELLED, len(known.sent))
        wanted = {"run": run, "attempt": len(known.sent), "state": state, "act": ACT, "comment": comment}
        if self._possible(people.cancel, **wanted):
            known.leave, known.held_for = False, None

    def _stopped_at(self, state: CallState) -> list[RunId]:
        """Return the runs that wait for a person after a request that ended so."""
        return [
            run
            for run, known in self.runs.items()
            if known.sent and known.sent[-1].state is state and not known.leave
        ]

    def send_unknown_again(self) -> None:
        """Have all that are unknown sent again, perhaps by a person who did not see the last request."""
        seen = self.chance.choice((0, 0, -1))
        for run in self._stopped_at(CallState.UNKNOWN):
            attempt = len(self.runs[run].sent) + seen
            wanted = {"run": run, "attempt": attempt, "state": RunState.QUEUED, "act": ACT, "comment": None}
            if self._possible(people.resolve, **wanted):
                assert seen == 0, "an old decision counted"
                self._given_leave(run)

    def send_missed_again(self) -> None:
        """Have all that were answered sent again to the Engines that missed them, by a person as above."""
        seen = self.chance.choice((0, 0, -1))
        for run in self._stopped_at(CallState.ANSWERED):
            plan = self.ledger.read(working.find_run, run=run).plan
            parts = parts_to_send_again(plan, self.ledger.read(working.calls_of, run=run))
            attempt = len(self.runs[run].sent) + seen
            wanted = {
                "run": run,
                "plan": plan,
                "attempt": attempt,
                "parts": parts,
                "act": ACT,
                "comment": words(run, Occasion.AGAIN, attempt),
            }
            if parts and self._possible(again.send_again, **wanted):
                assert seen == 0, "an old decision counted"
                self._given_leave(run)

    def _given_leave(self, run: RunId) -> None:
        known = self.runs[run]
        known.leave, known.waived, known.held_for, known.restored = True, False, None, False

    # ── what must never happen ──

    def _check(self, run: Run, call: Call, read_at: datetime) -> None:
        """Hold a request against everything that was sent and said before."""
        now, known, devices = self.clock.now, self.runs[run.id], devices_of(call.part)
        assert run.plan is not None
        assert run.owner == self.session, "sent by a worker that was dead"
        assert known.leave, "sent again, or though it was cancelled"
        assert not known.restored, "sent from a ledger that looked restored"
        assert now <= run.plan.occurred_at + MAX_AGE, "too old"
        assert now >= known.made_at - CLOCK_TOLERANCE, "the clock had gone back"
        for scope, until in self.pauses:
            assert until <= now or not self._stopped(scope, known), f"{scope} was paused"
        self._check_approved(known, devices, read_at)
        self._check_again(known, call)
        if known.limited and not known.waived:
            self._check_limits(run.id, known, devices)
        known.leave = False
        known.sent.append(Sent(call.attempt, now, devices, call.part.engines))
        self.open_calls.append((run, call))

    def _stopped(self, scope: PauseScope, known: Known) -> bool:
        return {
            PauseScope.EVERYTHING: True,
            PauseScope.MAPPING: known.mapping == "a",
            PauseScope.DEVICES: 1 in known.numbers,
        }[scope]

    def _check_approved(self, known: Known, devices: frozenset[DeviceUid], read_at: datetime) -> None:
        if known.above is None or len(devices) <= known.above:
            return
        assert known.asked is not None, "nobody was asked"
        shown, until = known.asked
        assert not known.declined, "declined"
        assert known.approved, "not approved"
        assert devices == shown, "approved for other devices"
        assert self.clock.now < until, "the approval had expired"
        assert self.clock.now - read_at <= READ_WITHIN, "approved, and the ticket not read again"

    def _check_again(self, known: Known, call: Call) -> None:
        """Hold a further request against the earlier ones: none goes on, and no Engine that acted gets it."""
        for sent in known.sent:
            assert sent.state is not CallState.INTENDED, "sent while another request was under way"
            if sent.state is CallState.UNKNOWN:
                assert self.clock.now >= sent.at + LASTING, "sent while a lost request could still arrive"
            if sent.state is CallState.ANSWERED:
                assert call.part.engines is not None, "sent again to all Engines"
                said = {sent.words.get(engine, MISSED) for engine in call.part.engines}
                assert said == {MISSED}, "sent again to an Engine that had acted"

    def _check_limits(self, run: RunId, known: Known, devices: frozenset[DeviceUid]) -> None:
        now = self.clock.now
        counted = [
            (other, sent) for name, other in self.runs.items() if name != run for sent in other.counted
        ]
        lately = [(other, sent) for other, sent in counted if now - sent.at < WINDOW]
        runs = {id(other): other.mapping for other, _ in lately}
        assert len(runs) < BRIDGE, "over the bridge's limit"
        assert list(runs.values()).count(known.mapping) < MAPPING, "over the mapping's limit"
        reached = devices.union(*(sent.devices for _, sent in lately))
        assert len(reached) <= DEVICES, "over the limit of devices"
        warm = [sent for _, sent in counted if now - sent.at < COOLDOWN and sent.devices & devices]
        assert not warm, "a device had not cooled down"


def devices_of(part: Part) -> frozenset[DeviceUid]:
    return frozenset(device.uid for device in part.devices)


def requests(tx: Tx) -> int:
    query = select(func.count()).select_from(calls).where(calls.c.intended_at.is_not(None))
    return int(tx.connection.execute(query).scalar_one())


def answered(call: Call, state: CallState, codes: tuple[EngineCode, ...]) -> CallResult:
    """Return a result in which the Engines that were reached say `codes`."""
    outcomes = tuple(
        EngineOutcome(engine=engine, name=None, code=code, code_text=code, message="")
        for engine, code in zip(ENGINES, codes, strict=False)
        if call.part.engines is None or engine in call.part.engines
    )
    return CallResult(state=state, outcomes=outcomes)


def words(run: RunId, occasion: Occasion, n: int) -> OwedComment:
    return OwedComment(
        occasion=occasion, n=n, marker=f"{run}-{occasion}-{n}", text="t", visibility=Visibility.INTERNAL
    )


# On PostgreSQL a step takes about three times as long.
SEQUENCES, STEPS = {"sqlite": 20, "postgresql": 8}, 25


def test_no_sequence_exceeds_a_limit_or_sends_what_may_not_be_sent(
    ledger: Ledger, clock: Any, make_plan: Callable[..., Plan]
) -> None:
    """A sequence that fails is told step by step; the same number makes the same one again."""
    for number in range(SEQUENCES[ledger.engine.dialect.name]):
        machine = Machine(ledger, clock, make_plan, Random(number))
        try:
            for _ in range(STEPS):
                machine.step()
        except Exception as error:
            error.add_note("\n".join((f"sequence {number}:", *machine.steps)))
            raise
