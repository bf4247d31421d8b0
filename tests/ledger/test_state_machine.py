"""Whatever comes in whatever order, nothing is sent too old, paused, unapproved, over a limit or twice.

Runs arrive, workers claim, send and die, answers come or do not, people pause, approve, release and send
again, and the clock goes on. What the ledger admits is held against a plain list of what it admitted before.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from bridge import policy
from bridge.errors import LostOwnership, NotPossible, Reason
from bridge.ledger import accepting, approvals, claiming, pausing, people, queries, sending, sessions, working
from bridge.ledger.claiming import Allowance
from bridge.ledger.people import Act
from bridge.ledger.sending import Next
from bridge.ledger.tables import METADATA
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
    Layer,
    Limit,
    LimitKind,
    MappingId,
    Mode,
    Occasion,
    OwedComment,
    Part,
    PauseScope,
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

MAIN = PortalName("main")
ACT = Act(author="ann", reason="because")
HOUR, COOLDOWN, MAX_AGE = timedelta(hours=1), timedelta(minutes=20), timedelta(minutes=100)
LASTING = timedelta(seconds=80)
BRIDGE, MAPPING = 3, 2
LIMITS = (
    Limit(kind=LimitKind.PER_HOUR, layer=Layer.BRIDGE, most=BRIDGE, window=HOUR),
    Limit(kind=LimitKind.PER_HOUR, layer=Layer.MAPPING, most=MAPPING, window=HOUR),
    Limit(kind=LimitKind.COOLDOWN, layer=Layer.ACTION, most=1, window=COOLDOWN),
)
RESULTS = (
    CallResult(state=CallState.ANSWERED, status=200),
    CallResult(state=CallState.REFUSED, reason=Reason.REJECTED, status=400),
    CallResult(state=CallState.NOT_SENT, reason=Reason.NOT_CONNECTED),
    CallResult(state=CallState.UNKNOWN, reason=Reason.CONNECTION_LOST),
)
# What may be sent again: what provably did not leave, and what a person has decided about.
REPEATABLE = {CallState.NOT_SENT, CallState.UNKNOWN}


@dataclass
class Admitted:
    """One intent: whose, when, on which device, and whether it was given back."""

    run: RunId
    mapping: str
    device: DeviceUid
    at: datetime
    given_back: bool = False


@dataclass
class Known:
    """What the machine itself knows of a run."""

    approved: bool
    waived: bool = False
    may_repeat: bool = False
    states: list[CallState] = field(default_factory=list)


class Machine(RuleBasedStateMachine):
    """`ledger`, `clock` and `make_plan` are those of the test."""

    ledger: Any
    clock: Any
    make_plan: Any

    @initialize()
    def begin(self) -> None:
        with self.ledger.engine.connect().execution_options(writing=True) as connection, connection.begin():
            for table in reversed(METADATA.sorted_tables):
                connection.execute(table.delete())
        self.numbers, self.names = count(1), count(1)
        self.runs: dict[RunId, Known] = {}
        self.admitted: list[Admitted] = []
        self.claimed: list[Run] = []
        self.open_calls: list[tuple[Run, Call]] = []
        self.session = self._open()

    def _open(self) -> SessionId:
        name = SessionId(f"s{next(self.names)}")
        self.ledger.write(sessions.open_session, session=name, host="host", pid=1)
        return name

    # ── what happens ──

    @rule(
        asked=st.lists(
            st.tuples(
                st.sampled_from(("a", "b")), st.integers(1, 4), st.sampled_from((False, False, False, True))
            ),
            min_size=1,
            max_size=4,
        )
    )
    def arrive(self, asked: list[tuple[str, int, bool]]) -> None:
        for mapping, device, approval in asked:
            self._arrive(mapping, device, approval)

    def _arrive(self, mapping: str, device: int, approval: bool) -> None:
        number = next(self.numbers)
        ticket = TicketRef(source=SourceName("jira"), uid=str(number), key=f"SUP-{number}")
        plan = self.make_plan(
            mapping=MappingId(mapping),
            devices=(f"{device:032}",),
            limits=LIMITS,
            max_age=MAX_AGE,
            occurred_at=self.clock.now,
            ticket=ticket,
            approval=ApprovalRule(above=0, expires=HOUR) if approval else None,
        )
        run = RunId(f"r{number}")
        new = accepting.NewRun(
            id=run,
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
        self.ledger.write(
            accepting.accept, delivery_id=DeliveryId(f"d{number}"), delivery=delivery, verdict=verdict
        )
        self.runs[run] = Known(approved=not approval)

    @rule(minutes=st.sampled_from((1, 2, 5, 15, 45)))
    def time_goes_on(self, minutes: int) -> None:
        self.clock.move(minutes=minutes)

    @rule(most=st.integers(1, 5), sent=st.integers(0, 5))
    def work(self, most: int, sent: int) -> None:
        """Claim some, and send some of all that are claimed; the rest is left for later, or for a death."""
        self.claimed += self.ledger.write(
            claiming.claim,
            session=self.session,
            allowances=(Allowance(portal=MAIN, runs=most),),
            configured=(MAIN,),
        )

        for _ in range(min(sent, len(self.claimed))):
            self._send(self.claimed.pop(0))

    def _send(self, run: Run) -> None:
        assert run.plan is not None
        uid = DeviceUid(run.plan.devices[0])
        part = Part(number=1, devices=(Device(uid=uid, name=None),), engines=None)
        frozen = self.ledger.read(working.calls_of, run=run.id)
        admission = self.ledger.write(
            sending.admit,
            run=run,
            parts=() if frozen else (part,),
            lasting=LASTING,
            read_at=self.clock.now,
        )
        ruling = admission.ruling
        if ruling.verdict is Verdict.GO:
            assert admission.call is not None
            self._check(run, uid)
            self.runs[run.id].states.append(CallState.INTENDED)
            self.admitted.append(Admitted(run.id, run.mapping, uid, self.clock.now))
            self.open_calls.append((run, admission.call))
        elif ruling.verdict is Verdict.EXPIRE:
            self._end(run, RunState.EXPIRED, ruling.reason)
        elif ruling.verdict is Verdict.CANCEL:
            self._end(run, RunState.CANCELLED, ruling.reason)
        else:
            if ruling.verdict is Verdict.ASK:
                plan_hash = policy.plan_hash(run.plan, (part,))
                expires_at = self.clock.now + HOUR
                self.ledger.write(
                    approvals.ask, run=run.id, plan_hash=plan_hash, parts=(part,), expires_at=expires_at
                )
            self.ledger.write(
                working.hold,
                run=run,
                reason=ruling.reason,
                detail=None,
                due_at=ruling.until or policy.too_old_at(run.plan),
                comment=None,
            )

    def _end(self, run: Run, state: RunState, reason: Reason | None) -> None:
        self.ledger.write(working.end, run=run, state=state, reason=reason, detail=None, comment=None)

    @precondition(lambda self: self.open_calls)
    @rule(results=st.lists(st.sampled_from(RESULTS), min_size=1, max_size=3))
    def answers_come(self, results: list[CallResult]) -> None:
        for result in results[: len(self.open_calls)]:
            self._answer(*self.open_calls.pop(0), result)

    def _answer(self, run: Run, call: Call, result: CallResult) -> None:
        ended = {
            CallState.ANSWERED: RunState.ANSWERED,
            CallState.REFUSED: RunState.REFUSED,
            CallState.UNKNOWN: RunState.UNKNOWN,
            CallState.NOT_SENT: RunState.QUEUED,
        }[result.state]
        following = Next(state=ended, reason=result.reason, again=ended is RunState.QUEUED)
        try:
            self.ledger.write(sending.answer, run=run, call=call, result=result, following=following)
        except LostOwnership:
            return
        self._answered(run.id, result.state)

    def _answered(self, run: RunId, state: CallState) -> None:
        self.runs[run].states[-1] = state
        if state is CallState.NOT_SENT:
            newest = max(each.at for each in self.admitted if each.run == run)
            for each in self.admitted:
                if each.run == run and each.at == newest:
                    each.given_back = True

    @rule()
    def worker_dies(self) -> None:
        """The worker is found dead: what it had claimed is queued again, what it had sent is unknown."""
        beat = next(each for each in self.ledger.read(sessions.beats) if each.session == self.session)
        self.ledger.write(sessions.bury, session=self.session, seen=beat.count)
        for left in self.ledger.read(sessions.bereaved):
            comment = OwedComment(
                occasion=Occasion.UNKNOWN,
                n=len(left.calls),
                marker=f"m{left.run.id}{len(left.calls)}",
                text="t",
                visibility=Visibility.INTERNAL,
            )
            self.ledger.write(
                sessions.declare_unknown, run=left.run, reason=Reason.WORKER_LOST, comment=comment
            )
            self._answered(left.run.id, CallState.UNKNOWN)
        self.claimed, self.open_calls = [], []
        self.session = self._open()

    # ── what people do ──

    @rule(scope=st.sampled_from((PauseScope.EVERYTHING, PauseScope.MAPPING)), minutes=st.integers(5, 30))
    def pause(self, scope: PauseScope, minutes: int) -> None:
        value = "a" if scope is PauseScope.MAPPING else ""
        expires_at = self.clock.now + timedelta(minutes=minutes)
        self.ledger.write(
            pausing.pause, scope=scope, value=value, reason=Reason.BY_OPERATOR, expires_at=expires_at
        )

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def approve(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(sorted(self.runs)))
        asked = self.ledger.read(approvals.approval_of, run=run)
        if asked is None:
            return
        found = self.ledger.read(people.find_run, run=run)
        try:
            self.ledger.write(
                approvals.decide, run=run, plan_hash=asked.plan_hash, state=ApprovalState.APPROVED, by="ann"
            )
        except NotPossible:
            return
        self.runs[run].approved = True
        if found.state is RunState.HELD:
            self.ledger.write(working.wake, run=found)

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(sorted(self.runs)))
        reason = self.ledger.read(people.find_run, run=run).reason
        waive = reason is Reason.OVER_LIMIT
        try:
            self.ledger.write(people.release, run=run, reason=reason, waive=waive, act=ACT, comment=None)
        except NotPossible:
            return
        self.runs[run].waived = self.runs[run].waived or waive

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def send_unknown_again(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(sorted(self.runs)))
        made = self.ledger.read(people.attempts_made, run=run)
        try:
            self.ledger.write(
                people.resolve, run=run, attempt=made, state=RunState.QUEUED, act=ACT, comment=None
            )
        except NotPossible:
            return
        self.runs[run].may_repeat = True

    @rule()
    def look_after_held_runs(self) -> None:
        for run in self.ledger.read(working.due_held, limit=20).runs:
            assert run.plan is not None
            if self.clock.now > policy.too_old_at(run.plan):
                self._end(run, RunState.EXPIRED, Reason.TOO_OLD)
            elif run.reason in {Reason.OVER_LIMIT, Reason.PAUSED}:
                self.ledger.write(working.wake, run=run)

    # ── what must never happen ──

    def _check(self, run: Run, device: DeviceUid) -> None:
        """Hold an admission against everything that was admitted before."""
        now, known = self.clock.now, self.runs[run.id]
        assert run.plan is not None
        assert now - run.plan.occurred_at <= MAX_AGE, "too old"
        for pause in self.ledger.read(pausing.standing):
            assert pause.scope is PauseScope.MAPPING, "paused"
            assert run.mapping != "a", "paused"
        assert known.approved, "not approved"
        twice = [state for state in known.states if state not in REPEATABLE]
        assert not twice, f"sent again after {twice}"
        if CallState.UNKNOWN in known.states:
            assert known.may_repeat, "an unknown was sent again by itself"
            known.may_repeat = False
        if known.waived:
            return
        counted = [each for each in self.admitted if not each.given_back and each.run != run.id]
        lately = [each for each in counted if now - each.at < HOUR]
        assert len({each.run for each in lately}) < BRIDGE, "over the bridge's limit"
        mine = {each.run for each in lately if each.mapping == run.mapping}
        assert len(mine) < MAPPING, "over the mapping's limit"
        warm = [each for each in counted if each.device == device and now - each.at < COOLDOWN]
        assert not warm, "the device had not cooled down"

    @invariant()
    def each_intent_is_known_to_the_ledger(self) -> None:
        if not hasattr(self, "runs"):
            return
        for run in {run for run, _ in self.open_calls}:
            story = self.ledger.read(queries.run_story, run=run.id)
            open_ones = [call for call in story.calls if call.state is CallState.INTENDED]
            assert len(open_ones) == 1


@pytest.mark.parametrize("examples", [25])
def test_no_sequence_exceeds_a_limit_or_sends_what_may_not_be_sent(
    ledger: Any, clock: Any, make_plan: Any, examples: int
) -> None:
    class Ours(Machine):
        pass

    Ours.ledger, Ours.clock, Ours.make_plan = ledger, clock, staticmethod(make_plan)
    run_machine(
        Ours,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
