"""Sources as settings name them, and the mappings that are shipped."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge import kits
from bridge.bootstrap import load_files
from bridge.kits import Kit
from bridge.mapping.language import MappingSet
from bridge.settings import Settings, SourceSettings, read_settings

ROOT = Path(__file__).resolve().parents[2]
# None of these may ever show in a kit.
SECRETS = {
    "hmac": "canary-secret-of-more-than-24-bytes",
    "standard": "whsec_Y2FuYXJ5LXNlY3JldC1vZi1tb3JlLXRoYW4tMjQtYnl0ZXM=",
    "token": "canary-secret-of-more-than-24-bytes",
    "basic": "canary-user:canary-secret-of-more-than-24-bytes",
}


@pytest.fixture(scope="session")
def secrets() -> dict[str, str]:
    return SECRETS


@pytest.fixture(scope="session")
def settings() -> Callable[..., Settings]:
    """Make settings with one source; keywords are its settings."""

    def make(name: str, kind: str, verify: str, **more: str) -> Settings:
        given = {
            "KIND": kind,
            "BASE_URL": "https://desk.example.com",
            "VERIFY": verify,
            "SECRETS": f'["{SECRETS[verify]}"]',
            "USERNAME": "svc.bridge",
            "PASSWORD": "canary-password",
            **more,
        }
        return read_settings(
            {f"BRIDGE_SOURCES__{name.upper()}__{key}": value for key, value in given.items()}
        )

    return make


@pytest.fixture(scope="session")
def shipped() -> MappingSet:
    """Return the mappings that are shipped."""
    checked = read_settings({"BRIDGE_MAPPINGS": str(ROOT / "mappings")}, ROOT / ".ci" / "check.env")
    return load_files(checked)


@pytest.fixture(scope="session")
def mappings() -> Callable[[str], MappingSet]:
    """Load mappings of a source `servicenow` or `jira`, given as the text of a file."""
    from bridge.bootstrap import load_context
    from bridge.mapping import language
    from bridge.mapping.language import MappingTexts

    checked = read_settings({}, ROOT / ".ci" / "check.env")
    catalogue = (ROOT / "mappings" / "actions.yaml").read_text()

    def load(text: str) -> MappingSet:
        texts = MappingTexts(catalogue=("actions.yaml", catalogue), mappings=(("own.yaml", text),))
        return language.load(texts, load_context(checked))

    return load


@pytest.fixture(scope="session")
def kit(settings: Callable[..., Settings], shipped: MappingSet) -> Callable[..., Kit]:
    """Make the kit of a source for the shipped mappings, or others."""

    def make(
        name: str,
        kind: str,
        verify: str,
        mapping_set: MappingSet | None = shipped,
        public_url: str | None = "https://bridge.example.org",
        **more: str,
    ) -> Kit:
        source: SourceSettings
        (source,) = settings(name, kind, verify, **more).sources
        return kits.make(source, mapping_set, public_url)

    return make
