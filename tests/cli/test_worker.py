"""`worker` as a process: it ends with grace, never holds up whoever ends it, and does not start unfit."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from bridge.cli.working import ENDING_SECONDS
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


def started(home, ended, *arguments, **variables):
    """Start a worker, as `bridge worker` or by a program, and wait until it works."""
    process = subprocess.Popen(
        [sys.executable, *(arguments or ("-m", "bridge", "worker"))],
        cwd=home.folder,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    ended(process)
    for line in process.stderr:
        if '"worker.started"' in line:
            return process
    raise AssertionError(process.wait())


def last_words(process, *, seconds):
    """Return the exit code, which must come soon, and what was written to the standard error until then."""
    _, errors = process.communicate(timeout=seconds)
    return process.returncode, errors


INTERRUPTED = """
import signal, threading
from bridge.cli import main
from bridge.worker import Worker

stop, notify_all = Worker.stop, threading.Condition.notify_all

def interrupted(condition):
    if threading.current_thread() is threading.main_thread():
        threading.Condition.notify_all = notify_all
        signal.raise_signal(signal.SIGTERM)
    notify_all(condition)

def stop_interrupted(worker):
    threading.Condition.notify_all = interrupted
    stop(worker)

Worker.stop = stop_interrupted
main(["worker"])
"""


@pytest.mark.journey
def test_a_second_signal_in_the_middle_of_stopping_does_not_keep_a_worker_from_ending(home, ended):
    # Ctrl-C in `make run` sends SIGINT to the worker, and SIGTERM a moment later. On a busy machine that came
    # while an Event that the first one set held its lock; here it always does.
    home.migrate()
    process = started(home, ended, "-c", INTERRUPTED)
    process.send_signal(signal.SIGINT)
    code, errors = last_words(process, seconds=10)
    assert code == 0
    assert errors.count('"worker.stopped"') == 1


HANGING = """
import threading
from bridge.cli import main, working
from bridge.{module} import {name}

def hang(*_):
    threading.Event().wait()

{name}.{method} = hang
working.ENDING_SECONDS = {seconds}
main(["worker"])
"""


def told_to_end(home, ended, *, module, name, method, seconds=ENDING_SECONDS):
    """Tell a worker to end in which a method hangs; return its exit code and what it wrote."""
    home.migrate()
    program = HANGING.format(module=module, name=name, method=method, seconds=seconds)
    process = started(home, ended, "-c", program, BRIDGE_GRACE_SECONDS="0")
    process.send_signal(signal.SIGTERM)
    return last_words(process, seconds=10)


@pytest.mark.journey
def test_a_worker_whose_claims_hang_is_drained_all_the_same(home, ended):
    code, errors = told_to_end(home, ended, module="worker", name="Worker", method="_claim")
    assert code == 0
    assert '"worker.stopped"' in errors
    with closing(sqlite3.connect(home.folder / DATABASE)) as connection:
        assert connection.execute("SELECT count(*) FROM sessions WHERE ended_at IS NULL").fetchone() == (0,)


@pytest.mark.journey
def test_a_worker_whose_session_cannot_be_closed_says_so_and_ends(home, ended):
    _, errors = told_to_end(home, ended, module="undertaking", name="Undertaking", method="close")
    assert errors.index('"worker.session_left_open"') < errors.index('"worker.stopped"')


@pytest.mark.journey
def test_a_worker_that_cannot_even_be_closed_ends_and_says_where_it_hung(home, ended):
    code, errors = told_to_end(home, ended, module="bootstrap", name="Bridge", method="stop", seconds=1.0)
    assert code == 1
    assert '"worker.stopped"' in errors
    assert "in hang" in errors


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
