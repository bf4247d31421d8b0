"""What a bad answer says about waiting."""

import json

import pytest

from bridge.errors import Reason
from bridge.models import HttpResponse, NotPosted, PostFailure
from bridge.ticketing.answers import closing, read_json, refusal, rejected


@pytest.mark.parametrize("bad", [rb"\u0000", rb"\ud83d", b"\xed\xa0\xbd"])
def test_what_no_ledger_can_hold_is_replaced_in_names_and_values_at_any_depth(bad: bytes) -> None:
    read = read_json(
        HttpResponse(
            status=200, body=b'{"a%s": ["b%s", {"c": "%s"}], "d": "\\ud83d\\ude00"}' % (bad, bad, bad)
        )
    )
    text = json.dumps(read, ensure_ascii=False)
    text.encode()
    assert "\\u" not in text
    assert text.count("\ufffd") >= 3
    assert "\U0001f600" in text


DATE = ("date", "Thu, 28 May 2026 20:00:00 GMT")


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


def test_a_change_that_was_refused_in_part_says_what_stands_in_the_ticket_all_the_same() -> None:
    refused = rejected(Reason.REJECTED, "no such transition")
    told = closing(["label"], [refused])
    assert isinstance(told, NotPosted)
    assert told.detail == "no such transition; written all the same: label"
    assert closing([], [refused]) == refused
