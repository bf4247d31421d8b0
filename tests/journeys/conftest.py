"""A bridge as it is deployed, for the tests of a module."""

import contextlib
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bench.chaos.installation import Installation, installed
from bridge.sandbox.running import Sandbox


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def install(running_sandbox: Sandbox, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Make an installation in a folder, for SQLite or PostgreSQL; nothing is started yet."""

    def make(folder: Path, kind: str, **settings: str) -> contextlib.AbstractContextManager[Installation]:
        server = request.getfixturevalue("postgresql") if kind == "postgresql" else ""
        return installed(folder, running_sandbox, server=server, **settings)

    return make


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(
    request: pytest.FixtureRequest, install: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """One installation for the tests of a module, each with tickets of its own."""
    with install(tmp_path_factory.mktemp("bridge"), request.param) as installation:
        yield installation


@pytest.fixture
def bridge(shared: Installation) -> Iterator[Installation]:
    """The module's installation, up, with nothing scripted in the simulated systems."""
    for system in (shared.nexthink, shared.jira, shared.servicenow):
        system.clear_faults()
    shared.nexthink.reset()
    shared.jira.behave()
    shared.ensure()
    yield shared
    for system in (shared.nexthink, shared.jira, shared.servicenow):
        system.clear_faults()


@pytest.fixture(scope="session")
def key_numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def key(key_numbers: Iterator[int]) -> str:
    """The key of an issue that no other test has."""
    return f"SUP-{next(key_numbers)}"


@pytest.fixture
def device(key: str) -> str:
    """A device that the test has for itself while it runs."""
    return f"WS-LAB-{int(key.removeprefix('SUP-')) % 100 + 1:05}"
