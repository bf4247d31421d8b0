"""A ticket is found however people write its key."""

import pytest

from bridge.ticketing import keys


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        (" sup-7\n", "SUP-7"),
        ("Inc0010023", "INC0010023"),
        ("AB" * 16, "ab" * 16),
        ("ab" * 16, "ab" * 16),
        ("ab" * 15, "AB" * 15),
    ],
)
def test_a_key_is_read_as_its_system_writes_it(typed: str, key: str) -> None:
    assert keys.as_written(typed) == key
    assert keys.is_key(key)


@pytest.mark.parametrize("text", ["", "SUP 7", "SUP-7/..", "<b>", "SUP-7\n", "\x00", "ÄB-1", "A" * 65])
def test_what_cannot_be_a_key_is_told_apart(text: str) -> None:
    assert not keys.is_key(text)
