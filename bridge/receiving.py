"""Turns a webhook request into a receipt: verified, evaluated and committed before it is answered.

It must not send anything. A worker evaluates by the same `judge` what had to wait (A4).
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from bridge import comments
from bridge.connections import Connections
from bridge.errors import LedgerUnavailable, Reason, WebhookRefused
from bridge.ledger import Ledger, accepting
from bridge.mapping.evaluate import evaluate
from bridge.mapping.language import MappingSet
from bridge.models import (
    ConditionTrace,
    Decision,
    Delivery,
    DeliveryId,
    EventKind,
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
    Unplannable,
    Visibility,
    WebhookRequest,
)
from bridge.telling import owed

log = structlog.get_logger(__name__)

# The columns of the ledger; a longer key is replaced by its digest.
KEY_LENGTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the sender is told: the HTTP status and a JSON body."""

    status: int
    body: Json


class Receiving:
    """The receiving use case; `connections`, `mapping_set` and `accounts` give what is in force now."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        connections: Callable[[], Connections],
        mapping_set: Callable[[], MappingSet | None],
        accounts: Callable[[], Mapping[SourceName, Person]],
        new_id: Callable[[], str],
    ) -> None:
        self._ledger = ledger
        self._connections = connections
        self._mapping_set = mapping_set
        self._accounts = accounts
        self._new_id = new_id

    def receive(self, request: WebhookRequest) -> Receipt:
        """Accept a webhook and return what its sender is told; raise WebhookRefused for a 4xx or 503."""
        source = self._connections().sources.get(request.source)
        if source is None:
            raise WebhookRefused(404, Reason.UNKNOWN_SOURCE, "no such source is configured")
        delivery_id = DeliveryId(f"d{self._new_id()}")
        delivery = source.system.open(request)
        delivery = replace(delivery, key=_delivery_key(delivery, delivery_id))
        verdict = self.judge(delivery_id, delivery)
        try:
            accepted = self._ledger.write(
                accepting.accept, delivery_id=delivery_id, delivery=delivery, verdict=verdict
            )
        except LedgerUnavailable as error:
            raise WebhookRefused(503, Reason.LEDGER_UNAVAILABLE, "nothing could be committed") from error
        reason = Reason.DUPLICATE if accepted.duplicate else accepted.reason
        log.info(
            "webhook.accepted",
            source=request.source,
            delivery=accepted.delivery,
            reason=reason,
            runs=len(accepted.runs),
        )
        status = "duplicate" if accepted.duplicate else "pending" if verdict is None else "accepted"
        if reason is not None and not accepted.duplicate:
            status = "ignored"
        return Receipt(
            status=200,
            body={
                "status": status,
                "delivery": accepted.delivery,
                "reason": reason,
                "runs": list(accepted.runs),
            },
        )

    def judge(self, delivery_id: DeliveryId, delivery: Delivery) -> accepting.Verdict | None:
        """Evaluate a delivery; None where it has to wait for our own account or a mapping set (A3, A5)."""
        source = self._connections().sources[delivery.source]
        event = source.system.parse_event(delivery)
        if isinstance(event, Ignored):
            return accepting.Verdict(
                reason=event.reason,
                detail=event.detail,
                ticket=event.ticket,
                findings=[],
                mapping_set=None,
                runs=(),
            )
        account = self._accounts().get(delivery.source)
        mapping_set = self._mapping_set()
        if mapping_set is None or (account is None and event.kind is not EventKind.CREATED):
            return None
        if _is_ours(event, account):
            return accepting.Verdict(
                reason=Reason.OWN_CHANGE,
                detail="made by our own account, or carries our marker",
                ticket=event.ref,
                findings=[],
                mapping_set=None,
                runs=(),
            )
        evaluation = evaluate(event, mapping_set, received_at=delivery.received_at)
        runs = tuple(
            run
            for decision in evaluation.decisions
            if (run := self._new_run(delivery_id, delivery, event, decision)) is not None
        )
        made = {run.mapping: run.id for run in runs}
        return accepting.Verdict(
            reason=None if runs else Reason.NO_MAPPING,
            detail=None,
            ticket=event.ref,
            findings=[_finding(decision, made.get(decision.mapping)) for decision in evaluation.decisions],
            mapping_set=evaluation.mapping_set,
            runs=runs,
        )

    def _new_run(
        self, delivery_id: DeliveryId, delivery: Delivery, event: TicketEvent, decision: Decision
    ) -> accepting.NewRun | None:
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
        return accepting.NewRun(
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
            self._connections().sources[result.ticket.source].system,
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


def _bounded(key: str) -> str:
    if len(key) <= KEY_LENGTH:
        return key
    return f"digest:{hashlib.sha256(key.encode()).hexdigest()}"


def _delivery_key(delivery: Delivery, delivery_id: DeliveryId) -> str:
    # The same body without a time may be a second event: then the digest alone must not be unique for ever.
    if not delivery.timed and delivery.key == f"digest:{delivery.digest}":
        return f"{delivery.key}:{delivery_id}"
    return _bounded(delivery.key)


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
        return "once"
    if event.change_key is not None:
        return _bounded(event.change_key)
    return f"digest:{delivery.digest}" if delivery.timed else f"delivery:{delivery.key}"


def _finding(decision: Decision, run: RunId | None) -> Json:
    problem = decision.result.problem if isinstance(decision.result, Unplannable) else None
    return {
        "mapping": decision.mapping,
        "outcome": decision.outcome,
        "mode": decision.result.mode if decision.result else None,
        "problem": problem.detail if problem else None,
        "run": run if decision.outcome is not Outcome.MISSED else None,
        "conditions": [_condition(trace) for trace in decision.trace],
    }


def _condition(trace: ConditionTrace) -> Json:
    return {
        "wanted": trace.wanted,
        "seen": trace.seen,
        "held": trace.held,
        "parts": [_condition(part) for part in trace.parts],
    }
