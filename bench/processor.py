"""Reads how much processor time a process has used, with everything that it started, from Linux's /proc.

It must not measure by itself; who calls it subtracts two readings.
"""

import os
from collections import defaultdict
from pathlib import Path


def seconds(root: int) -> float:
    """Return the processor seconds of a process and its descendants, those that ended and were reaped too."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # Behind the command's name, which may hold spaces and parentheses, come plain numbers.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children[int(fields[1])].append(int(entry.name))
        ticks[int(entry.name)] = sum(map(int, fields[11:15]))
    total, waiting = 0, [root]
    while waiting:
        process = waiting.pop()
        total += ticks.get(process, 0)
        waiting += children[process]
    return total / os.sysconf("SC_CLK_TCK")
