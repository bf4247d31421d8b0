"""The one memory of the bridge: every change goes through `Ledger.write`, every look through `Ledger.read`.

Concurrent writes share a transaction, each is durable before its caller goes on (W5). It must not decide
anything about tickets, actions or comments; it keeps what others decided, by the rules of the states.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from bridge.errors import LedgerUnavailable, LostOwnership
from bridge.ledger.connecting import begun_at, in_one_message, is_open
from bridge.ledger.line import Job, Line
from bridge.ledger.transaction import Tx

__all__ = ["Ledger", "Tx"]

P = ParamSpec("P")
T = TypeVar("T")
G = TypeVar("G")

log = structlog.get_logger(__name__)

# Seconds between two tries of a write that must not be lost.
PERSIST_PAUSE = 0.5


class Ledger:
    """A database, for any number of threads; `stop` after use.

    `clock` gives the host's time in UTC. On PostgreSQL the server's clock is used instead, so that hosts
    agree, unless `server_clock` is False.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], datetime],
        server_clock: bool = True,
        write_timeout: float = 10.0,
    ) -> None:
        self.engine = engine
        self._reading = engine.execution_options(writing=False)
        self._writing = engine.execution_options(writing=True)
        self._clock = clock
        # What SQLAlchemy raises, and the driver where it is spoken to directly.
        self._database_errors = (SQLAlchemyError, engine.dialect.loaded_dbapi.Error)
        self._server_clock = server_clock and engine.dialect.name == "postgresql"
        self._write_timeout = write_timeout
        self._line = Line(self._write_group)

    def stop(self) -> None:
        """Write what is in line and nothing more, then close the connections."""
        self._line.close(seconds=self._write_timeout)
        self.engine.dispose()

    def write(self, operation: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an operation in a transaction and return its result once it is committed.

        Raises what the operation raises, and LedgerUnavailable where nothing could be committed
        (`maybe_committed` where the COMMIT itself failed or did not answer in time).
        """
        result: T = self.write_with_others(_one_by_one, lambda tx: operation(tx, *args, **kwargs))
        return result

    def write_with_others(self, operation: Callable[[Tx, Sequence[G]], Sequence[T]], given: G) -> T:
        """Write as `write` does, by one call for all that wait to have the same done with what they give.

        The operation returns a result for each.
        """
        return self._line.do(Job(operation, given), seconds=self._write_timeout)

    def persist(
        self, operation: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """Write what must not be lost: repeat until it is committed or the process ends (S8).

        Returns None where an earlier try was committed after all, so that the repeat finds it done.
        """
        doubtful = False
        while True:
            try:
                return self.write(operation, *args, **kwargs)
            except LostOwnership:
                if doubtful:
                    return None
                raise
            except LedgerUnavailable as error:
                doubtful = doubtful or error.maybe_committed
                time.sleep(PERSIST_PAUSE)

    def read(self, query: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query on a snapshot; raise LedgerUnavailable where the database does not answer."""
        try:
            # Committed, because after a rollback the driver forgets the statements that it has prepared.
            with self._reading.connect() as connection, connection.begin():
                return query(Tx(connection, self._now(connection)), *args, **kwargs)
        except self._database_errors as error:
            raise LedgerUnavailable(type(error).__name__) from error

    @contextmanager
    def alone(self) -> Iterator[Tx]:
        """Give a transaction as long as it takes, in which nobody else writes; it commits at the end.

        Raises LedgerUnavailable where somebody else does not end, or the database does not answer.
        """
        try:
            with (
                self._writing.connect().execution_options(lock_seconds=self._write_timeout) as connection,
                connection.begin(),
            ):
                tx = Tx(connection, self._now(connection))
                tx.keep_others_out()
                yield tx
                tx.write_down(tx.told())
        except self._database_errors as error:
            raise LedgerUnavailable(type(error).__name__) from error

    def _now(self, connection: Connection) -> datetime:
        return begun_at(connection) if self._server_clock else self._clock()

    def _write_group(self, group: list[Job[Any]], seconds: float) -> None:
        if not self._write_together(group, seconds) and len(group) > 1:
            for job in group:
                self._write_together([job], seconds)

    def _write_together(self, group: list[Job[Any]], seconds: float) -> bool:
        """Commit a group; return False where a member failed and all must be repeated one by one (W5)."""
        running = committing = False
        try:
            with (
                self._writing.connect().execution_options(lock_seconds=seconds) as connection,
                connection.begin() as begun,
            ):
                tx = Tx(connection, self._now(connection))
                running = True
                results = [
                    result
                    for operation, jobs in groupby(group, key=attrgetter("operation"))
                    for result in operation(tx, [job.given for job in jobs])
                ]
                told = tx.told()
                committing = True
                try:
                    with in_one_message(connection):
                        tx.write_down(told)
                        begun.commit()
                except Exception:
                    if is_open(connection):
                        # After a commit that failed SQLAlchemy would leave this to nobody.
                        connection.connection.rollback()
                        committing = False
                    raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the callers who wait
            # Only what a member did can be another member's luck; a database that is away or locked is not.
            if len(group) > 1 and running and not committing:
                return False
            failure = self._as_bridge_error(error, committing=committing)
            for job in group:
                job.end(failure)
            return True
        for job, result in zip(group, results, strict=True):
            job.end((result,))
        return True

    def _as_bridge_error(self, error: Exception, *, committing: bool) -> Exception:
        if isinstance(error, self._database_errors):
            log.warning("ledger.write_failed", reason=type(error).__name__)
            return LedgerUnavailable(type(error).__name__, maybe_committed=committing)
        return error


def _one_by_one(tx: Tx, operations: Sequence[Callable[[Tx], Any]]) -> list[Any]:
    return [operation(tx) for operation in operations]
