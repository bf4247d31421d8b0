"""When something is tried again, and when it is over."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.models import HttpResponse
from bridge.retries import COMMENTS, LONGEST_ASKED, GiveUp, RetryAt, calls, decide, read_retry_after

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CALLS = calls(timedelta(minutes=30))


def waits(policy: object, attempts: range, jitter: float = 0.0) -> list[float]:
    assert policy in (COMMENTS, CALLS)
    decided = [
        decide(COMMENTS if policy is COMMENTS else CALLS, attempt, NOW, first_at=NOW, jitter=jitter)
        for attempt in attempts
    ]
    return [(each.at - NOW).total_seconds() for each in decided if isinstance(each, RetryAt)]


def test_calls_that_never_left_wait_5_seconds_doubling_to_5_minutes() -> None:
    assert waits(CALLS, range(1, 10)) == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_comments_wait_up_to_half_an_hour() -> None:
    assert waits(COMMENTS, range(1, 10)) == [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]


def test_chance_shortens_a_wait_by_half_at_most() -> None:
    assert waits(CALLS, range(1, 2), jitter=0.5) == [3.75]
    assert 2.5 < waits(CALLS, range(1, 2), jitter=0.999)[0] < 2.51


def test_comments_are_tried_for_72_hours_and_calls_until_the_run_is_too_old() -> None:
    for policy, lasting in ((COMMENTS, timedelta(hours=72)), (CALLS, timedelta(minutes=30))):
        almost = NOW + lasting - policy.longest
        kept = decide(policy, 99, almost, first_at=NOW, jitter=0.0)
        assert kept == RetryAt(at=NOW + lasting)
        over = decide(policy, 99, almost + timedelta(seconds=1), first_at=NOW, jitter=0.0)
        assert over == GiveUp(since=NOW)


def test_what_a_server_asks_for_is_never_made_shorter() -> None:
    asked = decide(CALLS, 1, NOW, first_at=NOW, jitter=0.9, retry_after=timedelta(seconds=60))
    assert asked == RetryAt(at=NOW + timedelta(seconds=60))
    less = decide(CALLS, 7, NOW, first_at=NOW, jitter=0.0, retry_after=timedelta(seconds=1))
    assert less == RetryAt(at=NOW + timedelta(seconds=300))


def test_what_a_server_asks_for_is_cut() -> None:
    asked = decide(COMMENTS, 1, NOW, first_at=NOW, jitter=0.0, retry_after=timedelta(days=30))
    assert asked == RetryAt(at=NOW + LONGEST_ASKED)


@pytest.mark.parametrize(("attempt", "jitter"), [(0, 0.0), (-1, 0.0), (1, 1.0), (1, -0.1)])
def test_wrong_arguments_are_refused(attempt: int, jitter: float) -> None:
    with pytest.raises(ValueError, match="attempt"):
        decide(COMMENTS, attempt, NOW, first_at=NOW, jitter=jitter)


@given(
    attempt=st.integers(1, 10**9),
    jitter=st.floats(0, 1, exclude_max=True),
    after=st.none() | st.timedeltas(timedelta(0), timedelta(days=9999)),
)
def test_every_wait_is_bounded(attempt: int, jitter: float, after: timedelta | None) -> None:
    decided = decide(COMMENTS, attempt, NOW, first_at=NOW, jitter=jitter, retry_after=after)
    assert isinstance(decided, RetryAt)
    assert timedelta(seconds=15) <= decided.at - NOW <= timedelta(hours=1)


def answer(**headers: str) -> HttpResponse:
    return HttpResponse(status=429, headers=tuple((k.replace("_", "-"), v) for k, v in headers.items()))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "120"}, 120),
        ({"retry_after": " 0 "}, 0),
        ({"retry_after": "Wed, 01 Jan 2025 00:01:00 GMT", "date": "Wed, 01 Jan 2025 00:00:00 GMT"}, 60),
        ({"retry_after": "Wed, 01 Jan 2025 00:00:00 GMT", "date": "Wed, 01 Jan 2025 00:01:00 GMT"}, 0),
        ({"retry_after": "9" * 400}, 3600),
    ],
)
def test_retry_after_is_read_in_both_forms(headers: dict[str, str], seconds: int) -> None:
    assert read_retry_after(answer(**headers)) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", ["", "soon", "-1", "1.5", "٣", "Wed, 01 Jan 2025 00:01:00 GMT"])
def test_a_retry_after_that_cannot_be_read_is_none(value: str) -> None:
    assert read_retry_after(answer(retry_after=value)) is None


@given(value=st.text(), date=st.text())
def test_no_header_makes_it_raise(value: str, date: str) -> None:
    wait = read_retry_after(answer(retry_after=value, date=date))
    assert wait is None or timedelta(0) <= wait <= LONGEST_ASKED
