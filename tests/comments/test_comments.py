"""What a service desk reader is told, and that it never claims more than is known."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge import comments
from bridge.comments import waiting
from bridge.comments.waiting_words import HELD_WORDS
from bridge.comments.wording import CALL_WORDS, ENGINE_WORDS, ERROR_WORDS, PROBLEM_WORDS
from bridge.errors import Reason
from bridge.models import (
    Call,
    CallResult,
    CallState,
    CommentStyle,
    DeliveryId,
    Device,
    DeviceUid,
    EngineCode,
    EngineOutcome,
    EngineUid,
    Layer,
    Limit,
    LimitKind,
    MappingId,
    Mode,
    Occasion,
    Part,
    Pause,
    PauseScope,
    Plan,
    Problem,
    Report,
    RunId,
    SourceName,
    TicketRef,
    Tone,
    Unplannable,
)
from bridge.policy import Ruling, Verdict

Make = Callable[..., Plan]
RUN = RunId("r0123abcd")
OK, TIMEOUT, ERROR = EngineCode.OK, EngineCode.TIMEOUT, EngineCode.ENGINE_ERROR


def outcome(letter: str, code: EngineCode, message: str = "", text: str | None = None) -> EngineOutcome:
    return EngineOutcome(
        engine=EngineUid(letter * 32),
        name=f"Engine{letter.upper()}",
        code=code,
        code_text=code.value if text is None else text,
        message=message,
    )


def call(state: CallState, *outcomes: EngineOutcome, part: int = 1, attempt: int = 1, **result: Any) -> Call:
    device = Device(uid=DeviceUid(f"{part}" * 32), name=f"WS-{part}")
    done = state not in (CallState.PLANNED, CallState.INTENDED, CallState.DROPPED)
    return Call(
        run=RUN,
        part=Part(number=part, devices=(device,), engines=None),
        attempt=attempt,
        state=state,
        result=CallResult(state=state, outcomes=outcomes, **result) if done else None,
    )


def answered(*codes: EngineCode) -> Call:
    return call(CallState.ANSWERED, *(outcome(chr(97 + n), code) for n, code in enumerate(codes)))


def told(report: Report) -> str:
    """Return every text of a report that foreign words may stand in."""
    return "\n".join([report.headline, *report.advice, *(row.meaning for row in report.rows)])


# ── answered ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("codes", "headline", "tone"),
    [
        ([OK], "Accepted by the Engine", Tone.GOOD),
        ([OK, OK, OK], "Accepted by 3 of 3 Engines", Tone.GOOD),
        ([OK, OK, ERROR], "Accepted by 2 of 3 Engines", Tone.WARNING),
        ([ERROR, ERROR], "Accepted by none of 2 Engines", Tone.BAD),
        ([ERROR, TIMEOUT], "Accepted by none of 2 Engines", Tone.WARNING),
        ([ERROR], "Not accepted by the Engine", Tone.BAD),
        ([TIMEOUT], "Not accepted by the Engine", Tone.WARNING),
    ],
)
def test_the_headline_counts_who_accepted(
    codes: list[EngineCode], headline: str, tone: Tone, make_plan: Make
) -> None:
    report = comments.answered(RUN, make_plan(), (answered(*codes),))
    assert (report.headline, report.tone) == (headline, tone)


def test_accepted_is_never_called_executed(make_plan: Make) -> None:
    report = comments.answered(RUN, make_plan(), (answered(OK, OK),))
    assert "Accepted is not executed" in told(report)
    for claim in ("success", "completed", "was executed", "has run", "done"):
        assert claim not in told(report).lower()


@pytest.mark.parametrize("code", list(EngineCode))
def test_every_engine_code_has_a_row_and_a_way_out(code: EngineCode, make_plan: Make) -> None:
    report = comments.answered(RUN, make_plan(), (answered(code),))
    (row,) = report.rows
    words = ENGINE_WORDS[code]
    assert row.engine == "EngineA"
    assert row.result.startswith(words.result)
    assert row.meaning.startswith(words.meaning)
    assert row.tone is words.tone
    assert words.way_out in report.advice


def test_only_ok_is_good() -> None:
    assert [code for code, words in ENGINE_WORDS.items() if words.tone is Tone.GOOD] == [OK]
    for code in (TIMEOUT, EngineCode.UNRECOGNISED):
        assert "may" in ENGINE_WORDS[code].meaning


def test_an_unknown_code_is_shown_as_it_came(make_plan: Make) -> None:
    odd = call(CallState.ANSWERED, outcome("a", EngineCode.UNRECOGNISED, text="queued"))
    report = comments.answered(RUN, make_plan(), (odd,))
    assert report.rows[0].result == "Not understood (queued)"


def test_an_engine_without_a_word_is_said_to_be_silent(make_plan: Make) -> None:
    silent = call(CallState.ANSWERED, outcome("a", OK), outcome("b", EngineCode.UNRECOGNISED, text=""))
    report = comments.answered(RUN, make_plan(), (silent,))
    assert report.headline == "Accepted by 1 of 2 Engines"
    assert report.rows[1].result == "No word"


def test_addresses_in_messages_are_masked(make_plan: Make) -> None:
    leaky = call(CallState.ANSWERED, outcome("a", ERROR, "engine [192.0.2.10:999]: no license"))
    report = comments.answered(RUN, make_plan(), (leaky,))
    assert "no license" in told(report)
    assert "192.0.2.10" not in told(report)
    refused = call(
        CallState.REFUSED, reason=Reason.REJECTED, error_code="NO_DEVICES", error_text="at 192.0.2.10"
    )
    assert "192.0.2.10" not in told(comments.answered(RUN, make_plan(), (refused,)))


def test_an_engine_without_a_name_is_shown_by_its_uid(make_plan: Make) -> None:
    nameless = EngineOutcome(engine=EngineUid("a" * 32), name=None, code=OK, code_text="ok", message="")
    report = comments.answered(RUN, make_plan(), (call(CallState.ANSWERED, nameless),))
    assert report.rows[0].engine == f"Engine {'a' * 32}"


# ── refused, unknown, mixed ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", [code for code in ERROR_WORDS if code != "INTERNAL_ERROR"])
def test_every_error_code_is_explained_with_its_way_out(code: str, make_plan: Make) -> None:
    refused = call(
        CallState.REFUSED, reason=Reason.REJECTED, error_code=code, error_text="because", status=400
    )
    report = comments.answered(RUN, make_plan(), (refused,))
    assert (report.headline, report.tone) == ("The Nexthink portal refused the request", Tone.BAD)
    assert f"{ERROR_WORDS[code].what} ({code})" in report.advice
    assert ERROR_WORDS[code].way_out in report.advice
    assert "Nexthink said: because" in report.advice


def test_no_manual_execution_says_what_to_set(make_plan: Make) -> None:
    refused = call(CallState.REFUSED, reason=Reason.REJECTED, error_code="NO_MANUAL_EXECUTION")
    assert "set to manual execution" in told(comments.answered(RUN, make_plan(), (refused,)))


@pytest.mark.parametrize("reason", list(CALL_WORDS))
def test_every_reason_of_a_call_is_explained(reason: Reason, make_plan: Make) -> None:
    for state in (CallState.REFUSED, CallState.UNKNOWN, CallState.NOT_SENT):
        report = comments.answered(RUN, make_plan(), (call(state, reason=reason),))
        assert CALL_WORDS[reason].what in report.advice
        assert CALL_WORDS[reason].way_out in report.advice


@pytest.mark.parametrize("state", [CallState.UNKNOWN, CallState.INTENDED])
def test_an_unknown_outcome_is_called_unknown_and_says_what_to_check(
    state: CallState, make_plan: Make
) -> None:
    report = comments.answered(RUN, make_plan(), (call(state, **_lost(state)),))
    assert (report.headline, report.tone) == ("It is not known whether the action ran", Tone.WARNING)
    assert "Look in Nexthink whether the action ran" in told(report)
    assert f"bridge resolve {RUN} --ran (or --not-ran) --reason TEXT" in told(report)


def _lost(state: CallState) -> dict[str, Any]:
    return {"reason": Reason.DEADLINE} if state is CallState.UNKNOWN else {}


def test_an_internal_error_is_not_called_a_refusal(make_plan: Make) -> None:
    lost = call(CallState.UNKNOWN, reason=Reason.SERVER_ERROR, error_code="INTERNAL_ERROR", status=500)
    report = comments.answered(RUN, make_plan(), (lost,))
    assert "not known" in report.headline
    assert "refused" not in told(report)


def test_s7_an_unknown_part_rules_the_headline_and_the_parts_not_sent_are_told(make_plan: Make) -> None:
    calls = (
        call(CallState.ANSWERED, outcome("a", OK), part=1),
        call(CallState.UNKNOWN, part=2, reason=Reason.CONNECTION_LOST),
        call(CallState.DROPPED, part=3),
    )
    report = comments.answered(RUN, make_plan(), calls)
    assert (report.headline, report.tone) == (
        "It is not known whether the action ran on every device",
        Tone.WARNING,
    )
    assert report.rows[0].engine == "EngineA, part 1 of 3"
    assert ("Not sent to", "WS-3") in report.facts


def test_a_refused_part_is_told_beside_an_accepted_one(make_plan: Make) -> None:
    calls = (
        call(CallState.ANSWERED, outcome("a", OK), outcome("b", OK), part=1),
        call(CallState.REFUSED, part=2, reason=Reason.REJECTED, error_code="TOO_MANY_DEVICES"),
    )
    report = comments.answered(RUN, make_plan(), calls)
    assert report.headline == "Accepted in 2 of 2 Engine answers; a part of the request was refused"
    assert report.tone is Tone.WARNING


def test_only_the_last_attempt_of_a_part_counts(make_plan: Make) -> None:
    calls = (
        call(CallState.NOT_SENT, reason=Reason.NOT_CONNECTED),
        call(CallState.ANSWERED, outcome("a", OK), attempt=2),
    )
    report = comments.answered(RUN, make_plan(), calls)
    assert report.headline == "Accepted by the Engine"
    assert ("Attempts", "2") in report.facts
    assert CALL_WORDS[Reason.NOT_CONNECTED].what not in report.advice


def again(*words: EngineOutcome, state: CallState = CallState.ANSWERED, **result: Any) -> tuple[Call, Call]:
    """Make an answer of which EngineB missed the request, and the second send to EngineB."""
    first = call(CallState.ANSWERED, outcome("a", OK), outcome("b", EngineCode.NOT_CONNECTED))
    return first, call(state, *words, attempt=2, **result)


def test_after_a_second_send_each_engine_stands_with_its_newest_answer(make_plan: Make) -> None:
    report = comments.answered(RUN, make_plan(), again(outcome("b", OK)))
    assert report.headline == "Accepted by 2 of 2 Engines"
    assert [(row.engine, row.result) for row in report.rows] == [
        ("EngineA", "Accepted"),
        ("EngineB", "Accepted"),
    ]
    assert report.tone is Tone.GOOD
    still_away = comments.answered(RUN, make_plan(), again(outcome("b", EngineCode.NOT_CONNECTED)))
    assert still_away.headline == "Accepted by 1 of 2 Engines"


@pytest.mark.parametrize("state", [CallState.REFUSED, CallState.NOT_SENT])
def test_a_second_send_that_failed_takes_nothing_back(state: CallState, make_plan: Make) -> None:
    report = comments.answered(RUN, make_plan(), again(state=state, reason=Reason.REJECTED))
    assert report.headline.startswith("Accepted by 1 of 2 Engines")
    assert [row.result for row in report.rows] == ["Accepted", "Not connected"]
    assert CALL_WORDS[Reason.REJECTED].what in report.advice
    assert "Not sent to" not in dict(report.facts)


def test_a_second_send_without_an_answer_is_unknown_beside_what_was_accepted(make_plan: Make) -> None:
    first, second = again(state=CallState.UNKNOWN, reason=Reason.CONNECTION_LOST)
    report = comments.answered(RUN, make_plan(), (first, second))
    assert report.headline == "It is not known whether the action ran on every device"
    assert [(row.engine, row.result) for row in report.rows] == [("EngineA", "Accepted")]


def test_what_never_left_is_called_not_sent(make_plan: Make) -> None:
    report = comments.answered(RUN, make_plan(), (call(CallState.NOT_SENT, reason=Reason.TLS_FAILED),))
    assert report.headline == "The request was not sent"
    assert ("Not sent to", "WS-1") in report.facts


def test_a_late_answer_says_that_it_is_late(make_plan: Make) -> None:
    report = comments.late(RUN, make_plan(), (answered(OK),))
    assert report.headline == "Accepted by the Engine"
    assert "late" in report.advice[0]


def test_t3_composing_cannot_fail_whatever_the_calls_are(make_plan: Make) -> None:
    for state in CallState:
        for reason in (None, *Reason):
            for code in (None, "SOMETHING_NEW", *ERROR_WORDS):
                one = call(state, reason=reason, error_code=code, error_text="x")
                assert comments.answered(RUN, make_plan(), (one,)).headline
    assert comments.answered(RUN, make_plan(), ()).headline == "The request was not sent"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the plan is the same each time
@given(message=st.text(), code=st.text(), name=st.text())
def test_t3_composing_cannot_fail_on_hostile_text(
    message: str, code: str, name: str, make_plan: Make
) -> None:
    hostile = EngineOutcome(
        engine=EngineUid("a" * 32), name=name, code=EngineCode.UNRECOGNISED, code_text=code, message=message
    )
    lost = call(CallState.UNKNOWN, part=2, reason=Reason.SERVER_ERROR, error_code=code, error_text=message)
    calls = (call(CallState.ANSWERED, hostile), lost)
    assert comments.answered(RUN, make_plan(), calls).rows


# ── every other occasion ─────────────────────────────────────────────────────────────────────────────────


def test_a_problem_names_the_field_and_the_way_out(make_plan: Make) -> None:
    for reason, words in PROBLEM_WORDS.items():
        problem = Problem(reason=reason, place="Asked by", detail="what was seen")
        report = comments.refused(RUN, make_plan(), problem)
        assert (report.headline, report.tone) == (words.what, Tone.BAD)
        assert ("Field", "Asked by") in report.facts
        assert report.advice == ("What was seen.", words.way_out, "Nothing was sent to Nexthink.")


def test_an_unplannable_ticket_is_told_too() -> None:
    result = Unplannable(
        mapping=MappingId("m"),
        mapping_set="s",
        mode=Mode.LIVE,
        action="a",
        title="Repair Office",
        style=CommentStyle(intro="Hello."),
        ticket=TicketRef(source=SourceName("jira"), uid="1", key="SUP-1"),
        problem=Problem(reason=Reason.VALUE_MISSING, place="KB", detail="no value"),
    )
    report = comments.unplannable(RUN, result)
    assert report.intro == "Hello."
    assert report.facts == (("Action", "Repair Office"), ("Field", "KB"), ("Run", RUN))


def test_the_facts_name_action_devices_portal_and_run(make_plan: Make) -> None:
    report = comments.answered(RUN, make_plan(devices=("ws-1", "WS-9")), (answered(OK),))
    assert report.facts == (
        ("Action", make_plan().title),
        ("Devices", "WS-1"),
        ("Not found", "WS-9"),
        ("Portal", "main"),
        ("Run", RUN),
    )


def test_many_devices_are_counted_not_listed(make_plan: Make) -> None:
    names = tuple(f"WS-{number}" for number in range(25))
    facts = dict(comments.announced(RUN, make_plan(devices=names)).facts)
    assert facts["Devices"].endswith("WS-19 and 5 more")


def test_an_announcement_says_that_nothing_was_sent(make_plan: Make) -> None:
    report = comments.announced(RUN, make_plan(params=(("Mode", "silent"),)))
    assert "Nothing was sent" in told(report)
    assert ("Parameter Mode", "silent") in report.facts


@pytest.mark.parametrize("reason", list(HELD_WORDS))
def test_whatever_holds_a_run_is_explained(reason: Reason, make_plan: Make) -> None:
    report = waiting.held(RUN, make_plan(), Ruling(verdict=Verdict.HOLD, reason=reason))
    assert report.headline == HELD_WORDS[reason].what


def test_s6_a_paused_portal_says_why(make_plan: Make) -> None:
    pause = Pause(
        id=1,
        scope=PauseScope.PORTAL,
        value="main",
        reason=Reason.UNAUTHORIZED,
        author=None,
        detail=None,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        expires_at=None,
        run=None,
    )
    ruling = Ruling(verdict=Verdict.HOLD, reason=Reason.PORTAL_PAUSED, pause=pause)
    assert CALL_WORDS[Reason.UNAUTHORIZED].what in waiting.held(RUN, make_plan(), ruling).advice


def test_a_limit_is_told_with_whose_it_is_and_when_it_frees(make_plan: Make) -> None:
    limit = Limit(kind=LimitKind.PER_HOUR, layer=Layer.ACTION, most=20, window=timedelta(hours=1))
    until = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
    ruling = Ruling(verdict=Verdict.HOLD, reason=Reason.OVER_LIMIT, limit=limit, until=until)
    facts = waiting.held(RUN, make_plan(), ruling).facts
    assert ("Limit", "20 runs an hour for this action") in facts
    assert ("Not before", "2026-01-01 12:30 UTC") in facts


@pytest.mark.parametrize(
    ("ran", "send_again", "words"),
    [
        (True, False, "ann says that the action ran"),
        (False, False, "ann says that the action did not run"),
        (False, True, "ann says that the action did not run"),
    ],
)
def test_what_a_person_says_is_told_as_their_word(
    ran: bool, send_again: bool, words: str, make_plan: Make
) -> None:
    lost = call(CallState.UNKNOWN, reason=Reason.DEADLINE)
    said: dict[str, Any] = {"ran": ran, "send_again": send_again, "by": "ann", "why": "looked in Finder"}
    report = comments.resolved(RUN, make_plan(), (lost,), **said)
    assert report.headline == words
    assert ("Reason", "looked in Finder") in report.facts
    assert ("It is sent again." in report.advice) == send_again
    beside = comments.resolved(RUN, make_plan(), (answered(OK), replace(lost, attempt=2)), **said)
    assert beside.headline == f"{words}, where that was not known"


def test_the_other_ends_are_told(make_plan: Make) -> None:
    assert "too old" in waiting.expired(RUN, make_plan(), Reason.TOO_OLD).headline
    cancelled = comments.cancelled(RUN, make_plan(), by="ann", why="wrong device")
    assert ("By", "ann") in cancelled.facts
    assert "3 times" in told(comments.dead(RUN, make_plan(), 3))


# ── markers ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("occasion", list(Occasion))
def test_a3_every_marker_is_known_again(occasion: Occasion) -> None:
    marker = comments.marker(RUN, DeliveryId("d1"), occasion, 12)
    assert marker.startswith(f"bridge-r0123abcd-{occasion}-12-")
    assert marker != comments.marker(RUN, DeliveryId("d2"), occasion, 12)
    assert comments.contains_marker(f"… {marker}.")
    assert not comments.contains_marker(marker.replace("bridge", "fridge"))
    assert not comments.contains_marker("bridge-building is fun")
