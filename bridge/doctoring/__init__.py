"""Tries every connection and permission that can be tried without running anything, and says what to fix.

It must not start an action, write to a ticket, or show a secret.
"""

from collections.abc import Iterator

from bridge.bootstrap import utc_now
from bridge.bootstrap.outside import connect
from bridge.doctoring import here, portals, sources
from bridge.doctoring.findings import Finding, State, bad, good, warning
from bridge.errors import ConfigurationError
from bridge.settings import LiveSettings, Settings

__all__ = ["Finding", "State", "examine"]


def examine(live: LiveSettings) -> Iterator[Finding]:
    """Yield what is found as it is found: this host first, then the ticket systems, then the portals."""
    settings = live.current()
    yield _settings(settings)
    yield from here.secret_files(live.files)
    yield here.open_files(settings)
    checked, mapping_set = here.mapping_files(settings)
    yield checked
    yield from here.people(settings)
    yield from here.ledger(settings)
    try:
        connections = connect(settings)
    except ConfigurationError as error:
        yield from (bad("settings", problem, "correct the setting") for problem in error.problems)
        return
    for source in connections.sources.values():
        yield from sources.examine(source, mapping_set, now=utc_now)
    for portal in connections.portals.values():
        yield from portals.examine(portal, mapping_set, now=utc_now)


def _settings(settings: Settings) -> Finding:
    named = ", ".join(source.name for source in settings.sources) or "none"
    targets = ", ".join(portal.name for portal in settings.portals) or "none"
    found = f"sources: {named}; portals: {targets}"
    if settings.sources and settings.portals:
        return good("settings", found)
    return warning("settings", found, "set BRIDGE_SOURCES__… and BRIDGE_PORTALS__… (see docs/settings.md)")
