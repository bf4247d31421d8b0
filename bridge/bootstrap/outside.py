"""Constructs the dialect and the transport of each configured outside system from its settings.

It must not send anything; that a system is reachable is found out by those who use it.
"""

import functools
from dataclasses import fields
from typing import Any

from pydantic import SecretStr

from bridge.connections import Connections, Portal, Source
from bridge.errors import ConfigurationError
from bridge.models import SourceKind
from bridge.nexthink import PortalConfig
from bridge.settings import LiveSettings, PortalSettings, Settings, SourceSettings, forms
from bridge.ticketing import TicketSystem, proofs
from bridge.ticketing.jira import Jira, JiraConfig
from bridge.ticketing.servicenow import ServiceNow, ServiceNowConfig
from bridge.transport import ContextOf, Transport, tls_context, trusting_nobody


def connect(settings: Settings) -> Connections:
    """Construct the dialect and the transport of every source and portal; raise ConfigurationError."""
    problems = [
        f"BRIDGE_SOURCES__{source.name.upper()}__SECRETS: {problem}"
        for source in settings.sources
        for problem in proofs.problems(_proof(source))
    ]
    if problems:
        raise ConfigurationError(tuple(problems))
    # Reading some hundred public certificates takes a tenth of a second and two megabytes each time.
    return _connections(settings, functools.cache(tls_context))


def connect_to_nothing(settings: Settings) -> Connections:
    """Construct the same without certificates, and also where there are no secrets.

    What came can be read by them, and what would be sent be shown; nothing can be reached.
    """
    return _connections(settings, functools.cache(trusting_nobody))


def _connections(settings: Settings, context_of: ContextOf) -> Connections:
    return Connections(
        sources={source.name: _source(source, context_of) for source in settings.sources},
        portals={portal.name: _portal(settings, portal, context_of) for portal in settings.portals},
        console_url=settings.console_url,
    )


class Connecting:
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


def _source(settings: SourceSettings, context_of: ContextOf) -> Source:
    return Source(
        system=system(settings),
        transport=Transport(ca_file=settings.ca_file, context_of=context_of),
        max_body_bytes=settings.max_body_bytes,
        trust=settings.believed,
        fetch=settings.fetch,
        reconcile=settings.reconcile,
    )


def system(settings: SourceSettings) -> TicketSystem:
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


def _portal(settings: Settings, portal: PortalSettings, context_of: ContextOf) -> Portal:
    return Portal(
        config=PortalConfig(
            **{**_shared(PortalConfig, portal), "nxql_time_zone": forms.zone_named(portal.nxql_time_zone)}
        ),
        transport=Transport(ca_file=portal.ca_file, context_of=context_of),
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
