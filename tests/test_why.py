"""One sentence for a ticket: what came of it, and by which mapping it nearly ran."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge import why
from bridge.errors import Reason
from bridge.ledger.queries import DeliveryLine
from bridge.models import DeliveryId, DeliveryState, MappingId, Plan, Run, RunId, RunState

AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def condition(seen: str | None, held: bool | None, *parts: Any, wanted: str = "the mapping wants 'x'") -> Any:
    return {"wanted": wanted, "seen": seen, "held": held, "parts": list(parts)}


def missed(mapping: str, *conditions: Any, outcome: str = "missed") -> Any:
    return {"mapping": mapping, "outcome": outcome, "conditions": list(conditions), "run": None}


def delivery(number: int = 1, reason: Reason | None = Reason.NO_MAPPING, *findings: Any) -> DeliveryLine:
    return DeliveryLine(
        id=DeliveryId(f"d{number}"),
        source="jira",
        key="k",
        state=DeliveryState.EVALUATED,
        reason=reason,
        detail=None,
        ticket_key="SUP-1",
        mapping_set="0" * 64,
        findings=list(findings),
        received_at=AT,
    )


@pytest.fixture
def make_run(make_plan: Callable[..., Plan]) -> Callable[..., Run]:
    def make(number: int, state: RunState, reason: Reason | None = None) -> Run:
        plan = make_plan()
        return Run(
            id=RunId(f"r{number}"),
            delivery=DeliveryId("d1"),
            ticket=plan.ticket,
            mapping=MappingId("office"),
            key="once",
            state=state,
            reason=reason,
            detail=None,
            plan=plan,
            owner=None,
            crashes=0,
            tries=0,
            due_at=AT,
            created_at=AT,
            ended_at=None,
        )

    return make


def test_the_mapping_that_came_nearest_is_named_with_what_kept_it_from_firing() -> None:
    far = missed("far", *(condition(f"f{n} is 'x'", True) for n in (1, 2)), *(condition("g", False),) * 2)
    near = missed("near", condition("a is 'x'", True), condition("b is 'y'", False))
    other = missed("other", condition("c is 'z'", False), condition("d is 'z'", False))
    answer = why.of_ticket(
        (delivery(2, Reason.NO_MAPPING, other), delivery(1, Reason.NO_MAPPING, near, far)), ()
    )
    assert answer.text == (
        "Nothing ran, because no mapping fired. near came nearest: one of its conditions held, but b is 'y', "
        "the mapping wants 'x'."
    )
    assert answer.delivery == "d1"


def test_of_two_that_came_as_near_the_newest_is_told() -> None:
    found = [delivery(n, Reason.NO_MAPPING, missed(f"m{n}", condition("a is 'y'", False))) for n in (2, 1)]
    answer = why.of_ticket(found, ())
    assert "m2 came nearest: a is 'y', the mapping wants 'x'." in answer.text


def test_mappings_that_came_equally_near_are_all_named_and_of_many_three() -> None:
    both = (missed("a", condition("p", False)), missed("b", condition("q", True), condition("r", False)))
    assert why.of_delivery(delivery(1, Reason.NO_MAPPING, *both)).text == (
        "Nothing ran, because no mapping fired. b and a came equally near. "
        "b: one of its conditions held, but r, the mapping wants 'x'. a: p, the mapping wants 'x'."
    )
    many = [missed(f"m{n}", condition("p", False)) for n in range(5)]
    text = why.of_delivery(delivery(1, Reason.NO_MAPPING, *many)).text
    assert "m0, m1, m2 and 2 more came equally near. m0: " in text
    assert "m3" not in text


def test_a_mapping_that_missed_many_changes_is_named_once_with_its_nearest_miss() -> None:
    misses = [missed("m", condition("p", False), condition("q", False)), missed("m", condition("r", False))]
    told = why.of_delivery(delivery(1, Reason.NO_MAPPING, *misses)).text
    assert told.endswith("m came nearest: r, the mapping wants 'x'.")


def test_of_many_conditions_that_did_not_hold_two_are_told() -> None:
    miss = missed("m", *(condition(f"c{n}", False) for n in range(4)))
    told = why.of_delivery(delivery(1, Reason.NO_MAPPING, miss)).text
    assert told.endswith("c0, the mapping wants 'x'; c1, the mapping wants 'x'; and 2 more.")


@pytest.mark.parametrize(
    ("joined", "told"),
    [
        (
            condition(None, False, condition("a is 'y'", False), condition("b is 'x'", True), wanted="all"),
            "a is 'y', the mapping wants 'x'.",
        ),
        (
            condition(None, False, condition("a is 'x'", True), wanted="the mapping wants not this"),
            "the mapping wants not this: a is 'x', the mapping wants 'x'.",
        ),
        (condition("a is missing", None), "a is missing, the mapping wants 'x'."),
    ],
)
def test_of_joined_conditions_the_part_that_did_not_hold_is_told(joined: Any, told: str) -> None:
    assert why.of_delivery(delivery(1, Reason.NO_MAPPING, missed("m", joined))).text.endswith(told)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"state": DeliveryState.PENDING, "reason": None}, "Nothing ran yet: the delivery waits"),
        ({"reason": Reason.OWN_CHANGE}, "made by the bridge's own account"),
        ({"reason": Reason.UNSERVED_KIND, "detail": "a <b>project</b>"}, "(unserved kind: a <b>project</b>)"),
        ({"reason": Reason.ALREADY_SERVED}, "has had its run for this ticket or this change before"),
        (
            {
                "reason": Reason.ALREADY_SERVED,
                "findings": [missed("m", outcome="already_served") | {"once": True}],
            },
            "Nothing further ran: m has had its one run for this ticket (write `repeat: per_change`",
        ),
        ({"reason": Reason.NO_MAPPING}, "or what the mappings saw was removed"),
        ({"reason": None}, "A mapping fired"),
        (
            {"findings": [missed("m", condition("a", True), outcome="ignored")]},
            "m fired, but found no device",
        ),
    ],
)
def test_whatever_came_of_a_delivery_is_said(given: Any, told: str) -> None:
    assert told in why.of_ticket((replace(delivery(), **given),), ()).text


def test_of_a_ticket_that_nothing_is_known_of_both_causes_are_named() -> None:
    answer = why.of_ticket((), ())
    assert "its system sent nothing" in answer.text
    assert "refused at the door" in answer.text
    assert answer.run is answer.delivery is None


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ((RunState.ANSWERED,), "An action was asked for and sent: {newest} answered."),
        ((RunState.RECORDED, RunState.UNKNOWN), "An action was asked for and sent: {newest} recorded."),
        ((RunState.HELD, RunState.REFUSED), "An action is asked for and waits: {newest} held."),
        ((RunState.EXPIRED, RunState.RECORDED), "Nothing ran: {newest} expired."),
        ((RunState.DEAD,), "Nothing ran: {newest} dead."),
    ],
)
def test_of_a_ticket_with_runs_the_newest_is_told_and_whether_anything_was_sent(
    make_run: Callable[..., Run], states: tuple[RunState, ...], told: str
) -> None:
    made = tuple(make_run(number, state) for number, state in enumerate(states))
    answer = why.of_ticket((delivery(),), made)
    assert answer.text == told.format(newest="the newest run, of mapping office, is")
    assert answer.run == "r0"


def test_why_a_run_waits_or_ended_stands_in_the_sentence(make_run: Callable[..., Run]) -> None:
    made = (make_run(1, RunState.RECORDED, Reason.SHADOW),)
    assert (
        why.of_ticket((), made).text
        == "Nothing ran: the newest run, of mapping office, is recorded (shadow)."
    )


def test_what_came_after_the_run_is_told_and_first_what_was_served_before(
    make_run: Callable[..., Run],
) -> None:
    made = (make_run(1, RunState.ANSWERED),)
    later = AT + timedelta(minutes=1)
    own, needless, served = (
        replace(delivery(number, reason), received_at=later)
        for number, reason in enumerate((Reason.OWN_CHANGE, Reason.NO_MAPPING, Reason.ALREADY_SERVED))
    )
    told = why.since((own, needless, served), made)
    assert told is not None
    assert told.delivery == served.id
    assert why.since((own,), made) is None
    assert why.since((delivery(1, Reason.ALREADY_SERVED),), made) is None
    assert why.since((served,), ()) is None
