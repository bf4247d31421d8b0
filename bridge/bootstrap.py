"""Constructs everything from the settings; the only place that does, so that nothing is global.

It must not decide anything that a reader of the settings could not see coming.
"""

import os
import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr, TypeAdapter

from bridge import mapping_files
from bridge.acting import DEADLINE_MARGIN, FIRST_BYTE_SECONDS, Acting
from bridge.catching_up import CatchingUp
from bridge.checking import CheckResult, check
from bridge.connections import Connections, Portal, Source
from bridge.errors import ConfigurationError
from bridge.ledger import Ledger
from bridge.ledger.connecting import open_database
from bridge.ledger.migrating import migrate, require_schema
from bridge.mapping import language
from bridge.mapping.language import MappingSet, MappingTexts
from bridge.mapping.reading import LoadContext
from bridge.mapping_files import MappingFiles, Watcher
from bridge.models import (
    Delivery,
    Ignored,
    Json,
    PortalName,
    SourceKind,
    SourceName,
    TicketEvent,
)
from bridge.nexthink import PortalConfig
from bridge.operations import Operations
from bridge.portal_care import PortalCare
from bridge.receiving import Receiving
from bridge.resolving import Later, Resolving
from bridge.settings import LiveSettings, PortalSettings, Settings, SourceSettings
from bridge.telling import Telling
from bridge.ticketing import TicketSystem, proofs
from bridge.ticketing.jira import Jira, JiraConfig
from bridge.ticketing.servicenow import ServiceNow, ServiceNowConfig
from bridge.transport import Transport, boot_clock
from bridge.undertaking import Undertaking
from bridge.watching import Watching
from bridge.worker import Worker

_TEXTS = TypeAdapter(MappingTexts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """The use cases of one process over one ledger; `start` before use, `stop` after."""

    settings: LiveSettings
    ledger: Ledger
    watching: Watching
    receiving: Receiving
    resolving: Resolving
    operations: Operations

    def start(self) -> None:
        """Start the writing thread and learn what is in force."""
        self.ledger.start()
        self.watching.start()

    def stop(self) -> None:
        """Write what is queued and let go of everything."""
        self.watching.stop()
        self.ledger.stop()


def read_live_settings(environ: Mapping[str, str] | None = None) -> LiveSettings:
    """Read the environment and the `.env` of the working directory; raise ConfigurationError."""
    return LiveSettings(os.environ if environ is None else environ, Path(".env"))


def open_ledger(settings: Settings, *, migrating: bool = False) -> Ledger:
    """Open the ledger at the schema of this code; raise ConfigurationError for any other.

    A SQLite file that does not exist yet is made; `migrating` brings an older schema up to date.
    """
    engine = open_database(settings.database_url.get_secret_value())
    database = engine.url.database or ""
    if migrating or (engine.dialect.name == "sqlite" and not Path(database).exists()):
        migrate(engine)
    require_schema(engine)
    return Ledger(engine, clock=utc_now)


def open_bridge(live: LiveSettings) -> Bridge:
    """Construct the use cases; raise ConfigurationError where the settings cannot work."""
    settings = live.current()
    ledger = open_ledger(settings)
    watching = Watching(
        ledger=ledger,
        watcher=Watcher(settings.mappings, settings.catalogue_file),
        check=lambda files: _accepted(settings, files),
        load=lambda texts: language.load(_TEXTS.validate_json(texts), load_context(settings)),
        connect=_Connecting(live).changed,
        connections=connect(settings),
    )
    receiving = Receiving(
        ledger=ledger,
        connections=watching.connections,
        mapping_set=watching.mapping_set,
        accounts=watching.accounts,
        new_id=new_id,
    )
    return Bridge(
        settings=live,
        ledger=ledger,
        watching=watching,
        receiving=receiving,
        resolving=Resolving(connections=watching.connections),
        operations=Operations(ledger=ledger, connections=watching.connections),
    )


def make_worker(bridge: Bridge) -> Worker:
    """Construct a worker over a bridge."""
    settings = bridge.settings.current()
    connections = bridge.watching.connections
    portal_care = PortalCare(probe=_probe(bridge.resolving), monotonic=time.monotonic)
    # Chance spreads retries; nothing secret depends on it.
    jitter = random.Random().random  # noqa: S311 - see above
    return Worker(
        ledger=bridge.ledger,
        connections=connections,
        acting=Acting(
            ledger=bridge.ledger,
            connections=connections,
            resolving=bridge.resolving,
            clock=utc_now,
            boot_clock=boot_clock,
            jitter=jitter,
            noted=portal_care.note,
        ),
        telling=Telling(ledger=bridge.ledger, connections=connections, clock=utc_now, jitter=jitter),
        undertaking=Undertaking(
            ledger=bridge.ledger,
            connections=connections,
            new_id=new_id,
            monotonic=time.monotonic,
            beat_seconds=settings.beat_seconds,
        ),
        catching_up=CatchingUp(
            ledger=bridge.ledger,
            connections=connections,
            accounts=bridge.watching.accounts,
            receiving=bridge.receiving,
        ),
        portal_care=portal_care,
        paused_here=_paused_here(settings),
        max_in_flight=settings.max_in_flight,
        comment_senders=settings.comment_senders,
        beat_seconds=settings.beat_seconds,
    )


def grace_seconds(bridge: Bridge) -> float:
    """Return how long a stopping worker waits: as set, else the longest timeoutSeconds and 15 s."""
    configured = bridge.settings.current().grace_seconds
    if configured is not None:
        return float(configured)
    mapping_set = bridge.watching.mapping_set()
    timeouts = (
        [action.timeout_seconds for action in mapping_set.catalogue.actions.values()] if mapping_set else []
    )
    return max(timeouts, default=60) + FIRST_BYTE_SECONDS + DEADLINE_MARGIN


def check_files(settings: Settings) -> CheckResult:
    """Check the mapping files as they stand; raise ConfigurationError where they cannot be read."""
    return _check(settings, mapping_files.read(settings.mappings, settings.catalogue_file))


def load_context(settings: Settings) -> LoadContext:
    """Return what mappings may name, and the bridge's own limits."""
    return LoadContext(
        sources={source.name: source.kind for source in settings.sources},
        portals=tuple(portal.name for portal in settings.portals),
        max_devices=settings.max_devices,
        max_age=settings.max_age,
    )


def connect(settings: Settings) -> Connections:
    """Construct the dialect and the transport of every source and portal; raise ConfigurationError."""
    problems = [
        f"BRIDGE_SOURCES__{source.name.upper()}__SECRETS: {problem}"
        for source in settings.sources
        for problem in proofs.problems(_proof(source))
    ]
    if problems:
        raise ConfigurationError(tuple(problems))
    return Connections(
        sources={source.name: _source(source) for source in settings.sources},
        portals={portal.name: _portal(settings, portal) for portal in settings.portals},
    )


def utc_now() -> datetime:
    """Return this host's time."""
    return datetime.now(UTC)


def new_id() -> str:
    """Return 60 bits of chance in letters and digits that survive every ticket system and every eye."""
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    return "".join(secrets.choice(alphabet) for _ in range(12))


def _probe(resolving: Resolving) -> Callable[[PortalName], Any]:
    def probe(portal: PortalName) -> Any:
        answer = resolving.ask_engines(portal)
        return answer.reason if isinstance(answer, Later) else None

    return probe


def _paused_here(settings: Settings) -> Callable[[], bool]:
    def paused() -> bool:
        return settings.paused or (settings.pause_file is not None and settings.pause_file.exists())

    return paused


class _Connecting:
    """Constructs the connections again when the settings in force are others than the last time."""

    def __init__(self, live: LiveSettings) -> None:
        self._live = live
        self._last = live.current()

    def changed(self) -> Connections | None:
        """Return new connections, or None where nothing changed."""
        settings = self._live.current()
        if settings is self._last:
            return None
        self._last = settings
        return connect(settings)


def _accepted(settings: Settings, files: MappingFiles) -> tuple[MappingSet, str]:
    result = _check(settings, files)
    if result.problems or result.mapping_set is None:
        raise ConfigurationError(result.problems)
    return result.mapping_set, _TEXTS.dump_json(files.texts).decode()


def _check(settings: Settings, files: MappingFiles) -> CheckResult:
    systems = {source.name: _system(source) for source in settings.sources}

    def parse(source: SourceName, payload: Json) -> TicketEvent | Ignored:
        delivery = Delivery(
            source=source, key="sample", digest="", timed=True, payload=payload, received_at=utc_now()
        )
        return systems[source].parse_event(delivery)

    return check(files, load_context(settings), parse)


def _source(settings: SourceSettings) -> Source:
    return Source(
        system=_system(settings),
        transport=Transport(ca_file=settings.ca_file),
        max_body_bytes=settings.max_body_bytes,
    )


def _system(settings: SourceSettings) -> TicketSystem:
    if settings.kind is SourceKind.JIRA:
        return Jira(
            config=JiraConfig(source=settings.name, proof=_proof(settings), **_shared(JiraConfig, settings))
        )
    return ServiceNow(
        config=ServiceNowConfig(
            source=settings.name, proof=_proof(settings), **_shared(ServiceNowConfig, settings)
        )
    )


def _proof(settings: SourceSettings) -> proofs.Proof:
    kind = proofs.PROOFS[settings.verify.value]
    return kind(**_shared(kind, settings))


def _portal(settings: Settings, portal: PortalSettings) -> Portal:
    return Portal(
        config=PortalConfig(**_shared(PortalConfig, portal)),
        transport=Transport(ca_file=portal.ca_file),
        max_in_flight=settings.in_flight_of(portal),
    )


def _shared(kind: Any, settings: SourceSettings | PortalSettings) -> dict[str, Any]:
    """Return what a dialect's configuration takes from the settings: the fields that bear the same name."""
    names = {field.name for field in fields(kind)} - {"source", "proof"}
    return {name: _plain(getattr(settings, name)) for name in names if hasattr(settings, name)}


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return value
