"""What can be tried on this host: open files, mapping files, people, and whether the ledger commits.

It must not create or migrate a ledger, nor put mapping files into force.
"""

import shlex
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from bridge import open_files as limits
from bridge.bootstrap import check_files, open_ledger
from bridge.bootstrap.people import check_people
from bridge.doctoring import work
from bridge.doctoring.findings import Finding, bad, good, warning
from bridge.errors import BridgeError, ConfigurationError, LedgerUnavailable
from bridge.ledger import Ledger, Tx, in_force, queries
from bridge.mapping.language import MappingSet
from bridge.roles import Role
from bridge.settings import Settings
from bridge.undertaking import DEAD_AFTER_BEATS

SLOW_COMMIT_SECONDS = 0.5
_READ_BY_OTHERS = stat.S_IRGRP | stat.S_IROTH


def open_files(settings: Settings) -> Finding:
    """Say whether as many calls as configured may be open at once."""
    problem = limits.provide(max_in_flight=settings.max_in_flight, comment_senders=settings.comment_senders)
    if problem is None:
        return good("open files", f"enough for {settings.max_in_flight} calls in flight")
    return bad("open files", problem, "raise the limit, or lower BRIDGE_MAX_IN_FLIGHT")


def mapping_files(settings: Settings) -> tuple[Finding, MappingSet | None]:
    """Check the files as they stand; return the finding and the set, None where it cannot be read."""
    subject = "mapping files"
    try:
        result = check_files(settings)
    except ConfigurationError as error:
        return bad(subject, "; ".join(error.problems), "see `bridge check`"), None
    if result.problems:
        detail = f"{len(result.problems)} problems, the first: {result.problems[0]}"
        return bad(subject, detail, "see `bridge check`"), result.mapping_set
    assert result.mapping_set is not None
    mappings = result.mapping_set.mappings
    detail = f"{len(mappings)} mappings ({result.mapping_set.live} live), {result.tests_run} tests passed"
    if result.warnings:
        detail += f", {len(result.warnings)} to look at, the first: {result.warnings[0]}"
        return warning(subject, detail, "see `bridge check`"), result.mapping_set
    return good(subject, detail), result.mapping_set


def ledger(settings: Settings) -> Iterator[Finding]:
    """Open the ledger, commit a row, and look at what it says of itself."""
    url = urlsplit(settings.database_url.get_secret_value())
    file = Path(url.path[1:])
    if url.scheme == "sqlite" and not file.exists():
        yield bad("ledger", f"there is none at {file}", "run `bridge migrate`")
        return
    if url.scheme == "sqlite":
        yield from _readers(file)
    try:
        opened = open_ledger(settings)
    except LedgerUnavailable as error:
        way_out = "see that it runs and lets this host in, or correct BRIDGE_DATABASE_URL"
        yield bad("ledger", f"cannot be used ({error})", way_out)
        return
    except BridgeError as error:
        yield bad("ledger", str(error), "run `bridge migrate`, or correct BRIDGE_DATABASE_URL")
        return
    try:
        yield from _try(opened, DEAD_AFTER_BEATS * settings.beat_seconds)
    finally:
        opened.stop()


def secret_files(paths: tuple[Path, ...]) -> Iterator[Finding]:
    """Say which files with secrets everybody on this host can read."""
    for path in paths:
        if path.stat().st_mode & stat.S_IROTH:
            yield warning(
                "secrets", f"others on this host can read {path}", f"run `chmod o= {shlex.quote(str(path))}`"
            )


def people(settings: Settings) -> Iterator[Finding]:
    """Say whether the console, where people sign in, has people who can use it."""
    if settings.console != "on" or settings.console_people is None:
        return
    file = settings.console_people
    try:
        found = check_people(settings)
    except ConfigurationError as error:
        yield bad("console", "; ".join(error.problems), "correct the file of people")
        return
    detail = f"{len(found)} people in {file}"
    if any(user.visitor.may(Role.ADMINISTRATOR) for user in found.values()):
        yield good("console", detail)
    else:
        yield warning("console", f"{detail}, none of them an administrator", "give somebody that role")
    yield from secret_files((file,))


def _readers(file: Path) -> Iterator[Finding]:
    """Say who else of this host can read the ledger, which holds tickets as they came."""
    # SQLite gives the files beside it the mode of the first; a backup in an open folder has any mode.
    modes = ((file, "600"), (file.parent, "700"))
    open_ones = [(path, mode) for path, mode in modes if path.stat().st_mode & _READ_BY_OTHERS]
    if open_ones:
        yield warning(
            "ledger",
            f"others on this host can read {' and '.join(str(path) for path, _ in open_ones)}",
            "run " + " and ".join(f"`chmod {mode} {shlex.quote(str(path))}`" for path, mode in open_ones),
        )


def _try(opened: Ledger, worker_seconds: float) -> Iterator[Finding]:
    began = time.monotonic()
    try:
        opened.write(_probe)
        seconds = time.monotonic() - began
        yield from _committed(seconds)
        yield from _standing(opened, worker_seconds)
    except BridgeError as error:
        yield bad(
            "ledger", f"nothing could be committed ({error})", "check its disk, its rights and its load"
        )


def _committed(seconds: float) -> Iterator[Finding]:
    detail = f"a row was committed in {seconds * 1000:.0f} ms"
    if seconds > SLOW_COMMIT_SECONDS:
        yield warning("ledger", detail, "put it on a local disk that is less busy")
    else:
        yield good("ledger", detail)


def _standing(opened: Ledger, worker_seconds: float) -> Iterator[Finding]:
    set_hash = opened.read(in_force.mapping_set_in_force)
    if set_hash is None:
        yield warning(
            "mapping set", "none is in force yet", "start the web process or a worker: it takes the files"
        )
    else:
        yield good("mapping set", f"{set_hash[:12]} is in force")
    figures = opened.read(queries.figures)
    yield from work.examine(figures, worker_seconds=worker_seconds)
    for pause in figures.pauses:
        named = f"{pause.scope} {pause.value}".strip()
        yield warning(
            named,
            f"is paused ({pause.reason}), nothing is sent",
            f"mend the cause, then `bridge resume {named} --reason TEXT`",
        )


def _probe(tx: Tx) -> None:
    tx.count("probe", "doctor", "committed")
