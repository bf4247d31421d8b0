"""Evaluates what arrived against the mappings in force: the one judgement that receiver and workers share.

It must not commit or send anything. Rules A2 to A5.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from bridge import comments, events
from bridge.connections import Connections
from bridge.errors import Reason
from bridge.ledger.accepting import Verdict
from bridge.ledger.starting import NewRun
from bridge.mapping.evaluate import MISSES_KEPT, distance, evaluate
from bridge.mapping.language import MappingSet
from bridge.models import (
    ONCE,
    ConditionTrace,
    Decision,
    Delivery,
    DeliveryId,
    EventKind,
    FetchedTicket,
    Ignored,
    Json,
    Mode,
    Occasion,
    Outcome,
    OwedComment,
    Person,
    Plan,
    Repeat,
    Report,
    RunId,
    RunState,
    SourceName,
    TicketEvent,
    Trust,
    Unplannable,
    Visibility,
)
from bridge.telling import owed

# The columns of the ledger; a longer key is replaced by its digest.
KEY_LENGTH = 200


class Judging:
    """`connections`, `mapping_set` and `accounts` give what is in force now."""

    def __init__(
        self,
        *,
        connections: Callable[[], Connections],
        mapping_set: Callable[[], MappingSet | None],
        accounts: Callable[[], Mapping[SourceName, Person]],
        new_id: Callable[[], str],
    ) -> None:
        self._connections = connections
        self._mapping_set = mapping_set
        self._accounts = accounts
        self._new_id = new_id

    def may_judge(self, source: SourceName) -> bool:
        """Say whether events of a source can be judged: with a mapping set and our own account (A3, A5)."""
        return self._mapping_set() is not None and source in self._accounts()

    def of_webhook(self, delivery_id: DeliveryId, delivery: Delivery) -> Verdict | None:
        """Judge what a believed webhook says; None where it has to wait for our own account or a mapping set.

        Raises WebhookRefused (400) where the body is not a ticket at all.
        """
        event = self._connections().sources[delivery.source].system.parse_event(delivery)
        if isinstance(event, Ignored):
            return ignored(event)
        return self._judged(delivery_id, delivery, (_timed(event, delivery),))

    def of_ticket(
        self,
        delivery_id: DeliveryId,
        delivery: Delivery,
        fetched: FetchedTicket,
        *,
        since: datetime,
        read_at: datetime,
        judged: frozenset[str] = frozenset(),
    ) -> Verdict | None:
        """Judge a delivery by its ticket as it was read at a time; None where it has to wait.

        Of a webhook that is believed it is the event that counts, on the ticket that was read; else, and
        where no webhook came, whatever the ticket's own history tells since a time. `judged` are the changes
        whose webhook came after all: by the mappings of then, which is not done again by those of now.
        """
        source = self._connections().sources[delivery.source]
        if source.trust is Trust.PAYLOAD and not delivery.recovered:
            event = source.system.parse_event(delivery)
            if isinstance(event, Ignored):
                return ignored(event)
            whole = events.completed(_timed(event, delivery), fetched)
            return self._judged(delivery_id, delivery, (whole,))
        happened = events.happened(
            fetched,
            since=since,
            rung_at=delivery.received_at,
            read_at=read_at,
            keeps_history=source.system.keeps_history,
        )
        if delivery.recovered:
            happened = tuple(
                event for event in events.unchanged_since(happened, read_at) if event.change_key not in judged
            )
            if not happened:
                return _judged_before(fetched)
        return self._judged(delivery_id, delivery, happened)

    def _judged(
        self, delivery_id: DeliveryId, delivery: Delivery, happened: tuple[TicketEvent, ...]
    ) -> Verdict | None:
        account = self._accounts().get(delivery.source)
        mapping_set = self._mapping_set()
        created_only = all(event.kind is EventKind.CREATED for event in happened)
        if mapping_set is None or (account is None and not created_only):
            return None
        others = [event for event in happened if not _is_ours(event, account)]
        if not others:
            return Verdict(
                reason=Reason.OWN_CHANGE,
                detail="made by our own account, or carries our marker",
                ticket=happened[0].ref,
                findings=[],
                mapping_set=None,
                runs=(),
                judged=_names(happened),
            )
        runs: list[NewRun] = []
        decided: list[tuple[Decision, Json]] = []
        for event in others:
            for decision in evaluate(event, mapping_set, received_at=delivery.received_at).decisions:
                run = self._new_run(delivery_id, delivery, event, decision)
                runs += [run] if run else []
                decided.append((decision, _finding(event, decision, run)))
        return Verdict(
            reason=None if runs else Reason.NO_MAPPING,
            detail=None,
            ticket=others[0].ref,
            findings=_kept(decided),
            mapping_set=mapping_set.hash,
            runs=tuple(runs),
            judged=_names(happened),
        )

    def _new_run(
        self, delivery_id: DeliveryId, delivery: Delivery, event: TicketEvent, decision: Decision
    ) -> NewRun | None:
        result = decision.result
        if result is None:
            return None
        run_id = RunId(f"r{self._new_id()}")
        state, reason, detail = RunState.QUEUED, None, None
        comment: OwedComment | None = None
        if isinstance(result, Unplannable):
            state, reason, detail = RunState.REFUSED, result.problem.reason, result.problem.detail
            if result.mode is not Mode.SHADOW:
                report = comments.unplannable(run_id, result)
                comment = self._owed(run_id, delivery_id, result, Occasion.REFUSED, report)
        elif result.mode is Mode.SHADOW:
            state, reason = RunState.RECORDED, Reason.SHADOW
        elif result.mode is Mode.ANNOUNCE:
            state, reason = RunState.RECORDED, Reason.ANNOUNCED
            report = comments.announced(run_id, result)
            comment = self._owed(run_id, delivery_id, result, Occasion.ANNOUNCED, report)
        return NewRun(
            id=run_id,
            mapping=decision.mapping,
            mode=result.mode,
            key=_run_key(delivery, event, result),
            ticket=event.ref,
            state=state,
            reason=reason,
            detail=detail,
            plan=result if isinstance(result, Plan) else None,
            comment=comment,
        )

    def _owed(
        self,
        run_id: RunId,
        delivery_id: DeliveryId,
        result: Plan | Unplannable,
        occasion: Occasion,
        report: Report,
    ) -> OwedComment:
        live = result.mode is Mode.LIVE
        return owed(
            self._connections(),
            result.ticket,
            run=run_id,
            delivery=delivery_id,
            occasion=occasion,
            n=1,
            # What a mapping that is not live has to say is for those who are trying it out.
            visibility=result.style.visibility if live else Visibility.INTERNAL,
            report=report,
            # Only a mapping that is live changes tickets.
            after=result.after if live else (),
        )


def ignored(event: Ignored) -> Verdict:
    """Return the verdict on a delivery that needs nothing."""
    return Verdict(
        reason=event.reason,
        detail=event.detail,
        ticket=event.ticket,
        findings=[],
        mapping_set=None,
        runs=(),
    )


def _judged_before(fetched: FetchedTicket) -> Verdict:
    return Verdict(
        reason=Reason.ALREADY_SERVED,
        detail="judged when its webhook came",
        ticket=fetched.ref,
        findings=[],
        mapping_set=None,
        runs=(),
    )


def _names(happened: tuple[TicketEvent, ...]) -> tuple[str, ...]:
    """Return what names each change; one without a name could not be told from another."""
    return tuple(event.change_key for event in happened if event.change_key is not None)


def bounded(key: str) -> str:
    """Return a key that fits the ledger's columns."""
    if len(key) <= KEY_LENGTH:
        return key
    return f"digest:{hashlib.sha256(key.encode()).hexdigest()}"


def _timed(event: TicketEvent, delivery: Delivery) -> TicketEvent:
    """Return the event with a time that can be relied on: the sender's where signed, at most the receipt.

    Else an old webhook could be made new by whoever sends it, or a new one never grow old.
    """
    sent_at = event.occurred_at if delivery.signed else None
    return replace(event, occurred_at=min(sent_at or delivery.received_at, delivery.received_at))


def _is_ours(event: TicketEvent, account: Person | None) -> bool:
    if account and event.actor and event.actor.identifiers:
        # A person may quote our marker, in an answer by mail for example; that is still theirs.
        return bool(account.identifiers & event.actor.identifiers)
    return any(comments.contains_marker(text) for text in event.texts)


def _run_key(delivery: Delivery, event: TicketEvent, result: Plan | Unplannable) -> str:
    """Name what a run is unique by, with its source, ticket and mapping (A1, A2)."""
    if isinstance(result, Unplannable):
        # The same trouble is told once; a ticket that is mended still gets its one run.
        problem = f"{result.problem.reason}:{result.problem.place}:{result.problem.detail}"
        return f"problem:{hashlib.sha256(problem.encode()).hexdigest()[:32]}"
    if result.repeat is Repeat.NEVER:
        return ONCE
    if event.change_key is not None:
        return bounded(event.change_key)
    return f"digest:{delivery.digest}" if delivery.timed else f"delivery:{delivery.key}"


def _kept(decided: list[tuple[Decision, Json]]) -> Json:
    """Return all that fired, and the nearest misses: a ticket may have seen a hundred changes."""
    fired = [finding for decision, finding in decided if decision.outcome is not Outcome.MISSED]
    missed = [pair for pair in decided if pair[0].outcome is Outcome.MISSED]
    missed.sort(key=lambda pair: distance(pair[0]))
    return fired + [finding for _, finding in missed[:MISSES_KEPT]]


def _finding(event: TicketEvent, decision: Decision, run: NewRun | None) -> Json:
    problem = decision.result.problem if isinstance(decision.result, Unplannable) else None
    return {
        "mapping": decision.mapping,
        "event": f"{event.kind}, {event.change_key}" if event.change_key else event.kind,
        "outcome": decision.outcome,
        "mode": decision.result.mode if decision.result else None,
        "problem": problem.detail if problem else None,
        "run": run.id if run else None,
        "conditions": [_condition(trace) for trace in decision.trace],
    }


def _condition(trace: ConditionTrace) -> Json:
    parts = [_condition(part) for part in trace.parts]
    return {"wanted": trace.wanted, "seen": trace.seen, "held": trace.held, "parts": parts}
