"""Evaluates the deliveries that had to wait, and asks ticket systems who we are (A3, A4).

It must not evaluate by other rules than the receiver; both use the same `judge`.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog

from bridge.connections import Connections
from bridge.errors import BridgeError, LostOwnership
from bridge.ledger import Ledger, accepting, in_force
from bridge.models import Delivery, DeliveryId, NoResponse, Person, SourceName
from bridge.receiving import Receiving
from bridge.telling import REQUEST_SECONDS

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
# Seconds between two tries to learn our own account.
ASK_SECONDS = 30.0
BATCH = 50
# How long a delivery stands aside that could not be judged.
ASIDE = timedelta(minutes=1)


class CatchingUp:
    """One thread of a worker; `run` returns when `stopping` is set."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        connections: Callable[[], Connections],
        accounts: Callable[[], Mapping[SourceName, Person]],
        receiving: Receiving,
    ) -> None:
        self._ledger = ledger
        self._connections = connections
        self._accounts = accounts
        self._receiving = receiving
        self._asked: dict[SourceName, float] = {}

    def run(self, stopping: threading.Event) -> None:
        """Go on until told to stop, whatever a single look meets."""
        while not stopping.is_set():
            try:
                self._ask_accounts()
                self._judge_pending()
            except BridgeError as error:
                log.warning("catching_up.postponed", reason=type(error).__name__)
            except Exception:
                # One delivery that cannot be judged must not end the judging of all others.
                log.exception("catching_up.failed")
            stopping.wait(LOOK_SECONDS)

    def _ask_accounts(self) -> None:
        for name, source in self._connections().sources.items():
            first = name not in self._asked
            due = first or time.monotonic() - self._asked[name] > ASK_SECONDS
            if not due or (not first and name in self._accounts()):
                continue
            self._asked[name] = time.monotonic()
            response = source.transport.send(source.system.account_request(), deadline=REQUEST_SECONDS)
            if isinstance(response, NoResponse):
                log.warning("account.not_known", source=name, reason=response.reason)
                continue
            account = source.system.read_account(response)
            if isinstance(account, Person):
                self._ledger.write(in_force.put_account, source=name, person=account)
            else:
                log.warning("account.not_known", source=name, reason=account.reason)

    def _judge_pending(self) -> None:
        for delivery_id, delivery in self._ledger.read(accepting.pending, limit=BATCH):
            try:
                self._judge(delivery_id, delivery)
            except LostOwnership:
                log.info("delivery.judged_elsewhere", delivery=delivery_id)
            except Exception:
                # One that cannot be judged stands aside, so that those behind it are.
                log.exception("delivery.not_judged", delivery=delivery_id)
                self._ledger.write(accepting.postpone, delivery_id=delivery_id, delay=ASIDE)

    def _judge(self, delivery_id: DeliveryId, delivery: Delivery) -> None:
        known = delivery.source in self._connections().sources
        verdict = self._receiving.judge(delivery_id, delivery) if known else None
        if verdict is None:
            self._ledger.write(accepting.postpone, delivery_id=delivery_id, delay=timedelta(seconds=2))
        else:
            self._ledger.write(accepting.judge, delivery_id=delivery_id, verdict=verdict)
