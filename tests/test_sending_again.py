"""Which Engines may be sent to again: never one that may have acted, whatever the attempts came to."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.models import (
    Call,
    CallResult,
    CallState,
    Device,
    DeviceUid,
    EngineCode,
    EngineOutcome,
    EngineUid,
    Part,
    Plan,
    RunId,
    SendAgain,
)
from bridge.sending_again import (
    newest_words,
    parts_to_send_again,
    takes_back,
    takes_back_by_count,
    times_sent_again,
)

Make = Callable[..., Plan]
OK, AWAY, TIMEOUT = EngineCode.OK, EngineCode.NOT_CONNECTED, EngineCode.TIMEOUT
OTHERS = [code for code in EngineCode if code not in {AWAY, TIMEOUT}]


def uid(letter: str) -> EngineUid:
    return EngineUid(letter * 32)


def call(
    words: dict[str, EngineCode] | None = None,
    *,
    state: CallState = CallState.ANSWERED,
    part: int = 1,
    attempt: int = 1,
    to: str | None = None,
    known: str = "",
) -> Call:
    """Make a call by the letters of its Engines: what each said, to which it went, which know the device."""
    outcomes = tuple(
        EngineOutcome(engine=uid(letter), name=letter.upper(), code=code, code_text=code, message="")
        for letter, code in (words or {}).items()
    )
    device = Device(uid=DeviceUid("0" * 32), name="WS-1", engines=tuple(map(uid, known)))
    return Call(
        run=RunId("r1"),
        part=Part(number=part, devices=(device,), engines=None if to is None else tuple(map(uid, to))),
        attempt=attempt,
        state=state,
        result=CallResult(state=state, outcomes=outcomes) if words is not None else None,
    )


def chosen(plan: Plan, *calls: Call) -> list[str]:
    return [engine[0] for part in parts_to_send_again(plan, calls) for engine in part.engines or ()]


def test_an_engine_that_was_not_connected_is_sent_to_again_and_named(make_plan: Make) -> None:
    (part,) = parts_to_send_again(make_plan(), (call({"a": OK, "b": AWAY, "c": AWAY}),))
    assert part.engines == (uid("b"), uid("c"))
    assert [device.name for device in part.devices] == ["WS-1"]


def test_a_timeout_is_sent_again_only_where_the_action_is_repeatable(make_plan: Make) -> None:
    answer = call({"a": TIMEOUT, "b": AWAY})
    assert chosen(make_plan(), answer) == ["b"]
    assert chosen(make_plan(repeatable=True), answer) == ["a", "b"]


@pytest.mark.parametrize("code", OTHERS)
def test_no_other_answer_is_sent_again_even_where_the_action_is_repeatable(
    code: EngineCode, make_plan: Make
) -> None:
    assert chosen(make_plan(repeatable=True), call({"a": code})) == []


def test_an_engine_that_does_not_know_the_device_is_never_sent_to(make_plan: Make) -> None:
    assert chosen(make_plan(), call({"a": AWAY, "b": AWAY}, known="b")) == ["b"]
    # An Engine that was not asked and answers all the same was not meant.
    assert chosen(make_plan(), call({"a": AWAY, "b": AWAY}, to="a")) == ["a"]


def test_the_newest_attempt_decides_and_each_part_is_its_own(make_plan: Make) -> None:
    calls = (
        call({"a": OK, "b": AWAY, "c": AWAY}),
        call({"b": OK, "c": AWAY}, attempt=2, to="bc"),
        call({"a": AWAY}, part=2),
    )
    made = parts_to_send_again(make_plan(), calls)
    assert [(part.number, part.engines) for part in made] == [(1, (uid("c"),)), (2, (uid("a"),))]


@pytest.mark.parametrize("repeatable", [False, True])
@pytest.mark.parametrize("state", [CallState.UNKNOWN, CallState.INTENDED])
def test_an_engine_whose_last_answer_was_lost_is_never_sent_to_again(
    state: CallState, repeatable: bool, make_plan: Make
) -> None:
    lost = call(state=state, attempt=2, to="b")
    assert chosen(make_plan(repeatable=repeatable), call({"a": OK, "b": AWAY}), lost) == []


def test_what_may_have_acted_before_its_answer_is_sent_again_only_where_repeatable(make_plan: Make) -> None:
    calls = (call(state=CallState.UNKNOWN), call({"a": AWAY}, attempt=2))
    assert chosen(make_plan(), *calls) == []
    assert chosen(make_plan(repeatable=True), *calls) == ["a"]


def test_attempts_that_never_reached_nexthink_change_nothing(make_plan: Make) -> None:
    for state in (CallState.NOT_SENT, CallState.REFUSED, CallState.DROPPED, CallState.PLANNED):
        assert chosen(make_plan(), call({"a": OK, "b": AWAY}), call(state=state, attempt=2, to="b")) == ["b"]


def test_second_sends_are_counted_from_the_first_answer_on() -> None:
    answer = call({"a": AWAY})
    assert times_sent_again(()) == times_sent_again((answer,)) == 0
    retried = (call(state=CallState.NOT_SENT), call({"a": AWAY}, attempt=2))
    assert times_sent_again(retried) == 0
    assert times_sent_again((*retried, call({"a": AWAY}, attempt=3), call({}, part=2))) == 1
    assert times_sent_again((answer, call(state=CallState.REFUSED, attempt=2))) == 1
    assert times_sent_again((answer, call(state=CallState.PLANNED, attempt=2))) == 0


LETTERS = "abc"
ATTEMPTS = st.lists(
    st.tuples(
        st.sampled_from(CallState),
        st.none() | st.sets(st.sampled_from(LETTERS), min_size=1),
        st.dictionaries(st.sampled_from(LETTERS), st.sampled_from(EngineCode)),
    ),
    max_size=5,
)


def attempts_of(drawn: list[tuple[CallState, set[str] | None, dict[str, EngineCode]]]) -> tuple[Call, ...]:
    return tuple(
        call(
            words if state is CallState.ANSWERED else None,
            state=state,
            attempt=number,
            to=None if to is None else "".join(sorted(to)),
        )
        for number, (state, to, words) in enumerate(drawn, start=1)
    )


@given(drawn=ATTEMPTS, repeatable=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_sequence_of_attempts_ever_sends_again_to_an_engine_that_may_have_acted(
    drawn: list[tuple[CallState, set[str] | None, dict[str, EngineCode]]],
    repeatable: bool,
    make_plan: Make,
) -> None:
    calls = attempts_of(drawn)
    said = {
        letter: [call.words[letter] for call in map(Said, calls) if letter in call.words]
        for letter in LETTERS
    }
    for part in parts_to_send_again(make_plan(repeatable=repeatable), calls):
        assert part.engines
        for engine in part.engines:
            words = said[engine[0]]
            assert words[-1] in ({AWAY, TIMEOUT} if repeatable else {AWAY})
            assert OK not in words
            open_ended = [
                each
                for each in calls
                if each.state in {CallState.UNKNOWN, CallState.INTENDED}
                and (each.part.engines is None or engine in each.part.engines)
            ]
            assert repeatable or not open_ended
            assert not open_ended or open_ended[-1].attempt < max(
                each.attempt for each in calls if engine[0] in Said(each).words
            )


@given(drawn=ATTEMPTS)
def test_an_ok_stands_whatever_came_after_it(
    drawn: list[tuple[CallState, set[str] | None, dict[str, EngineCode]]],
) -> None:
    calls = attempts_of(drawn)
    accepted = {letter for each in calls for letter, code in Said(each).words.items() if code is OK}
    shown = {word.engine[0] for word in newest_words(calls) if word.code is OK}
    assert shown == accepted


class Said:
    """A call's answer by the letters of its Engines."""

    def __init__(self, call: Call) -> None:
        answered = call.result.outcomes if call.state is CallState.ANSWERED and call.result else ()
        self.words = {outcome.engine[0]: outcome.code for outcome in answered}


def test_a_planned_send_after_a_timeout_is_taken_back_where_the_action_is_not_repeatable_now(
    make_plan: Make,
) -> None:
    then, now = make_plan(repeatable=True), make_plan()
    answer = call({"a": TIMEOUT, "b": AWAY})
    planned = {to: call(attempt=2, to=to, state=CallState.PLANNED) for to in ("b", "ab")}
    assert takes_back(then, now, (answer, planned["ab"]))
    assert not takes_back(then, now, (answer, planned["b"]))
    assert not takes_back(then, then, (answer, planned["ab"]))


@pytest.mark.parametrize(("made", "count", "taken_back"), [(0, 0, True), (1, 1, True), (0, 1, False)])
def test_a_planned_send_beyond_the_mappings_count_of_now_is_taken_back(
    make_plan: Make, made: int, count: int, taken_back: bool
) -> None:
    then, now = (
        make_plan(send_again=SendAgain(times=times, wait=timedelta(minutes=30)) if times else None)
        for times in (2, count)
    )
    tried = tuple(call({"a": AWAY}, attempt=number + 1) for number in range(made + 1))
    planned = call(attempt=made + 2, to="a", state=CallState.PLANNED)
    assert takes_back_by_count(then, now, (*tried, planned)) is taken_back
    assert not takes_back_by_count(then, then, (*tried, planned))
    assert not takes_back_by_count(then, now, tried)
