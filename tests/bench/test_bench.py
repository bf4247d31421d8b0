"""The bench works from end to end; nothing here depends on how fast anything is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import node_red
from bench.accepting import Load
from bench.contenders import TAKING_IN, WHOLE_WAY, Name, running
from bench.end_to_end import carry
from bench.load import Devices
from bench.upstreams import upstream

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
        (name, devices) for name in WHOLE_WAY for devices in Devices
    }
    assert all(each["events_per_second"] > 0 for each in medians)


@pytest.mark.journey
@pytest.mark.skipif(sys.platform != "linux", reason="processor time is read from /proc")
def test_every_webhook_of_a_burst_is_taken_in() -> None:
    # The bench itself refuses a load of which a webhook was not answered with a 200 in the end.
    options = ["--rounds", "1", "--webhooks", "20", "--burst", "300"]
    command = [sys.executable, "-m", "bench.accepting", *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert ran.returncode == 0, ran.stderr[-4_000:]
    assert all(ran.stdout.count(f"\n{name} ") == len(Load) for name in TAKING_IN)


@pytest.mark.journey
def test_growth_is_measured_on_ledgers_that_were_filled() -> None:
    options = ["--mappings", "30", "--waiting", "50", "--ended", "50"]
    command = [sys.executable, "-m", "bench.growth", *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert ran.returncode == 0, ran.stderr[-4_000:]
    assert ran.stdout.count("with 50 ended") == 4
    assert ran.stdout.count("with 50 waiting") == 4


@pytest.mark.journey
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_calls_over_tls_are_under_way_together() -> None:
    # The bench itself refuses a load of which not all calls were open at once.
    options = ["--calls", "20", "--seconds", "4", "--probes", "1"]
    command = [sys.executable, "-m", "bench.in_flight", *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert ran.returncode == 0, ran.stderr[-4_000:]
    assert all(ran.stdout.count(f"\n{name} ") == 1 for name in (Name.SQLITE, Name.POSTGRESQL))


@pytest.mark.journey
def test_node_red_takes_every_event_to_its_comment() -> None:
    if missing := node_red.missing():
        pytest.skip(f"Node-RED cannot be measured: {missing}")
    with upstream() as constants, running(Name.NODE_RED, constants, None) as contender:
        for devices in Devices:
            # This refuses a load of which an event was lost or carried out twice.
            carry(constants, contender, devices, 20, 4)
            assert constants.counts().get("queries", 0) == (40 if devices is Devices.NAME else 0)


@pytest.mark.journey
@pytest.mark.skipif(sys.platform != "linux", reason="processor time is read from /proc")
def test_new_mappings_are_loaded_while_webhooks_come() -> None:
    # The bench itself refuses mappings that some web process does not come to know.
    options = ["--mappings", "30", "--seconds", "1"]
    command = [sys.executable, "-m", "bench.loading", *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert ran.returncode == 0, ran.stderr[-4_000:]
    assert all(ran.stdout.count(f"\n{name} ") == 2 for name in (Name.SQLITE, Name.POSTGRESQL))


@pytest.mark.journey
def test_the_console_is_measured_over_a_past_and_beside_what_receives() -> None:
    options = ["--runs", "200", "--rounds", "1", "--webhooks", "40", "--every", "0.2"]
    command = [sys.executable, "-m", "bench.console", *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert ran.returncode == 0, ran.stderr[-4_000:]
    assert all(f"\n{name}: " in f"\n{ran.stdout}" for name in (Name.SQLITE, Name.POSTGRESQL))
    assert ran.stdout.count(" median ") == 2 * 21
    assert ran.stdout.count("ratio") == 2
