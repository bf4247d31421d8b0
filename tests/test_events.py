"""What is made of a ticket that was read: which events, by whom and when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge import events
from bridge.models import (
    Change,
    EventKind,
    FetchedTicket,
    HistoryEntry,
    Person,
    SourceName,
    Ticket,
    TicketEvent,
    TicketRef,
)

RUNG = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
ADA, US = Person(id="ada"), Person(login="bridge")
REF = TicketRef(source=SourceName("jira"), uid="501", key="SUP-1")


def at(minutes: float) -> datetime:
    return RUNG + timedelta(minutes=minutes)


def entry(number: int, minutes: float) -> HistoryEntry:
    change = Change(name="status", before="Open", after="Approved")
    return HistoryEntry(key=f"changelog:{number}", at=at(minutes), actor=ADA, changes=(change,))


def fetched(**given: Any) -> FetchedTicket:
    values: dict[str, Any] = {
        "ref": REF,
        "ticket": Ticket(key="SUP-1", uid="501", status="Approved"),
        "fields": {"status": {"name": "Approved"}},
        "payload": {"issue": {}},
        "closed": False,
        "created_at": at(-6000),
        "updated_at": at(-1),
        "history": (),
        "comments": (),
        "roles": (),
    }
    return FetchedTicket(**{**values, **given})


def happened(ticket: FetchedTicket, *, keeps_history: bool = True, read: float = 1) -> list[TicketEvent]:
    found = events.happened(
        ticket,
        since=RUNG - events.LOOK_BACK,
        rung_at=RUNG,
        read_at=at(read),
        keeps_history=keeps_history,
    )
    return list(found)


def named(found: list[TicketEvent]) -> list[tuple[EventKind, str | None]]:
    return [(event.kind, event.change_key) for event in found]


def test_each_change_comment_and_creation_of_the_last_minutes_is_an_event_of_its_own_the_oldest_first() -> (
    None
):
    ticket = fetched(
        created_at=at(-9),
        history=(entry(1, -8), entry(2, -7)),
        comments=(("77", ADA, at(-7.5)),),
    )
    found = happened(ticket)
    assert named(found) == [
        (EventKind.CREATED, "created"),
        (EventKind.UPDATED, "changelog:1"),
        (EventKind.COMMENTED, "comment:77"),
        (EventKind.UPDATED, "changelog:2"),
    ]
    assert [event.occurred_at for event in found] == [at(-9), at(-8), at(-7.5), at(-7)]
    assert [change.after for change in found[1].changes] == ["Approved"]
    assert {event.ticket.status for event in found} == {"Approved"}


def test_what_is_further_back_than_a_ring_can_be_late_is_not_held_against_the_ticket_as_it_is_now() -> None:
    found = happened(fetched(history=(entry(1, -11), entry(2, -9)), comments=(("77", ADA, at(-11)),)))
    assert named(found) == [(EventKind.UPDATED, "changelog:2")]


def test_a_ring_without_anything_new_is_an_update_as_old_as_the_ticket_is() -> None:
    (event,) = happened(fetched(updated_at=at(-3000)))
    assert (event.kind, event.change_key, event.changes) == (EventKind.UPDATED, None, ())
    assert event.occurred_at == at(-3000)


@pytest.mark.parametrize("ahead", [6, 60])
def test_a_clock_that_is_ahead_makes_no_event_younger_than_the_read(ahead: float) -> None:
    (event,) = happened(fetched(history=(entry(1, ahead),)))
    assert event.occurred_at == at(1)


def test_a_clock_that_is_six_minutes_behind_loses_no_change() -> None:
    assert named(happened(fetched(history=(entry(1, -6),)))) == [(EventKind.UPDATED, "changelog:1")]


def test_without_a_history_every_ring_is_an_update_beside_what_is_known_to_have_happened() -> None:
    ticket = fetched(created_at=at(-5), comments=(("77", ADA, at(-2)),))
    assert named(happened(ticket, keeps_history=False)) == [
        (EventKind.CREATED, "created"),
        (EventKind.COMMENTED, "comment:77"),
        (EventKind.UPDATED, None),
    ]


def test_without_a_history_a_ticket_that_is_as_it_was_created_was_only_created() -> None:
    ticket = fetched(created_at=at(-1), updated_at=at(-1))
    assert named(happened(ticket, keeps_history=False)) == [(EventKind.CREATED, "created")]


@pytest.mark.parametrize(("minutes", "actor"), [(-1, US), (0, US), (0.5, None), (-60, US)])
def test_a3_who_changed_the_ticket_last_is_taken_for_who_rang_unless_it_was_later(
    minutes: float, actor: Person | None
) -> None:
    ticket = fetched(updated_at=at(minutes), updated_by=US)
    assert happened(ticket, keeps_history=False)[-1].actor == actor
    assert happened(ticket)[-1].actor == actor


def test_what_was_read_wins_over_the_webhook_and_the_webhooks_own_stands_where_nothing_was_told() -> None:
    webhook = TicketEvent(
        ref=REF,
        ticket=Ticket(key="SUP-1", uid="501", status="Open", summary="Word", person=ADA),
        kind=EventKind.UPDATED,
        actor=ADA,
        fields={"status": {"name": "Open"}, "only_sent": 1},
        changes=(),
        change_key="changelog:1",
        occurred_at=RUNG,
        payload={"sent": True},
    )
    whole = events.completed(webhook, fetched())
    assert (whole.ticket.status, whole.ticket.summary, whole.ticket.person) == ("Approved", "Word", ADA)
    assert whole.fields == {"status": {"name": "Approved"}, "only_sent": 1}
    assert (whole.change_key, whole.occurred_at, whole.payload) == ("changelog:1", RUNG, {"sent": True})
