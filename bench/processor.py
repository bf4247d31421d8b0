"""Reads what processes have used, with everything that they started, from Linux's /proc.

It must not measure by itself; who calls it subtracts two readings.
"""

import os
from collections import defaultdict
from pathlib import Path


def seconds(root: int) -> float:
    """Return the processor seconds of a process and its descendants, those that ended too."""
    ticks = sum(sum(map(int, fields[11:15])) for fields in _family(root).values())
    return ticks / os.sysconf("SC_CLK_TCK")


def megabytes(root: int) -> float:
    """Return the proportional set size of a process and its descendants; what they share counts once."""
    kilobytes = 0
    for process in _family(root):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                kilobytes += int(line.split()[1])
    return kilobytes / 1024


def _family(root: int) -> dict[int, list[str]]:
    """Return the fields of /proc/…/stat behind the name, of a process and its descendants."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    known: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # Behind the command's name, which may hold spaces and parentheses, come plain numbers.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children[int(fields[1])].append(int(entry.name))
        known[int(entry.name)] = fields
    family: dict[int, list[str]] = {}
    waiting = [root]
    while waiting:
        process = waiting.pop()
        if process in known:
            family[process] = known[process]
        waiting += children[process]
    return family
