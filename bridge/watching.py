"""Keeps what is in force at hand: connections, mapping set, our own accounts; looks every two seconds.

It must not refuse or change anything itself: new files count only once `checking` passed them (A5).
"""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import structlog

from bridge.connections import Connections
from bridge.errors import BridgeError, ConfigurationError, LedgerUnavailable
from bridge.ledger import Ledger, Tx, in_force
from bridge.mapping.language import MappingSet
from bridge.mapping_files import SETTLE_SECONDS, MappingFiles, Watcher
from bridge.models import Person, SourceName

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0
# The fact under which a refused mapping set is remembered until the next one is accepted.
REFUSED_FACT = "mapping_set_refused"
# The file, line and column at the beginning of a problem: its words may hold what somebody typed.
_PLACE: Final = re.compile(r"([^:\n]+:\d+:\d+): ")


class Watching:
    """What is in force now, for every thread of a process; `start` before use.

    `check` turns files into an accepted mapping set with its texts as JSON, or raises ConfigurationError;
    `load` turns such texts back; `connect` returns the connections for the secrets of this moment, or None
    where nothing changed.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        watcher: Watcher,
        check: Callable[[MappingFiles], tuple[MappingSet, str]],
        load: Callable[[str], MappingSet],
        connect: Callable[[], Connections | None],
        connections: Connections,
    ) -> None:
        self._ledger = ledger
        self._watcher = watcher
        self._check = check
        self._load = load
        self._connect = connect
        self._connections = connections
        self._mapping_set: MappingSet | None = None
        self._accounts: Mapping[SourceName, Person] = {}
        # What is still to be written of the files that were read last.
        self._judged: Callable[[], None] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)

    def start(self) -> None:
        """Read what is in force once, then go on looking in a thread."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """End the looking."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def connections(self) -> Connections:
        """Return the outside systems with the secrets of this moment."""
        return self._connections

    def mapping_set(self) -> MappingSet | None:
        """Return the mapping set in force; None where there is none that this version can read."""
        return self._mapping_set

    def accounts(self) -> Mapping[SourceName, Person]:
        """Return our own account for each source where it is known."""
        return self._accounts

    def _run(self) -> None:
        while not self._stopping.wait(SETTLE_SECONDS if self._watcher.is_settling else LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        try:
            changed = self._connect()
            if changed is not None:
                self._connections = changed
                log.info("secrets.read_again")
            self._take_new_files()
            self._take_what_is_in_force()
        except LedgerUnavailable as error:
            log.warning("watching.ledger_unavailable", reason=str(error))
        except BridgeError as error:
            log.error("watching.failed", reason=type(error).__name__)  # noqa: TRY400 - no traceback: expected
        except Exception:
            # This thread must outlive whatever it meets, or the process would go on with what is stale.
            log.exception("watching.failed")

    def _take_new_files(self) -> None:
        try:
            files = self._watcher.poll(time.monotonic())
            if files is not None:
                self._judged = partial(self._accept, *self._check(files))
        except ConfigurationError as error:
            found = _PLACE.match(error.problems[0])
            log.error(  # noqa: TRY400 - no traceback: expected
                "mappings.refused", count=len(error.problems), place=found[1] if found else None
            )
            self._judged = partial(self._refuse, error.problems)
        if self._judged is not None:
            # Files are told once; a ledger that does not take what came of them now takes it at a later look.
            self._judged()
            self._judged = None

    def _refuse(self, problems: tuple[str, ...]) -> None:
        self._ledger.write(in_force.put_fact, name=REFUSED_FACT, value="\n".join(problems))

    def _accept(self, accepted: MappingSet, texts: str) -> None:
        self._ledger.write(_put_in_force, set_hash=accepted.hash, texts=texts, by=socket.gethostname())
        # What is in force is looked up next, and is seldom another; thousands of mappings take long to load.
        self._mapping_set = accepted
        log.info("mappings.accepted", mapping_set=accepted.hash)

    def look_up(self) -> MappingSet | None:
        """Read the mapping set in force from the ledger, without `start`: for what a person does.

        None where this version cannot read it: that must not keep anybody from stopping what it started.
        """
        with contextlib.suppress(ConfigurationError):
            self._take_what_is_in_force()
        return self._mapping_set

    def _take_what_is_in_force(self) -> None:
        set_hash, self._accounts = self._ledger.read(_now_in_force)
        if set_hash is not None and (self._mapping_set is None or self._mapping_set.hash != set_hash):
            texts = self._ledger.read(in_force.mapping_texts, set_hash=set_hash)
            try:
                self._mapping_set = self._load(texts)
            except ConfigurationError:
                # The set before is not in force any more: what it allows may be forbidden now.
                self._mapping_set = None
                raise


def _put_in_force(tx: Tx, *, set_hash: str, texts: str, by: str) -> None:
    if in_force.mapping_set_in_force(tx) != set_hash:
        in_force.accept_mapping_set(tx, set_hash=set_hash, texts=texts, by=by)
    in_force.drop_fact(tx, name=REFUSED_FACT)


def _now_in_force(tx: Tx) -> tuple[str | None, Mapping[SourceName, Person]]:
    return in_force.mapping_set_in_force(tx), in_force.own_accounts(tx)
