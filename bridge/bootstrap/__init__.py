"""Constructs everything from the settings; the only place that does, so that nothing is global.

It must not decide anything that a reader of the settings could not see coming.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter

from bridge import mapping_files
from bridge.approving import Approving
from bridge.bootstrap.outside import Connecting, connect, system
from bridge.checking import CheckResult, check, parsed_by
from bridge.errors import ConfigurationError
from bridge.fetching import Fetching
from bridge.judging import Judging
from bridge.ledger import Ledger, in_force
from bridge.ledger.connecting import open_database
from bridge.ledger.migrating import is_empty, migrate, require_schema
from bridge.mapping import bounds, language
from bridge.mapping.language import MappingSet, MappingTexts
from bridge.mapping.reading import LoadContext
from bridge.mapping_files import MappingFiles, Watcher
from bridge.models import (
    Layer,
    SourceKind,
    Trust,
)
from bridge.operations import Operations
from bridge.receiving import Receiving
from bridge.resolving import Resolving
from bridge.retaining import Keep, Retaining
from bridge.setting_aside import SettingAside, Trips
from bridge.settings import LiveSettings, Settings, read_folder
from bridge.tokens import Tokens
from bridge.watching import Watching

TEXTS = TypeAdapter(MappingTexts)
WRITE_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """The use cases of one process over one ledger; `start` before use, `stop` after."""

    settings: LiveSettings
    ledger: Ledger
    watching: Watching
    judging: Judging
    receiving: Receiving
    resolving: Resolving
    fetching: Fetching
    aside: SettingAside
    approving: Approving
    tokens: Tokens
    operations: Operations

    def start(self) -> None:
        """Learn what is in force, and go on looking."""
        self.watching.start()

    def stop(self) -> None:
        """Write what is queued and let go of everything."""
        self.watching.stop()
        self.ledger.stop()


def read_live_settings(environ: Mapping[str, str] | None = None) -> LiveSettings:
    """Read the environment and the `.env` of the working directory; raise ConfigurationError."""
    return LiveSettings(os.environ if environ is None else environ, Path(".env"))


def read_folder_settings() -> Settings:
    """Return of this environment and folder only where the mapping files stand; raise ConfigurationError."""
    return read_folder(os.environ, Path(".env"))


def open_ledger(
    settings: Settings, *, migrating: bool = False, write_timeout: float = WRITE_TIMEOUT
) -> Ledger:
    """Open the ledger at the schema of this code; raise ConfigurationError for any other.

    A SQLite file that is new gets its tables; `migrating` brings an older schema up to date.
    """
    engine = open_database(settings.database_url.get_secret_value())
    # Processes that start together on a new file do this one after the other; the later ones find it done.
    if migrating or (engine.dialect.name == "sqlite" and is_empty(engine)):
        migrate(engine)
    require_schema(engine)
    return Ledger(engine, clock=utc_now, write_timeout=write_timeout)


@contextmanager
def open_copy(url: str) -> Iterator[Ledger]:
    """Open another database for a copy of the ledger, and make its tables where there are none.

    Raises ConfigurationError, in the words of TARGET_URL, where it cannot hold one.
    """
    try:
        engine = open_database(url)
        if is_empty(engine):
            migrate(engine)
        require_schema(engine)
    except ConfigurationError as error:
        raise ConfigurationError(
            tuple(problem.replace("BRIDGE_DATABASE_URL", "TARGET_URL") for problem in error.problems)
        ) from error
    try:
        yield Ledger(engine, clock=utc_now)
    finally:
        engine.dispose()


def open_bridge(live: LiveSettings, *, write_timeout: float = WRITE_TIMEOUT) -> Bridge:
    """Construct the use cases; raise ConfigurationError where the settings cannot work.

    `write_timeout` is how many seconds a caller waits for a commit before it is told that there was none.
    """
    settings = live.current()
    ledger = open_ledger(settings, write_timeout=write_timeout)
    watching = Watching(
        ledger=ledger,
        watcher=Watcher(settings.mappings, settings.catalogue_file),
        check=lambda files: _accepted(settings, files),
        load=lambda texts: _load(settings, texts),
        connect=Connecting(live).changed,
        connections=connect(settings),
    )
    judging = Judging(
        connections=watching.connections,
        mapping_set=watching.mapping_set,
        accounts=watching.accounts,
        new_id=new_id,
    )
    fetching = Fetching(connections=watching.connections)
    aside = SettingAside(ledger=ledger, connections=watching.connections, trips=trips(settings))
    approving = Approving(
        ledger=ledger, fetching=fetching, accounts=lambda: ledger.read(in_force.own_accounts), aside=aside
    )
    tokens = Tokens(ledger=ledger, connections=watching.connections)
    return Bridge(
        settings=live,
        ledger=ledger,
        watching=watching,
        judging=judging,
        receiving=Receiving(ledger=ledger, connections=watching.connections, judging=judging, new_id=new_id),
        resolving=Resolving(connections=watching.connections, clock=utc_now),
        fetching=fetching,
        aside=aside,
        approving=approving,
        tokens=tokens,
        operations=Operations(
            ledger=ledger,
            connections=watching.connections,
            clock=utc_now,
            aside=aside,
            mapping_set=watching.look_up,
            approving=approving,
            tokens=tokens,
            new_id=new_id,
        ),
    )


def mapping_set_in_force(ledger: Ledger, settings: Settings) -> MappingSet | None:
    """Return the mapping set in force, or None; raise ConfigurationError where it cannot be read."""
    set_hash = ledger.read(in_force.mapping_set_in_force)
    if set_hash is None:
        return None
    return _load(settings, ledger.read(in_force.mapping_texts, set_hash=set_hash))


def load_files(settings: Settings) -> MappingSet:
    """Return the mapping files as they stand, without their tests; raise ConfigurationError."""
    files = mapping_files.read(settings.mappings, settings.catalogue_file)
    return language.load(files.texts, load_context(settings))


def check_files(settings: Settings) -> CheckResult:
    """Check the mapping files as they stand; raise ConfigurationError where they cannot be read."""
    return _check(settings, mapping_files.read(settings.mappings, settings.catalogue_file))


def load_context(settings: Settings) -> LoadContext:
    """Return what mappings may name, and the bridge's own limits."""
    unread = [source for source in settings.sources if not system(source).keeps_history]
    return LoadContext(
        sources={source.name: source.kind for source in settings.sources},
        portals=tuple(portal.name for portal in settings.portals),
        max_devices=settings.max_devices,
        max_age=settings.max_age,
        without_history=frozenset(source.name for source in unread if source.believed is Trust.DOORBELL),
        history_unread=frozenset(source.name for source in unread),
        without_login=frozenset(
            source.name
            for source in settings.sources
            if source.kind is SourceKind.JIRA and source.deployment == "cloud"
        ),
        limits=bounds.limits(
            Layer.BRIDGE,
            per_hour=settings.per_hour,
            per_day=settings.per_day,
            devices_per_day=settings.devices_per_day,
            cooldown=settings.cooldown,
        ),
    )


def retaining(bridge: Bridge) -> Retaining:
    """Construct the removal of what was kept long enough."""
    settings = bridge.settings.current()

    def longest_window() -> timedelta | None:
        mapping_set = bridge.watching.look_up()
        if mapping_set is None:
            return None
        windows = (limit.window for rule in mapping_set.mappings for limit in rule.limits)
        return max((settings.trip_window, settings.cooldown or settings.trip_window, *windows))

    keep = Keep(payloads=settings.keep_payloads, runs=settings.keep_runs, audit=settings.keep_audit)
    return Retaining(ledger=bridge.ledger, keep=keep, longest_window=longest_window)


def trips(settings: Settings) -> Trips:
    """Return when a limit pauses what it is about."""
    return Trips(most=settings.trips, window=settings.trip_window)


def utc_now() -> datetime:
    """Return this host's time."""
    return datetime.now(UTC)


def new_id() -> str:
    """Return 60 bits of chance in letters and digits that survive every ticket system and every eye."""
    chance = secrets.randbits(60)
    return "".join("0123456789abcdefghjkmnpqrstvwxyz"[chance >> shift & 31] for shift in range(0, 60, 5))


def _load(settings: Settings, texts: str) -> MappingSet:
    """Turn the texts of an accepted set back, as the ledger keeps them."""
    return language.load(TEXTS.validate_json(texts), load_context(settings))


def _accepted(settings: Settings, files: MappingFiles) -> tuple[MappingSet, str]:
    result = _check(settings, files)
    if result.problems or result.mapping_set is None:
        raise ConfigurationError(result.problems)
    return result.mapping_set, TEXTS.dump_json(files.texts).decode()


def _check(settings: Settings, files: MappingFiles) -> CheckResult:
    systems = {source.name: system(source) for source in settings.sources}
    return check(files, load_context(settings), parsed_by(systems, utc_now()))
