"""Takes deliveries in, those of many senders at once, and closes those that waited.

It must not evaluate anything. Rules A1, A4 and A5.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from sqlalchemy import bindparam, select, update

from bridge.errors import LostOwnership, Reason
from bridge.ledger import Tx, approvals
from bridge.ledger.codec import TICKET, to_text
from bridge.ledger.prepared import on_each
from bridge.ledger.starting import NewRun, add_runs, served_by
from bridge.ledger.tables import deliveries
from bridge.models import (
    ONCE,
    Delivery,
    DeliveryId,
    DeliveryState,
    Json,
    Outcome,
    RunId,
    SourceName,
    TicketRef,
)

# A body without the sender's time may be a second event after this long, and is a repeat within it (A1).
UNTIMED_REPEAT = timedelta(minutes=10)
# Built once: building a statement takes several times as long as running it.
_DELIVERY: Final = on_each(
    lambda insert: insert(deliveries).on_conflict_do_nothing().returning(deliveries.c.id)
)
_OF_KEY: Final = select(deliveries.c.id).where(
    deliveries.c.source == bindparam("of_source"), deliveries.c.key == bindparam("of_key")
)
_OF_BODY: Final = select(deliveries.c.id).where(
    deliveries.c.source == bindparam("of_source"),
    deliveries.c.digest == bindparam("of_digest"),
    deliveries.c.received_at > bindparam("since"),
)
# What a delivery has that waits, and that is not judged yet.
_PENDING: Final = {
    "state": DeliveryState.PENDING,
    "reason": None,
    "detail": None,
    "findings": "[]",
    "judged": "[]",
    "mapping_set": None,
    "evaluated_at": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a delivery: the reason where it needs nothing, the findings, the runs it asks for.

    `judged` are the names of the changes that were held against the mappings, whatever came of them.
    """

    reason: Reason | None
    detail: str | None
    ticket: TicketRef | None
    findings: Json
    mapping_set: str | None
    runs: tuple[NewRun, ...]
    judged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A delivery under its id; without a verdict it waits as pending, and its `ticket` is read first (A4).

    The body of a `ring` is no news, so the same body is no repeat: each leads to a look at the ticket that
    begins after it, and finds there what is new.
    """

    id: DeliveryId
    delivery: Delivery
    verdict: Verdict | None
    ticket: TicketRef | None = None
    ring: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The delivery's id (the first one's for a duplicate) and the runs that were made by this call.

    `reason` says why there is none, where the delivery itself is no duplicate.
    """

    delivery: DeliveryId
    duplicate: bool
    runs: tuple[RunId, ...]
    reason: Reason | None = None


def accept(
    tx: Tx,
    *,
    delivery_id: DeliveryId,
    delivery: Delivery,
    verdict: Verdict | None,
    ticket: TicketRef | None = None,
) -> Accepted:
    """Commit one delivery, as `accept_all` does."""
    arrival = Arrival(id=delivery_id, delivery=delivery, verdict=verdict, ticket=ticket)
    (accepted,) = accept_all(tx, (arrival,))
    return accepted


def accept_all(tx: Tx, arrivals: Sequence[Arrival]) -> list[Accepted]:
    """Commit deliveries and the runs of their verdicts; return what became of each, in their order (A1).

    Each is taken in as if it had come after those before it.
    """
    accepted: list[Accepted] = []
    for may_repeat, some in groupby(arrivals, key=_may_repeat):
        # Whether a body is a repeat is known only once those before it are in.
        if may_repeat:
            accepted += [_take_in_unless_repeated(tx, one) for one in some]
        else:
            accepted += _take_in(tx, tuple(some))
    return accepted


def judge(tx: Tx, *, delivery_id: DeliveryId, verdict: Verdict) -> tuple[RunId, ...]:
    """Close a pending delivery with its verdict and runs; raise LostOwnership where another did (A4)."""
    # A verdict that knows no ticket leaves the one that was read for it.
    ticket = _ticket_columns(verdict.ticket) if verdict.ticket else {}
    changed = tx.connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state == DeliveryState.PENDING)
        .values({**_verdict_columns(verdict, tx.now), **ticket})
        .returning(deliveries.c.source)
    ).scalar()
    if changed is None:
        raise LostOwnership(f"delivery {delivery_id} is not pending")
    return _carry_out(tx, {delivery_id: (changed, verdict)})[delivery_id].runs


def _may_repeat(arrival: Arrival) -> bool:
    return not arrival.delivery.timed and not arrival.ring


def _take_in_unless_repeated(tx: Tx, arrival: Arrival) -> Accepted:
    first = _same_body(tx, arrival.delivery)
    if first is not None:
        return Accepted(delivery=first, duplicate=True, runs=())
    (accepted,) = _take_in(tx, (arrival,))
    return accepted


def _take_in(tx: Tx, arrivals: Sequence[Arrival]) -> list[Accepted]:
    made = tx.run_each(_DELIVERY, [_columns(tx, arrival) for arrival in arrivals])
    new = [arrival for arrival, rows in zip(arrivals, made, strict=True) if rows]
    for arrival in new:
        delivery = arrival.delivery
        arrived = {"source": delivery.source, "digest": delivery.digest, "recovered": delivery.recovered}
        tx.audit("delivery_accepted", about=arrival.id, detail=arrived)
        if arrival.verdict is None:
            tx.count("delivery", delivery.source, DeliveryState.PENDING)
    judged = {
        arrival.id: (arrival.delivery.source, arrival.verdict)
        for arrival in new
        if arrival.verdict is not None
    }
    accepted = {arrival.id: Accepted(delivery=arrival.id, duplicate=False, runs=()) for arrival in new}
    accepted |= _carry_out(tx, judged)
    return [accepted.get(arrival.id) or _repeated(tx, arrival.delivery) for arrival in arrivals]


def _repeated(tx: Tx, delivery: Delivery) -> Accepted:
    """Say which delivery came before under the same key."""
    (first,) = tx.run(_OF_KEY, {"of_source": delivery.source, "of_key": delivery.key})
    return Accepted(delivery=DeliveryId(first["id"]), duplicate=True, runs=())


def _columns(tx: Tx, arrival: Arrival) -> dict[str, object]:
    delivery, verdict = arrival.delivery, arrival.verdict
    judged = _PENDING if verdict is None else _verdict_columns(verdict, tx.now)
    return {
        "id": arrival.id,
        "source": delivery.source,
        "key": delivery.key,
        "digest": delivery.digest,
        "timed": int(delivery.timed),
        "signed": int(delivery.signed),
        "recovered": int(delivery.recovered),
        "payload": json.dumps(delivery.payload, separators=(",", ":")),
        "received_at": delivery.received_at,
        "due_at": tx.now,
        **_ticket_columns(arrival.ticket if verdict is None else verdict.ticket),
        **judged,
    }


def _same_body(tx: Tx, delivery: Delivery) -> DeliveryId | None:
    tx.only_one(f"body:{delivery.digest}")
    since = delivery.received_at - UNTIMED_REPEAT
    first = tx.value(_OF_BODY, {"of_source": delivery.source, "of_digest": delivery.digest, "since": since})
    return DeliveryId(first) if first else None


def _ticket_columns(ticket: TicketRef | None) -> dict[str, object]:
    if ticket is None:
        return {"ticket_uid": None, "ticket_key": None, "ticket": None}
    return {"ticket_uid": ticket.uid, "ticket_key": ticket.key, "ticket": to_text(TICKET, ticket)}


def _verdict_columns(verdict: Verdict, now: datetime) -> dict[str, object]:
    return {
        "state": DeliveryState.EVALUATED,
        "reason": verdict.reason,
        "detail": verdict.detail,
        "findings": json.dumps(verdict.findings),
        "judged": json.dumps(verdict.judged),
        "mapping_set": verdict.mapping_set,
        "evaluated_at": now,
    }


def _carry_out(tx: Tx, judged: Mapping[DeliveryId, tuple[SourceName, Verdict]]) -> dict[DeliveryId, Accepted]:
    """Add the runs of verdicts, and say in totals and audit what was decided by which rules."""
    verdicts = {delivery: verdict for delivery, (_, verdict) in judged.items()}
    made = _add_runs(tx, verdicts)
    accepted: dict[DeliveryId, Accepted] = {}
    for delivery, (source, verdict) in judged.items():
        ordered = _in_order(verdict)
        runs_made = tuple(new.id for new in ordered if new.id in made)
        reason = verdict.reason
        if len(runs_made) < len(ordered):
            reason = None if runs_made else Reason.ALREADY_SERVED
            _note_served(tx, delivery, verdict, made, reason)
        decision = reason or "matched"
        tx.count("delivery", source, decision)
        decided = {"decision": decision, "mapping_set": verdict.mapping_set, "runs": list(runs_made)}
        tx.audit("delivery_judged", about=delivery, detail=decided)
        accepted[delivery] = Accepted(delivery=delivery, duplicate=False, runs=runs_made, reason=reason)
    return accepted


def _in_order(verdict: Verdict) -> list[NewRun]:
    return sorted(verdict.runs, key=lambda new: new.mapping)


def _add_runs(tx: Tx, verdicts: Mapping[DeliveryId, Verdict]) -> set[RunId]:
    """Add the runs that are new, and return them."""
    approvals.ask_again(
        tx, tickets={verdict.ticket for verdict in verdicts.values() if verdict.ticket is not None}
    )
    wanted = [(delivery, new) for delivery, verdict in verdicts.items() for new in _in_order(verdict)]
    return add_runs(tx, wanted)


def _note_served(
    tx: Tx, delivery: DeliveryId, verdict: Verdict, made: set[RunId], reason: Reason | None
) -> None:
    """Note in the findings which run served those already that are not new."""
    served = {new.id: served_by(tx, new) for new in _in_order(verdict) if new.id not in made}
    once = {new.id for new in verdict.runs if new.key == ONCE}
    findings = [
        {**finding, "outcome": Outcome.ALREADY_SERVED, "run": served[finding["run"]]}
        | ({"once": True} if finding["run"] in once else {})
        if finding["run"] in served
        else finding
        for finding in verdict.findings
    ]
    tx.connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery)
        .values(findings=json.dumps(findings), reason=reason)
    )
