"""Measures a bridge that has nothing to do: how long until it is ready, its processor time, its memory.

It must not judge. Memory is the proportional set size (PSS): what processes share is counted once.
"""

import argparse
import sys
import time

from bench import contenders, processor
from bench.contenders import Contender, Name
from bench.upstreams import upstream

# What a start leaves behind, such as memory that is given back, is over by then.
SETTLING_SECONDS = 5.0
LISTENING_SECONDS = 30.0


def main() -> None:
    """Measure the bridge on either database, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m bench.idle", description=__doc__)
    parser.add_argument(
        "--python",
        default=sys.executable,
        help="of an environment that has what the bridge needs and nothing else: what is installed is loaded",
    )
    given = parser.parse_args()
    print(f"{'':<22} {'ready after':>11} {'of a core':>10} {'memory':>8}")
    with upstream() as constants, contenders.postgresql() as server:
        for name in (Name.SQLITE, Name.POSTGRESQL):
            with contenders.running(name, constants, server, python=given.python) as bridge:
                time.sleep(SETTLING_SECONDS)
                before = _used(bridge)
                time.sleep(LISTENING_SECONDS)
                share = (_used(bridge) - before) / LISTENING_SECONDS
                megabytes = sum(map(processor.megabytes, bridge.processes))
                print(
                    f"{name:<22} {bridge.ready_seconds:>9.1f} s {share:>10.2%} {megabytes:>5.0f} MB",
                    flush=True,
                )


def _used(bridge: Contender) -> float:
    return sum(map(processor.seconds, bridge.processes))


if __name__ == "__main__":
    main()
