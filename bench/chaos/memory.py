"""How much more memory processes took than they had before, at their peak, in megabytes (Linux's /proc).

It must not judge.
"""

from collections.abc import Iterable
from pathlib import Path

# What Linux understands as: forget the peak, count it from what is held now.
FORGET_PEAK = "5"


def held(processes: Iterable[int]) -> dict[int, float]:
    """Return what each process holds, and let its peak be counted from here."""
    found = {}
    for process in processes:
        Path(f"/proc/{process}/clear_refs").write_text(FORGET_PEAK)
        found[process] = _megabytes(process, "VmRSS")
    return found


def growth(before: dict[int, float]) -> float | None:
    """Return by how much the one that grew most was larger at its peak; None where all have ended."""
    living = [process for process in before if Path(f"/proc/{process}").exists()]
    return max((_megabytes(process, "VmHWM") - before[process] for process in living), default=None)


def _megabytes(process: int, name: str) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    # A process that has ended and was not waited for holds nothing, and says nothing of it.
    return int(fields.get(name, "0 kB").split()[0]) / 1024
