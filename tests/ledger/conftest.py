"""Deliveries, runs and parts for the tests of the ledger."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from bridge.ledger import Ledger, accepting, claiming, sessions, starting
from bridge.ledger.claiming import Allowance
from bridge.models import (
    Delivery,
    DeliveryId,
    Device,
    DeviceUid,
    MappingId,
    Mode,
    Occasion,
    OwedComment,
    Part,
    Plan,
    PortalName,
    Run,
    RunId,
    RunState,
    SessionId,
    SourceName,
    Visibility,
    WriteBack,
)

MAIN = PortalName("main")


@pytest.fixture
def make_delivery(clock: Any) -> Callable[..., Delivery]:
    def make(**given: Any) -> Delivery:
        values = {
            "source": SourceName("jira"),
            "key": "identifier-1",
            "digest": "a" * 64,
            "timed": True,
            "payload": {"issue": {"key": "SUP-1"}},
            "received_at": clock.now,
        }
        return Delivery(**{**values, **given})

    return make


@pytest.fixture
def make_comment() -> Callable[..., OwedComment]:
    def make(
        run: str,
        occasion: Occasion = Occasion.ANSWERED,
        n: int = 1,
        after: tuple[WriteBack, ...] = (),
    ) -> OwedComment:
        return OwedComment(
            occasion=occasion,
            n=n,
            marker=f"bridge-{run}-{occasion}-{n}",
            text="text",
            visibility=Visibility.INTERNAL,
            after=after,
        )

    return make


@pytest.fixture
def make_run(make_plan: Callable[..., Plan]) -> Callable[..., starting.NewRun]:
    def make(run_id: str = "r1", **given: Any) -> starting.NewRun:
        plan = given.pop("plan", None) or make_plan()
        values = {
            "id": RunId(run_id),
            "mapping": MappingId(plan.mapping),
            "mode": Mode.LIVE,
            "key": "once",
            "ticket": plan.ticket,
            "state": RunState.QUEUED,
            "reason": None,
            "detail": None,
            "plan": plan,
            "comment": None,
        }
        return starting.NewRun(**{**values, **given})

    return make


@pytest.fixture
def accept(ledger: Ledger, make_delivery: Callable[..., Delivery]) -> Callable[..., accepting.Accepted]:
    """Accept a delivery with the given runs."""
    numbers = count(1)

    def do(*runs: starting.NewRun, **given: Any) -> accepting.Accepted:
        number = next(numbers)
        given.setdefault("key", f"identifier-{number}")
        verdict = accepting.Verdict(
            reason=None, detail=None, ticket=runs[0].ticket, findings=[], mapping_set="0" * 64, runs=runs
        )
        return ledger.write(
            accepting.accept,
            delivery_id=DeliveryId(f"d{number}"),
            delivery=make_delivery(**given),
            verdict=verdict,
        )

    return do


@pytest.fixture
def open_session(ledger: Ledger) -> Callable[[str], SessionId]:
    def do(name: str) -> SessionId:
        ledger.write(sessions.open_session, session=SessionId(name), host="host", pid=1)
        return SessionId(name)

    return do


@pytest.fixture
def claim(ledger: Ledger) -> Callable[..., tuple[Run, ...]]:
    def do(session: str, limit: int = 10) -> tuple[Run, ...]:
        return ledger.write(
            claiming.claim,
            session=SessionId(session),
            allowances=(Allowance(portal=MAIN, runs=limit),),
            configured=(MAIN,),
        )

    return do


@pytest.fixture
def part() -> Part:
    return Part(number=1, devices=(Device(uid=DeviceUid("0" * 32), name="WS-ABC-12345"),), engines=None)
