"""Opens what the commands of people look at and change: settings, ledger, use cases.

It must not create a ledger: somebody who stands in the wrong folder is told so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from bridge.bootstrap import Bridge, open_bridge, open_ledger, read_live_settings
from bridge.errors import ConfigurationError
from bridge.ledger import Ledger
from bridge.settings import Settings


def read_settings() -> Settings:
    """Return the settings of this environment and folder; raise ConfigurationError."""
    return read_live_settings().current()


@contextmanager
def ledger_to_read() -> Iterator[Ledger]:
    """Open the ledger for looking only."""
    settings = read_settings()
    _require_ledger(settings)
    ledger = open_ledger(settings)
    try:
        yield ledger
    finally:
        ledger.engine.dispose()


@contextmanager
def bridge_to_act() -> Iterator[Bridge]:
    """Open the use cases for a person's act; what is in force is neither read anew nor changed."""
    live = read_live_settings()
    _require_ledger(live.current())
    bridge = open_bridge(live)
    try:
        yield bridge
    finally:
        bridge.ledger.stop()


def _require_ledger(settings: Settings) -> None:
    url = urlsplit(settings.database_url.get_secret_value())
    file = Path(url.path[1:])
    if url.scheme == "sqlite" and not file.exists():
        elsewhere = "" if Path(".env").exists() else "go to the folder with the bridge's .env, or "
        problem = f"there is no ledger at {file.absolute()} ({elsewhere}make one by `bridge migrate`)"
        raise ConfigurationError((f"BRIDGE_DATABASE_URL: {problem}",))
