"""What people and programs look at: health figures, lists, and the whole story of a run.

It must not change anything; every function is a read on a snapshot.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import RowMapping, select

from bridge.errors import NotPossible
from bridge.ledger import Tx, admitting, approvals, auditing, counting, pausing, watches
from bridge.ledger.auditing import Unsealed
from bridge.ledger.choosing import Held, held_by_reason
from bridge.ledger.codec import comment_of, delivery_of
from bridge.ledger.pseudonyms import SALT_FACT
from bridge.ledger.retention import EMPTIED
from bridge.ledger.tables import (
    comments,
    deliveries,
    facts,
    refused_webhooks,
    sessions,
    totals,
)
from bridge.ledger.timeline import HistoryLine, timeline
from bridge.ledger.watches import SourceLine
from bridge.ledger.working import ENDED, calls_of, find_run
from bridge.models import (
    Approval,
    Call,
    Comment,
    Delivery,
    DeliveryId,
    DeliveryState,
    Json,
    Pause,
    Run,
    RunId,
    RunState,
)
from bridge.policy import Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """A counter: what is counted, for whom, under which label, how often and when last."""

    kind: str
    name: str
    label: str
    count: int
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLine:
    id: str
    host: str
    beat_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    name: str
    value: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that health and metrics say of the ledger, at `now` of the ledger's clock.

    `runs` counts the states that have not ended plus `dead`; `oldest_due` is when the run that has waited
    longest could have started. `held` counts the held ones by reason. `audit_sealed` is the newest segment, 0
    where there is none; it is broken where the newest seal is not the one that was made last.
    """

    now: datetime
    runs: tuple[tuple[RunState, int], ...]
    held: tuple[Held, ...]
    oldest_due: datetime | None
    pending_deliveries: int
    oldest_pending: datetime | None
    comments_owed: int
    oldest_owed: datetime | None
    undeliverable: int
    sessions: tuple[SessionLine, ...]
    pauses: tuple[Pause, ...]
    audit_sealed: int
    audit_unsealed: Unsealed
    audit_broken: bool
    sources: tuple[SourceLine, ...]
    facts: tuple[Fact, ...]
    totals: tuple[Total, ...]
    refused: tuple[Total, ...]


# Built once: building a statement takes several times as long as running it.
_SESSIONS: Final = select(sessions.c.id, sessions.c.host, sessions.c.beat_at).where(
    sessions.c.ended_at.is_(None)
)
_FACTS: Final = select(facts.c.name, facts.c.value, facts.c.at).where(facts.c.name != SALT_FACT)
_TOTALS: Final = select(totals).order_by(totals.c.kind, totals.c.name, totals.c.label)
_REFUSED: Final = select(refused_webhooks).order_by(refused_webhooks.c.source, refused_webhooks.c.reason)


def figures(tx: Tx) -> Figures:
    """Count what health and metrics report."""
    unended = [state for state in RunState if state not in ENDED] + [RunState.DEAD]
    by_state = counting.unended_runs(tx)
    pending, owed = counting.pending_deliveries(tx), counting.owed_comments(tx)
    newest = auditing.newest_seal(tx)
    return Figures(
        now=tx.now,
        runs=tuple((state, by_state.get(state, 0)) for state in unended),
        held=held_by_reason(tx),
        oldest_due=counting.oldest_due(tx),
        pending_deliveries=pending.count,
        oldest_pending=pending.oldest,
        comments_owed=owed.count,
        oldest_owed=owed.oldest,
        undeliverable=counting.undeliverable_comments(tx),
        sessions=tuple(SessionLine(**row) for row in tx.run(_SESSIONS, {})),
        pauses=pausing.standing(tx),
        audit_sealed=newest.id if newest else 0,
        audit_unsealed=auditing.unsealed(tx),
        audit_broken=not auditing.is_whole(tx),
        # The salt of the audit's digests is nobody's business.
        sources=watches.lines(tx),
        facts=tuple(Fact(**row) for row in tx.run(_FACTS, {})),
        totals=tuple(Total(**row) for row in tx.run(_TOTALS, {})),
        refused=refused(tx),
    )


def refused(tx: Tx) -> tuple[Total, ...]:
    """Count the webhooks that were refused at the door, by source and reason; no more is kept of them."""
    return tuple(
        Total(
            kind="refused",
            name=row["source"],
            label=row["reason"],
            count=row["count"],
            last_at=row["last_at"],
        )
        for row in tx.run(_REFUSED, {})
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLine:
    """A delivery as lists show it; `findings` is the decision on each mapping, near misses first."""

    id: DeliveryId
    source: str
    key: str
    state: DeliveryState
    reason: str | None
    detail: str | None
    ticket_key: str | None
    mapping_set: str | None
    findings: Json
    received_at: datetime
    recovered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStory:
    """A run with all that happened to it.

    `ruling` is what the policy says of a held run now, before its devices are looked up; None for others.
    `pauses` are those that stand, for a held run only.
    """

    run: Run
    delivery: DeliveryLine
    calls: tuple[Call, ...]
    comments: tuple[Comment, ...]
    history: tuple[HistoryLine, ...]
    approval: Approval | None
    ruling: Ruling | None
    pauses: tuple[Pause, ...]

    @property
    def decided(self) -> Json:
        """Return the findings that led to the run; of one that repeats another, those on its mapping."""
        findings = self.delivery.findings
        mine = [each for each in findings if each["run"] == self.run.id]
        return mine or [each for each in findings if each["mapping"] == self.run.mapping]


def run_story(tx: Tx, *, run: RunId) -> RunStory:
    """Return a run with its delivery, calls, comments and timeline; raise NotPossible where there is none."""
    found = find_run(tx, run=run)
    held = found.state is RunState.HELD
    return RunStory(
        run=found,
        delivery=one_delivery(tx, delivery=found.delivery),
        calls=calls_of(tx, run=run),
        comments=tuple(
            comment_of(line)
            for line in tx.connection.execute(
                select(comments).where(comments.c.run == run).order_by(comments.c.id)
            ).mappings()
        ),
        history=timeline(tx, run=run),
        approval=approvals.approval_of(tx, run=run),
        ruling=admitting.first_look(tx, run=found, engine_names=())[1] if held and found.plan else None,
        pauses=pausing.standing(tx) if held else (),
    )


# All but what was received itself, which may be a megabyte.
DELIVERY_LINE: Final = (
    deliveries.c.id,
    deliveries.c.source,
    deliveries.c.key,
    deliveries.c.state,
    deliveries.c.reason,
    deliveries.c.detail,
    deliveries.c.ticket_key,
    deliveries.c.mapping_set,
    deliveries.c.findings,
    deliveries.c.received_at,
    deliveries.c.recovered,
)


def one_delivery(tx: Tx, *, delivery: DeliveryId) -> DeliveryLine:
    """Return a delivery; raise NotPossible where there is none."""
    return delivery_line(_delivery_row(tx, delivery))


def whole_delivery(tx: Tx, *, delivery: DeliveryId) -> Delivery:
    """Return a delivery as it was received; raise NotPossible where there is none, or its payload is gone."""
    row = _delivery_row(tx, delivery)
    if row["payload"] == EMPTIED:
        raise NotPossible(
            f"the payload of {delivery} was removed (by `bridge erase`, or after BRIDGE_KEEP_PAYLOADS)"
        )
    return delivery_of(row)


def _delivery_row(tx: Tx, delivery: DeliveryId) -> RowMapping:
    row = tx.connection.execute(select(deliveries).where(deliveries.c.id == delivery)).mappings().first()
    if row is None:
        raise NotPossible(f"there is no delivery {delivery} (see `bridge deliveries`)")
    return row


def delivery_line(row: RowMapping) -> DeliveryLine:
    """Read a row as lists show it."""
    return DeliveryLine(
        id=DeliveryId(row["id"]),
        source=row["source"],
        key=row["key"],
        state=DeliveryState(row["state"]),
        reason=row["reason"],
        detail=row["detail"],
        ticket_key=row["ticket_key"],
        mapping_set=row["mapping_set"],
        findings=json.loads(row["findings"]),
        received_at=row["received_at"],
        recovered=bool(row["recovered"]),
    )
