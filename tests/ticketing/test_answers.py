"""What a bad answer says about waiting."""

from datetime import timedelta

import pytest

from bridge.errors import Reason
from bridge.models import HttpResponse, PostFailure
from bridge.ticketing.answers import read_json, refusal, retry_after

DATE = ("date", "Thu, 28 May 2026 20:00:00 GMT")


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ((("retry-after", "120"),), timedelta(seconds=120)),
        ((("retry-after", "0"),), timedelta()),
        ((("retry-after", "9" * 400),), timedelta(days=1)),
        ((("retry-after", "Thu, 28 May 2026 20:05:00 GMT"), DATE), timedelta(minutes=5)),
        ((("retry-after", "Thu, 28 May 2026 19:00:00 GMT"), DATE), timedelta()),
        ((("retry-after", "Thu, 28 May 2027 20:05:00 GMT"), DATE), timedelta(days=1)),
        ((("retry-after", "Thu, 28 May 2026 20:05:00 GMT"),), None),
        ((("retry-after", "Thu, 28 May 2026 20:05:00"), DATE), None),
        ((("retry-after", "soon"), DATE), None),
        ((("retry-after", "-5"), DATE), None),
        ((("retry-after", "٣"), DATE), None),
        ((), None),
    ],
)
def test_retry_after_is_read_in_both_forms(
    headers: tuple[tuple[str, str], ...], wait: timedelta | None
) -> None:
    assert retry_after(HttpResponse(status=429, headers=headers)) == wait


@pytest.mark.parametrize(
    ("status", "failure", "reason"),
    [
        (302, PostFailure.LATER, Reason.REDIRECTED),
        (418, PostFailure.PERMANENT, Reason.REJECTED),
        (500, PostFailure.LATER, Reason.SERVER_ERROR),
        (599, PostFailure.LATER, Reason.SERVER_ERROR),
        (206, PostFailure.LATER, Reason.ANSWER_UNREADABLE),
    ],
)
def test_a_status_outside_the_table_is_judged_by_its_class(
    status: int, failure: PostFailure, reason: Reason
) -> None:
    judged = refusal(HttpResponse(status=status), {}, None)
    assert (judged.failure, judged.reason) == (failure, reason)


def test_a_message_is_told_short_and_clean() -> None:
    told = refusal(HttpResponse(status=500), {}, "a\x1b[31m\n" + "b" * 5000)
    assert told.detail.startswith("HTTP 500: a[31m b")
    assert len(told.detail) < 350


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 100_000, b"\xff", b"9" * 5000])
def test_an_answer_without_json_is_none(body: bytes) -> None:
    assert read_json(HttpResponse(status=200, body=body)) is None
