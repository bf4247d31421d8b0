"""When a source is silent for longer than usual, from its own deliveries alone."""

from datetime import timedelta
from typing import Any

import pytest

from bridge.connections import Connections
from bridge.ledger import accepting, watches
from bridge.listening import Listening
from bridge.models import DeliveryId, SourceName

JIRA = SourceName("jira")


@pytest.fixture
def arrive(ledger: Any, clock: Any, make_delivery: Any) -> Any:
    """Receive a webhook of Jira some hours after the clock's first time."""
    begin = clock.now

    def do(hours: float, **given: Any) -> None:
        key = f"at-{hours}"
        delivery = make_delivery(key=key, received_at=begin + timedelta(hours=hours), **given)
        ledger.write(accepting.accept, delivery_id=DeliveryId(key), delivery=delivery, verdict=None)

    return do


def office_hours(days: int) -> list[float]:
    """Return the hours of ten deliveries on each of some days, from nine to six; days 5 and 6 are free."""
    return [24 * day + hour for day in range(days) if day % 7 < 5 for hour in range(9, 19)]


def line(ledger: Any) -> watches.SourceLine:
    (found,) = ledger.read(watches.lines)
    return found


def learn(ledger: Any) -> None:
    ledger.write(watches.learn, source=JIRA, every=timedelta(minutes=10))


def test_a_weekend_is_usual_and_half_as_much_more_is_not(ledger, clock, arrive):
    begin = clock.now
    for hours in office_hours(12):
        arrive(hours)
    clock.now = begin + timedelta(days=12)
    learn(ledger)
    # From Friday at six to Monday at nine it is 63 hours.
    assert line(ledger).usual_seconds == 63 * 3600 * 1.5
    last = begin + timedelta(days=11, hours=18)
    assert not line(ledger).silent(last + timedelta(hours=63))
    assert not line(ledger).silent(last + timedelta(hours=94))
    assert line(ledger).silent(last + timedelta(hours=95))


@pytest.mark.parametrize(("hours", "days"), [(range(0, 24 * 7, 2), 7), (range(0, 24 * 12, 16), 12)])
def test_who_sent_little_or_only_lately_is_never_silent(ledger, clock, arrive, hours, days):
    for hour in hours:
        arrive(hour)
    clock.now += timedelta(days=days)
    learn(ledger)
    assert line(ledger).usual_seconds is None
    assert not line(ledger).silent(clock.now + timedelta(days=300))


def test_what_was_recovered_is_no_sign_of_life(ledger, clock, arrive):
    begin = clock.now
    for hours in office_hours(10):
        arrive(hours)
    arrive(24 * 10, recovered=True)
    clock.now = begin + timedelta(days=10)
    learn(ledger)
    assert line(ledger).last_at == begin + timedelta(hours=max(office_hours(10)))


def test_a_rhythm_is_learned_anew_only_after_a_while(ledger, clock, arrive):
    for hours in office_hours(12):
        arrive(hours)
    clock.move(days=7)
    learn(ledger)
    assert line(ledger).usual_seconds is None
    clock.move(days=5)
    learn(ledger)
    assert line(ledger).usual_seconds is not None


def test_a_source_that_is_not_configured_any_more_is_forgotten(ledger):
    listening = Listening(ledger=ledger, connections=lambda: Connections(sources={}, portals={}))
    learn(ledger)
    listening.listen()
    assert ledger.read(watches.lines) == ()
