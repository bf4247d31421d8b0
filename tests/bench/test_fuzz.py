"""The targets of the fuzzer, a few seconds each, on their seeds and on what hypothesis makes of them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.fuzz.targets import TARGETS

PIECES = st.binary(max_size=12) | st.sampled_from(
    [b"\x00", b'"', b"\\u0000", b"\\ud800", b"null", b"[]", b"{}", b"1e999", b"9" * 40, b"-1", b"[" * 70]
)
BRIEF = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def altered(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """Return a seed of which some stretches are something else."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 30)))
        data = data[:start] + draw(PIECES) + data[end:]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_what_is_allowed_comes_of_any_bytes(name: str) -> None:
    target = TARGETS[name]
    run, seeds = target.make(), target.seeds()

    @BRIEF
    @given(data=altered(seeds) | st.binary(max_size=200))
    def holds(data: bytes) -> None:
        run(data)

    for seed in seeds:
        run(seed)
    holds()
