"""`worker` as a process: it ends with grace, never holds up whoever ends it, and does not start unfit."""

import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from bridge.open_files import SPARE
from bridge.sandbox.client import NexthinkControl

DATABASE = "data/bridge.sqlite3"


def calls(sandbox):
    return NexthinkControl(url=sandbox.nexthink_url).calls()["calls"]


def in_flight(home, sandbox, ended, until, *, seconds, **variables):
    """Start a worker whose one call is under way for so many seconds."""
    NexthinkControl(url=sandbox.nexthink_url).fault("delay", seconds=seconds, path="/api/remoteaction/*")
    with home.ledger() as ledger:
        run = ledger.arrive("jira-approved.json")["runs"][0]
    process = ended(home.start("worker", **variables))
    until(lambda: home.json("runs", "show", run)["run"]["state"] == "sending")
    return run, process


@pytest.mark.journey
def test_a_worker_that_is_told_to_stop_lets_its_call_end(home, sandbox, ended, until, interrupt):
    run, process = in_flight(home, sandbox, ended, until, seconds=2.0)
    assert interrupt(process, signal.SIGTERM) == 0
    assert home.json("runs", "show", run)["run"]["state"] == "answered"
    assert len(calls(sandbox)) == 1


@pytest.mark.journey
def test_a_worker_does_not_wait_longer_than_its_grace_and_says_that_it_left_something(
    home, sandbox, ended, until, interrupt
):
    run, process = in_flight(home, sandbox, ended, until, seconds=30.0, BRIDGE_GRACE_SECONDS="0")
    began = time.monotonic()
    assert interrupt(process, signal.SIGTERM) == 1
    assert time.monotonic() - began < 10
    # Nobody has recorded an answer: whoever works next calls it unknown.
    assert home.json("runs", "show", run)["calls"][0]["state"] == "intended"


@pytest.mark.journey
def test_a_second_interrupt_ends_at_once(home, sandbox, ended, until, interrupt):
    _, process = in_flight(home, sandbox, ended, until, seconds=30.0)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    assert interrupt(process, signal.SIGINT) == 130


def test_a_worker_refuses_a_ledger_from_the_future(home, ended):
    home.migrate()
    with closing(sqlite3.connect(home.folder / DATABASE)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    process = ended(home.start("worker"))
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "schema 9999 is newer than this version" in errors


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from bridge.open_files import provide
print(provide(max_in_flight={calls}, comment_senders=8))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def provided(*, soft, hard, calls):
    program = LIMITED.format(soft=soft, hard=hard, calls=calls)
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=30
    )
    said, limit = done.stdout.splitlines()
    return said, int(limit)


def test_the_limit_of_open_files_is_raised_to_what_the_calls_may_need():
    assert provided(soft=256, hard=4096, calls=100) == ("None", 100 * 8 + 8 + SPARE)


def test_the_limit_is_raised_as_far_as_it_goes_where_that_is_enough():
    assert provided(soft=256, hard=512, calls=100) == ("None", 512)


def test_a_limit_that_is_high_enough_is_left_alone():
    assert provided(soft=2000, hard=4096, calls=100) == ("None", 2000)


def test_too_few_open_files_are_told_with_the_way_out():
    said, _ = provided(soft=128, hard=256, calls=2000)
    assert said == f"2000 calls need {2008 + SPARE} open files, and 256 are allowed (raise `ulimit -n`)"


def test_a_worker_does_not_start_with_too_few_open_files(home, ended):
    home.migrate()
    process = ended(
        subprocess.Popen(
            [sys.executable, "-m", "bridge", "worker"],
            cwd=home.folder,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)),  # noqa: PLW1509 - one thread
        )
    )
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.startswith("BRIDGE_MAX_IN_FLIGHT: 64 calls need")
