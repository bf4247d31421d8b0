"""The bench works from end to end; nothing here depends on how fast anything is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.contenders import Name
from bench.load import Devices

ROOT = Path(__file__).parents[2]


@pytest.mark.journey
@pytest.mark.skipif(sys.platform != "linux", reason="processor time is read from /proc")
def test_every_contender_takes_every_event_to_its_comment() -> None:
    # The bench itself refuses a load of which an event was lost or carried out twice.
    command = [sys.executable, "-m", "bench.end_to_end", "--rounds", "1", "--events", "20", "--json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert ran.returncode == 0, ran.stderr[-4_000:]
    medians = json.loads(ran.stdout)["medians"]
    assert {(each["contender"], each["devices"]) for each in medians} == {
        (name, devices) for name in Name for devices in Devices
    }
    assert all(each["events_per_second"] > 0 for each in medians)
