"""Clears up after a campaign, however that ended: what runs in its folder is ended, and the folder goes.

It must not touch a process that works elsewhere. Where there is no /proc only the folder is removed.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

# A database server clears up behind itself within this time; what is left then is killed.
LEAVE_SECONDS = 5.0
KEPT = "keep"


@contextlib.contextmanager
def watched(folder: Path, *, keep: bool = False) -> Iterator[Path]:
    """Have a folder cleared at the end of the context, also where this process is killed within it."""
    # Its input ends with us, in whatever way; a session of its own keeps Ctrl-C from it.
    watcher = subprocess.Popen(
        [sys.executable, "-m", "bench.chaos.aftercare", str(folder), *([KEPT] if keep else [])],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield folder
    finally:
        watcher.communicate()


@contextlib.contextmanager
def own_folder(prefix: str) -> Iterator[Path]:
    """Make a folder that is gone at the end, with all that runs in it."""
    with watched(Path(tempfile.mkdtemp(prefix=prefix))) as folder:
        yield folder


def clear(folder: Path, *, keep: bool) -> None:
    """End what runs in a folder; then unmount and remove it, unless it is to be kept."""
    _end(folder)
    if keep:
        return
    while os.path.ismount(folder):
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
    if shutil.which("chattr"):
        subprocess.run(["chattr", "-R", "-f", "-i", str(folder)], check=False)
    shutil.rmtree(folder, ignore_errors=True)


def _end(folder: Path) -> None:
    ends = time.monotonic() + LEAVE_SECONDS
    for process in living(folder):
        _send(process, signal.SIGQUIT)
    while living(folder) and time.monotonic() < ends:
        time.sleep(0.05)
    for process in living(folder):
        _send(process, signal.SIGKILL)


def living(folder: Path) -> list[int]:
    """Return the processes that work in a folder or below."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if entry.readlink().is_relative_to(folder):
                found.append(int(entry.parent.name))
    return found


def _send(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    clear(Path(sys.argv[1]), keep=KEPT in sys.argv[2:])
