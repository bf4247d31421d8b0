"""Fuzzes each target for a while with atheris; exit code 1 says that something was found."""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.fuzz.targets import TARGETS

SHOWN_CHARACTERS = 6_000


def main() -> int:
    """Fuzz what was asked for, each target in a process of its own, and say what came of it."""
    asked = _arguments()
    keep = asked.keep or Path(tempfile.mkdtemp(prefix="bridge-fuzz-"))
    print(f"{'target':<18}{'executions':>12}{'peak MB':>9}")
    broken = 0
    for name in asked.target or tuple(TARGETS):
        command = [sys.executable, "-m", "bench.fuzz.one", name, str(asked.seconds), str(keep)]
        ran = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        executions = _told(ran.stderr, "number_of_executed_units")
        megabytes = _told(ran.stderr, "peak_rss_mb")
        # A target that executed nothing shows nothing.
        sound = ran.returncode == 0 and executions > 0
        print(f"{name:<18}{executions:>12,}{megabytes:>9}  {'' if sound else 'FOUND'}".rstrip(), flush=True)
        if not sound:
            broken += 1
            print((ran.stdout + ran.stderr)[-SHOWN_CHARACTERS:], file=sys.stderr)
    print(f"{broken} targets found something" if broken else "nothing was found", f"(inputs in {keep})")
    return min(broken, 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("--target", action="append", choices=TARGETS, help="repeatable; default all of them")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--keep", type=Path, help="a folder for the inputs that reached something new")
    return parser.parse_args()


def _told(output: str, statistic: str) -> int:
    found = re.search(rf"stat::{statistic}:\s+(\d+)", output)
    return int(found[1]) if found else 0


if __name__ == "__main__":
    sys.exit(main())
