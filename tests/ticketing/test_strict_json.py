"""What the reader of webhook JSON refuses, and that it refuses in one way only."""

import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import Reason, WebhookRefused
from bridge.ticketing.strict_json import parse, require_json_type

HOSTILE = {
    "empty": b"",
    "not json": b"hello",
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "utf-16": '{"a":1}'.encode("utf-16"),
    "not utf-8": b'{"a":"\xff"}',
    "depth": b"[" * 65 + b"]" * 65,
    "depth of objects": b'{"a":' * 65 + b"1" + b"}" * 65,
    "depth at the end": b'[{"a":[]},' + b"[" * 64 + b"]" * 65,
    "lists without number": b"[" + b"[]," * 20_000 + b"1]",
    "great depth": b"[" * 100_000,
    "depth behind a string": b'["[[\\"", ' + b"[" * 64 + b"]" * 65,
    "NaN": b"[NaN]",
    "Infinity": b"[-Infinity]",
    "overflowing float": b"[1e999]",
    "huge int": b"[" + b"9" * 5000 + b"]",
    "int beyond storage": b"[" + b"9" * 31 + b"]",
    "duplicate key": b'{"a":1,"a":2}',
    "duplicate key in escapes": b'{"a":1,"\\u0061":2}',
    "lone surrogate": b'["\\ud800"]',
    "lone surrogate in a key": b'{"\\udc00":1}',
    "nul": b'{"a":["\\u0000"]}',
    "raw control character": b'["\x00"]',
    "unterminated": b'["a',
    "trailing": b"{} {}",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_json_is_a_400(body: bytes) -> None:
    with pytest.raises(WebhookRefused) as refused:
        parse(body)
    assert (refused.value.status, refused.value.reason) == (400, Reason.NOT_JSON)


def test_good_json_is_read_as_it_is() -> None:
    text = '{"a": [1, -2.5, true, null, "ü\\ud83d\\ude00[[[[\\"\\\\"], "b": {"a": 12345678901234567890}}'
    assert parse(text.encode()) == json.loads(text)


def test_depth_of_exactly_the_limit_is_read() -> None:
    assert parse(b"[" * 64 + b"]" * 64)
    assert parse(b'{"a":' * 3 + b"1" + b"}" * 3, max_depth=3)


def test_many_small_objects_are_read() -> None:
    assert len(parse(b"[" + b'{"id":"1"},' * 50_000 + b"1]")) == 50_001


@given(
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_any_bytes_are_read_or_refused_and_nothing_else(body: bytes) -> None:
    with suppress(WebhookRefused):
        parse(body)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text('ab\\"[]{}', max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values, st.booleans())
def test_what_is_written_plainly_is_read_back(value: object, ascii_only: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b'["' + b'\\"' * 500_000,
        b"[]" * 500_000,
        b'"' * 1_000_000,
        b"[" + b"\\" * 1_000_000,
        b'["' + b"a" * 1_000_000,
    ],
    ids=["open string", "brackets", "quotes", "backslashes", "long string"],
)
def test_a_hostile_megabyte_costs_linear_time(body: bytes) -> None:
    started = time.process_time()
    with pytest.raises(WebhookRefused):
        parse(body)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=UTF-8",
        'application/json;charset="utf-8"',
        "Application/vnd.x+json",
    ],
)
def test_json_types_are_taken(content_type: str) -> None:
    require_json_type((("content-type", content_type),))


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("content-type", "text/plain"),),
        (("content-type", "application/json; charset=utf-16"),),
        (("content-type", "application/json"), ("content-type", "application/json")),
        (("content-type", "application/json"), ("content-encoding", "gzip")),
        (("content-type", "application/jsonp"),),
    ],
)
def test_other_types_are_a_415(headers: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(WebhookRefused) as refused:
        require_json_type(headers)
    assert (refused.value.status, refused.value.reason) == (415, Reason.WRONG_TYPE)
