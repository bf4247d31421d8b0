"""What a campaign started is gone when the campaign is, however that ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.chaos.aftercare import own_folder
from bench.chaos.house import ROOT

pytestmark = pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc, which is Linux's")

# Starts a process that ignores what it can ignore, says where, and waits.
CAMPAIGN = """
import subprocess, sys, time
from bench.chaos.aftercare import own_folder
with own_folder("aftercare-") as folder:
    stubborn = "import signal, time; signal.signal(signal.SIGQUIT, signal.SIG_IGN); print(flush=True)"
    stubborn += "; time.sleep(60)"
    child = subprocess.Popen(
        [sys.executable, "-c", stubborn], cwd=folder, stdout=subprocess.PIPE, start_new_session=True
    )
    child.stdout.readline()
    print(folder, child.pid, flush=True)
    time.sleep(60)
"""


def runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_killed_campaign_leaves_neither_a_process_nor_a_folder():
    campaign = subprocess.Popen(
        [sys.executable, "-c", CAMPAIGN], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with campaign:
        assert campaign.stdout is not None
        folder, pid = campaign.stdout.readline().split()
        assert Path(folder).is_dir()
        assert runs(pid)
        os.kill(campaign.pid, signal.SIGKILL)
    ends = time.monotonic() + 30
    while (Path(folder).exists() or runs(pid)) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not Path(folder).exists()
    assert not runs(pid)


def test_what_works_elsewhere_is_left_alone(tmp_path):
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path) as other:
        with own_folder("aftercare-") as folder:
            ours = subprocess.Popen(["sleep", "60"], cwd=folder)
        assert ours.wait(10) == -signal.SIGQUIT
        assert other.poll() is None
        other.kill()
