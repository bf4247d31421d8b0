"""Our marker is found as a whole word, and nobody else's text can bring one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.models import Occasion
from bridge.ticketing.marks import broken_up, carries, holds_our_mark, required

MARKER = "bridge-01hx9-answered-1"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (MARKER, True),
        (f"a ({MARKER}).", True),
        (f"{MARKER}2 and {MARKER}", True),
        (f"{MARKER}2", False),
        (f"{MARKER}-1", False),
        (f"x-{MARKER}", False),
        ("", False),
    ],
)
def test_a_marker_is_found_as_a_whole_word_only(text: str, found: bool) -> None:
    assert carries(text, MARKER) is found
    if found:
        assert holds_our_mark(text)


@pytest.mark.parametrize("occasion", Occasion)
def test_every_occasion_s_marker_is_ours(occasion: Occasion) -> None:
    assert holds_our_mark(f"see bridge-abc-{occasion}-12!")
    assert not holds_our_mark(f"see abridge-abc-{occasion}-12")


def test_ordinary_words_are_not_our_mark() -> None:
    assert not holds_our_mark("the bridge-head answered 1 of bridge-team-2")


@given(st.text(), st.text())
def test_broken_up_text_holds_no_marker(before: str, after: str) -> None:
    broken = broken_up(f"{before} {MARKER} {after}")
    assert not carries(broken, MARKER)
    assert not holds_our_mark(broken)


@pytest.mark.parametrize("marker", ["", "a^b", "A-1", "a--b", "a b", "a-", "a\n"])
def test_a_marker_that_could_be_markup_or_query_is_refused(marker: str) -> None:
    with pytest.raises(ValueError, match="marker"):
        required(marker)
