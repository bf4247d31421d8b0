"""The campaign: breaks a bridge and says whether its promises held; exit code 1 says that one did not."""

import argparse
import signal
import sys
import time
from pathlib import Path

from bench.chaos.campaign import Outcome, Round, play
from bench.chaos.faults import BOTH, FAULTS

SHOWN_BREACHES = 20


def main() -> int:
    """Run what was asked for, print a line for each round, and say whether all held."""
    asked = _arguments()
    # Told to stop, it ends what it started.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(2))
    seed = asked.seed if asked.seed is not None else time.time_ns() % 1_000_000
    print(f"seed {seed}")
    print(_line("fault", "ledger", "workers", "seconds", "200", "calls", "comments", "runs; what was done"))
    broken = 0
    for name in asked.fault or tuple(FAULTS):
        fault = FAULTS[name]
        if lacking := fault.lacking():
            print(f"{name}: skipped, {lacking}", flush=True)
            continue
        for database in fault.databases:
            for workers in asked.workers if database in asked.database else ():
                what = Round(
                    fault=fault,
                    database=database,
                    workers=workers,
                    seed=seed,
                    seconds=asked.seconds,
                    kills=asked.kills,
                    rate=asked.rate,
                    keep=asked.keep,
                )
                outcome = play(what)
                print(_row(what, outcome), flush=True)
                broken += bool(outcome.breaches)
    print("all promises held" if not broken else f"{broken} rounds broke a promise")
    return min(broken, 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("--fault", action="append", choices=FAULTS, help="repeatable; default all of them")
    parser.add_argument("--database", action="append", choices=BOTH, help="repeatable; default both")
    parser.add_argument("--workers", type=int, action="append", help="worker processes, 1 to 4; repeatable")
    parser.add_argument("--seconds", type=float, default=30.0, help="of trouble in each round")
    parser.add_argument("--kills", type=int, default=0, help="end a round after so many kills")
    parser.add_argument("--rate", type=float, default=4.0, help="tickets a second")
    parser.add_argument("--seed", type=int, help="of what chance decides; default a new one")
    parser.add_argument("--keep", type=Path, help="a folder for the logs and the ledger of each round")
    asked = parser.parse_args()
    asked.workers = asked.workers or [2]
    asked.database = asked.database or BOTH
    if not all(1 <= workers <= 4 for workers in asked.workers):
        parser.error("--workers: give 1 to 4")
    return asked


def _row(what: Round, outcome: Outcome) -> str:
    finding = outcome.finding
    runs = ", ".join(f"{number} {state}" for state, number in finding.runs.most_common())
    done = ", ".join(f"{number} {name}" for name, number in sorted(outcome.did.items()))
    rest = f"; {finding.undeliverable} comments undeliverable" if finding.undeliverable else ""
    rest += f"; slowest call {finding.lateness:+.1f} s beside its deadline"
    rest += f"; a worker {outcome.growth:+.0f} MB" if outcome.growth is not None else ""
    line = _line(
        what.fault.name,
        what.database,
        what.workers,
        f"{outcome.seconds:.0f}",
        finding.accepted,
        finding.calls,
        finding.comments,
        f"{runs}; {done}{rest}",
    )
    return "\n".join([line, *(f"  BROKEN: {breach}" for breach in outcome.breaches[:SHOWN_BREACHES])])


def _line(*cells: object) -> str:
    widths = (14, 11, 8, 8, 6, 6, 9, 0)
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))


if __name__ == "__main__":
    sys.exit(main())
