"""Who may let a run go that needs approval, and whether the ticket says that somebody did (L3).

It must not take anybody's word for who they are: approvers come from a personal token, or from the ticket
system's own history, read with our credentials.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from bridge.comments import waiting
from bridge.errors import NotPossible, Reason
from bridge.fetching import Fetching
from bridge.ledger import Ledger, Tx, approvals, working
from bridge.ledger.people import Act
from bridge.models import (
    Approval,
    ApprovalRule,
    ApprovalState,
    FetchedTicket,
    NotRead,
    Occasion,
    OwedComment,
    Person,
    Plan,
    Report,
    Run,
    RunId,
    RunState,
    SourceName,
)
from bridge.policy import HASH_SHOWN
from bridge.setting_aside import SettingAside
from bridge.tokens import folded

log = structlog.get_logger(__name__)

# How often a ticket is asked; its next webhook has it asked at once.
POLL: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the ticket says: approved or declined, by whom."""

    state: ApprovalState
    by: Person


class Approving:
    """The approving use case; `accounts` gives our own account of a source, which never approves."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        fetching: Fetching,
        accounts: Callable[[], Mapping[SourceName, Person]],
        aside: SettingAside,
    ) -> None:
        self._ledger = ledger
        self._fetching = fetching
        self._accounts = accounts
        self._aside = aside

    def look(self, run: Run) -> None:
        """Ask the ticket of a held run whether it was approved; end the run where its time is over.

        Raises LostOwnership or NotPossible where somebody else moved the run meanwhile.
        """
        now, approval = self._ledger.read(_asked_for, run=run.id)
        assert run.plan is not None
        if approval is None or now >= approval.expires_at:
            self._aside.expire(run, Reason.NOT_APPROVED, ())
            return
        decision = self._in_ticket(run, run.plan, approval)
        if decision is None:
            again = min(now + POLL, approval.expires_at)
            self._ledger.write(working.look_later, run=run, at=again)
            return
        self._carry_out(run, approval, decision.state, by=_named(decision.by), detail="in the ticket")

    def decide(
        self, run_id: RunId, *, person: Person, by: str, plan_hash: str, approve: bool, act: Act
    ) -> RunState:
        """Approve or decline by the word of an authenticated person; return the run's new state.

        `plan_hash` is the beginning of the hash of the plan that the person saw, at least 12 digits (S9).
        Raises NotPossible where the run does not wait for this, or the person may not decide it.
        """
        run, approval = self._ledger.read(waiting_for, run=run_id)
        assert run.plan is not None
        assert run.plan.approval is not None
        if len(plan_hash) < HASH_SHOWN or not approval.plan_hash.startswith(plan_hash.lower()):
            raise NotPossible(
                f"run {run_id} waits for another plan (see `bridge runs show {run_id}`, then decide)"
            )
        if approve:
            fetched = self._fetching.ticket(run.ticket, approval.asked_at)
            if isinstance(fetched, NotRead):
                raise NotPossible(
                    f"who may approve stands in the ticket, which was not read: {fetched.detail}"
                )
            why_not = self._why_not(run, run.plan, run.plan.approval, person, fetched)
            if why_not is not None:
                self._ledger.write(approvals.refused, run=run_id, by=by, why=why_not)
                raise NotPossible(f"run {run_id} cannot be approved by {by}: {why_not}")
        state = ApprovalState.APPROVED if approve else ApprovalState.DECLINED
        return self._carry_out(run, approval, state, by=by, detail=act.reason)

    def _carry_out(
        self, run: Run, approval: Approval, state: ApprovalState, *, by: str, detail: str
    ) -> RunState:
        assert run.plan is not None
        approved = state is ApprovalState.APPROVED
        occasion, report = told(run.id, run.plan, state, by=by)
        self._ledger.write(
            _decided,
            run=run,
            approval=approval,
            state=state,
            by=by,
            detail=detail,
            comment=self._aside.owed(run, occasion, 1, report),
        )
        log.info("run.approval_decided", run=run.id, mapping=run.mapping, state=state)
        return RunState.QUEUED if approved else RunState.CANCELLED

    # ── what the ticket says ──

    def _in_ticket(self, run: Run, plan: Plan, approval: Approval) -> Decision | None:
        rule = plan.approval
        assert rule is not None
        if rule.field is None and not rule.system:
            return None
        fetched = self._fetching.ticket(run.ticket, approval.asked_at)
        if isinstance(fetched, NotRead):
            log.warning("approval.not_read", run=run.id, reason=fetched.reason)
            return None
        decisions = by_field(rule, approval, fetched) if rule.field else ()
        if not decisions and rule.system:
            decisions = self._by_system(run, approval)
        for decision in decisions:
            if decision.state is ApprovalState.DECLINED:
                return decision
            why_not = self._why_not(run, plan, rule, decision.by, fetched)
            if why_not is None:
                return decision
            if self._ledger.write(approvals.not_taken, run=run.id, why=why_not):
                log.warning("approval.not_taken", run=run.id, mapping=run.mapping)
        return None

    def _by_system(self, run: Run, approval: Approval) -> tuple[Decision, ...]:
        """Return what was decided, the newest first: one who may not approve keeps nobody else from it."""
        found = self._fetching.approvals(run.ticket)
        if isinstance(found, NotRead):
            log.warning("approval.not_read", run=run.id, reason=found.reason)
            return ()
        # What was decided before this plan was shown is not about this plan.
        final = [each for each in found if each.final and each.at and each.at > approval.asked_at]
        declined = [each for each in final if each.state is ApprovalState.DECLINED]
        approved = [each for each in final if each.state is ApprovalState.APPROVED]
        newest = sorted(declined or approved, key=lambda each: each.at or approval.asked_at, reverse=True)
        return tuple(Decision(state=each.state, by=each.by) for each in newest)

    # ── who may ──

    def _why_not(
        self, run: Run, plan: Plan, rule: ApprovalRule, person: Person, fetched: FetchedTicket
    ) -> str | None:
        """Say why a person may not approve; None where they may (L3)."""
        barred = _barred(plan, rule, fetched)
        account = self._accounts().get(run.ticket.source)
        if not person.identifiers:
            return "nothing identifies them"
        if not any(who.identifiers for who in barred) or Person() in plan.requesters:
            return "the ticket does not say who asked, so nobody can be told apart from them"
        if account is None or not account.identifiers:
            return "the bridge's own account is not known yet, and it approves nothing"
        if _same(person, account):
            return "the bridge's own account approves nothing"
        if any(_same(person, who) for who in barred):
            return "whoever asked for it, or is barred by the mapping, cannot approve it"
        if not _tellable(person, barred):
            return (
                "they have no identity of the kind by which the ticket knows who asked, so it cannot be told "
                "that they are somebody else (for a token: have one made with more of their identities)"
            )
        if not _tellable(person, (account,)):
            return (
                "they have no identity of the kind by which the bridge's own account is known, so it cannot "
                "be told that they are somebody else"
            )
        if rule.by_group is None:
            return None
        groups = self._fetching.groups(run.ticket.source, person)
        if isinstance(groups, NotRead):
            return f"their groups were not read: {groups.detail}"
        return None if rule.by_group in groups else f"they are not in the group {rule.by_group}"


def told(run: RunId, plan: Plan, state: ApprovalState, *, by: str) -> tuple[Occasion, Report]:
    """Return what the ticket is told of a decision."""
    if state is ApprovalState.APPROVED:
        return Occasion.APPROVED, waiting.approved(run, plan, by=by)
    return Occasion.CANCELLED, waiting.withdrawn(run, plan, Reason.NOT_APPROVED, f"{by} declined it")


def by_field(rule: ApprovalRule, approval: Approval, fetched: FetchedTicket) -> tuple[Decision, ...]:
    """Return who set the field to what approves, if that was its last change and came after the question.

    Of changes at the same time (ServiceNow tells it to the second) it is not known which was the last: all
    of them have to approve.
    """
    changes = [
        (entry.at, entry.actor, change.after)
        for entry in fetched.history
        for change in entry.changes
        if change.name == rule.field
    ]
    last = max((at for at, _, _ in changes), default=approval.asked_at)
    if last <= approval.asked_at:
        return ()
    at_last = [(actor, after) for at, actor, after in changes if at == last]
    if any(after != rule.becomes for _, after in at_last):
        return ()
    return tuple(Decision(state=ApprovalState.APPROVED, by=actor) for actor, _ in at_last)


def _barred(plan: Plan, rule: ApprovalRule, fetched: FetchedTicket) -> tuple[Person, ...]:
    """Return who may not approve: who asked, and the roles that the mapping names."""
    return (*plan.requesters, *(who for role, who in fetched.roles if role in rule.not_by))


def _tellable(person: Person, barred: tuple[Person, ...]) -> bool:
    """Say whether a person can be told apart from everybody barred: an id cannot be held against a login."""
    return all(
        any(_comparable(person, other) for other in barred if other is who or _same(other, who))
        for who in barred
        if who.identifiers
    )


def _comparable(one: Person, other: Person) -> bool:
    return bool((one.id and other.id) or (one.login and other.login) or (one.email and other.email))


def _same(one: Person, other: Person) -> bool:
    """Say whether two persons share an identifier."""
    return not set(map(folded, one.identifiers)).isdisjoint(map(folded, other.identifiers))


def _named(person: Person) -> str:
    return person.name or person.login or person.id or "somebody"


def _asked_for(tx: Tx, *, run: RunId) -> tuple[datetime, Approval | None]:
    return tx.now, approvals.approval_of(tx, run=run)


def waiting_for(tx: Tx, *, run: RunId) -> tuple[Run, Approval]:
    """Return a run and the approval that it waits for; raise NotPossible where it waits for none."""
    found, approval = working.find_run(tx, run=run), approvals.approval_of(tx, run=run)
    waits = found.state is RunState.HELD and found.reason is Reason.AWAITING_APPROVAL
    if not waits or approval is None or found.plan is None:
        raise NotPossible(f"run {run} does not wait for approval (see `bridge runs show {run}`)")
    return found, approval


def _decided(
    tx: Tx,
    *,
    run: Run,
    approval: Approval,
    state: ApprovalState,
    by: str,
    detail: str,
    comment: OwedComment,
) -> None:
    approvals.decide(tx, run=run.id, plan_hash=approval.plan_hash, state=state, by=by)
    if state is ApprovalState.APPROVED:
        working.approved(tx, run=run, by=by, detail=detail, comment=comment)
    else:
        working.end(
            tx, run=run, state=RunState.CANCELLED, reason=Reason.NOT_APPROVED, detail=detail, comment=comment
        )
