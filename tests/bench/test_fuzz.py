"""The targets of the fuzzer, a few seconds each, on their seeds and on what hypothesis makes of them."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.fuzz.mapping_files import loaded_or_refused
from bench.fuzz.oracles import made_up_settings
from bench.fuzz.targets import TARGETS
from bridge.bootstrap import load_context
from bridge.mapping.language import load
from bridge.mapping_files import read

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

    alter = target.alter()

    @BRIEF
    @given(data=altered(seeds) | st.binary(max_size=200), seed=st.integers(0, 2**32 - 1))
    def holds(data: bytes, seed: int) -> None:
        run(data)
        formed = alter(data, Random(seed))
        if formed is not None:
            run(formed)

    for seed in seeds:
        run(seed)
    holds()


def test_a_mapping_file_that_is_nearly_right_is_loaded_or_refused_by_more_than_its_form() -> None:
    """Were all refused by YAML or the schema, nothing behind them would be reached."""
    target = TARGETS["mapping-files"]
    alter, seeds = target.alter(), target.seeds()
    chance = Random(1)
    files = [alter(chance.choice(seeds), chance) for _ in range(300)]
    assert None not in files
    assert len(set(files)) > 250
    settings = made_up_settings()
    context, shipped = load_context(settings), read(settings.mappings, settings.catalogue_file).texts
    found = [
        loaded_or_refused(
            lambda text=file: load(replace(shipped, mappings=(("m.yaml", text[1:].decode()),)), context)
        )
        for file in files
        if file and file[0] < len(shipped.mappings)
    ]
    assert sum(each is not None for each in found) > len(found) // 50
