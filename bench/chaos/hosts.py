"""A second host for the last worker: a network of its own, cut off from PostgreSQL, or a clock of its own.

It must not change the network or the clock of this machine beyond links of its own.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import make_url

from bench.chaos.house import ROOT
from bench.chaos.installation import Place
from bench.chaos.relay import pass_on
from bench.chaos.stage import Stage

# Our end of the way to the outside systems, and of the way to PostgreSQL, which alone is cut.
OUTSIDE, LEDGER = "10.231.7.1", "10.231.7.5"
NAMESPACE, OUTSIDE_LINK, LEDGER_LINK = "bridge-chaos", "chaos-outside", "chaos-ledger"
POSTGRESQL_PORT = 5432
# What a Python loads at its start that is to sleep there.
SLEEPING = Path(__file__).with_name("clocks")
FAKETIME = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1")
# The last worker's clock is ahead by so much, always.
AHEAD_SECONDS = 90
BACK_SECONDS = 3_600


@contextlib.contextmanager
def two_hosts(stage: Stage) -> Iterator[None]:
    """Put the last worker into a network namespace, with a link to outside systems and one to PostgreSQL."""
    # What a campaign left that was killed.
    subprocess.run(["ip", "netns", "delete", NAMESPACE], check=False, stderr=subprocess.DEVNULL)
    address = make_url(stage.bridge.database_url)
    _ip("netns", "add", NAMESPACE)
    try:
        _ip("-n", NAMESPACE, "link", "set", "lo", "up")
        for link, ours in ((OUTSIDE_LINK, OUTSIDE), (LEDGER_LINK, LEDGER)):
            theirs = ours[:-1] + str(int(ours[-1]) + 1)
            _ip("link", "add", link, "type", "veth", "peer", "name", link, "netns", NAMESPACE)
            _ip("address", "add", f"{ours}/30", "dev", link)
            _ip("-n", NAMESPACE, "address", "add", f"{theirs}/30", "dev", link)
            _ip("link", "set", link, "up")
            _ip("-n", NAMESPACE, "link", "set", link, "up")
        ports = [urlsplit(url).port or 0 for url in (stage.bridge.nexthink.url, stage.bridge.jira.url)]
        listeners = [pass_on((OUTSIDE, port), ("127.0.0.1", port)) for port in ports]
        path = f"{address.query['host']}/.s.PGSQL.{POSTGRESQL_PORT}"
        listeners.append(pass_on((LEDGER, POSTGRESQL_PORT), path))
        there = address.set(host=LEDGER, port=POSTGRESQL_PORT, query={}).render_as_string(False)
        into = ("ip", "netns", "exec", NAMESPACE)
        stage.bridge.places[stage.workers[-1]] = Place(prefix=into, environ={"BRIDGE_DATABASE_URL": there})
        with subprocess.Popen(
            [
                *into,
                sys.executable,
                str(ROOT / "bench/chaos/relay.py"),
                *(f"{p}={OUTSIDE}:{p}" for p in ports),
            ],
            cwd=stage.bridge.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as relay:
            assert relay.stdout is not None
            relay.stdout.readline()
            yield
            relay.terminate()
        for listener in listeners:
            listener.close()
    finally:
        _ip("netns", "delete", NAMESPACE)


def cut_off(stage: Stage) -> None:
    """No packet passes between the second host and PostgreSQL for a while; nobody is told that it is so."""
    _ip("link", "set", LEDGER_LINK, "down")
    try:
        stage.pause(2.0, 15.0)
    finally:
        _ip("link", "set", LEDGER_LINK, "up")
    stage.did["host cut off"] += 1


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@contextlib.contextmanager
def clocks_of_their_own(stage: Stage) -> Iterator[None]:
    """Let workers read a clock that can be set; on PostgreSQL the last one's is another that is always ahead.

    The web process keeps the true one: gunicorn's master does not bear a clock that is not the kernel's.
    """
    usual = {
        "LD_PRELOAD": str(_faketime()),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, SLEEPING))),
    }
    clock, ahead = stage.bridge.folder / "clock", stage.bridge.folder / "clock-ahead"
    clock.write_text("+0\n")
    ahead.write_text(f"+{AHEAD_SECONDS}\n")
    for name in stage.workers:
        elsewhere = stage.server is not None and name == stage.workers[-1]
        own = {"FAKETIME_TIMESTAMP_FILE": str(ahead if elsewhere else clock)}
        stage.bridge.places[name] = Place(environ=usual | own)
    yield


def set_back(stage: Stage) -> None:
    """The workers' clocks jump back by an hour, and are set right some seconds later."""
    clock = stage.bridge.folder / "clock"
    _write(clock, f"-{BACK_SECONDS}\n")
    try:
        stage.pause(3.0, 8.0)
    finally:
        _write(clock, "+0\n")
    stage.did["clock set back an hour"] += 1


def no_faketime() -> str:
    """Say that the library is missing that a clock of a process needs; empty where it is there."""
    return "" if _faketime() else "libfaketime cannot be found (apt-get install libfaketime)"


def _write(clock: Path, text: str) -> None:
    # Replaced in one step: a process that looks meanwhile must not read half a line.
    fresh = clock.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(clock)


def _faketime() -> Path | None:
    found = [path for pattern in FAKETIME for path in sorted(Path("/").glob(pattern[1:]))]
    return found[0] if found else None
