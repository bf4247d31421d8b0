"""Fuzzes one target with atheris until its time is up or something is found, and ends the process."""

import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed here: `make fuzz` installs it, on Linux")

# What is imported in here tells the fuzzer which branches an input took.
with atheris.instrument_imports(include=["bridge"]):
    from bench.fuzz.targets import TARGETS, Target

# No input takes a hundredth of these.
LONGEST_SECONDS = 10
MOST_MEGABYTES = 512
LONGEST_INPUT = 8_192


def main() -> None:
    """Fuzz the target, for the seconds and with the folder that the command line names."""
    name, seconds, keep = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    target, corpus = TARGETS[name], keep / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={LONGEST_SECONDS}",
        f"-rss_limit_mb={MOST_MEGABYTES}",
        f"-max_len={LONGEST_INPUT}",
        f"-artifact_prefix={keep / name}-",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup(["fuzz", *options, str(corpus)], target.make(), custom_mutator=_mutator(target))
    atheris.Fuzz()


def _mutator(target: Target) -> Callable[[bytes, int, int], bytes]:
    """Return what makes a new input of an old one: by its form three times of four, else blindly."""
    alter = target.alter()

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        chance = Random(seed)
        altered = alter(data, chance) if chance.randrange(4) else None
        if altered is not None and len(altered) <= longest:
            return altered
        blind: bytes = atheris.Mutate(data, longest)
        return blind

    return mutate


if __name__ == "__main__":
    main()
