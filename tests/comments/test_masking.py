"""Internal addresses do not reach a ticket; everything else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.comments.masking import HIDDEN, mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (
            "Error in request to engine [192.0.2.10:999]: no license",
            "Error in request to engine {}: no license",
        ),
        ("at 192.0.2.10:999.", "at {}."),
        ("at 192.0.2.10", "at {}"),
        ("192.0.2.10,198.51.100.7", "{},{}"),
        ("at [2001:db8::1]:999 now", "at {} now"),
        ("at 2001:db8::1, then", "at {}, then"),
        ("at fe80::1%eth0.", "at {}."),
        ("at ::1.", "at {}."),
        ("loopback ::ffff:192.0.2.1", "loopback {}"),
        ("from [engine01.corp.example:999]", "from {}"),
        ("from [engine01:999]", "from {}"),
        ("from engine01.corp.example:999 it", "from {} it"),
    ],
)
def test_addresses_are_hidden(text: str, masked: str) -> None:
    assert mask(text) == masked.replace("{}", HIDDEN)


@pytest.mark.parametrize(
    "text",
    [
        "no license",
        "at 10:30 it failed",
        "at 10:30:45 it failed",
        "[KB0012345] see",
        "error 0x80070005: denied",
        "ratio 1:2:3",
        "WS-ABC-12345",
        "version 6.30",
        "C:\\Windows\\Temp",
        "abc: def: fed",
        "",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert mask(text) == text


@given(text=st.text())
def test_no_text_makes_it_raise(text: str) -> None:
    mask(text).encode("utf-8")


@given(before=st.text(max_size=20), ip=st.ip_addresses(v=4), after=st.text(max_size=20))
def test_no_ipv4_address_survives_between_words(before: str, ip: object, after: str) -> None:
    assert str(ip) not in mask(f"{before.replace(str(ip), '')} {ip} {after.replace(str(ip), '')}")


@given(ip=st.ip_addresses(v=6))
def test_no_ipv6_address_survives_between_words(ip: object) -> None:
    assert mask(f"at {ip} now") == f"at {HIDDEN} now"
    assert mask(f"at [{ip}]:443 now") == f"at {HIDDEN} now"
