"""Configured Jira sites."""

from typing import Any, cast

import pytest

from bridge.models import SourceName, TicketRef
from bridge.ticketing import TicketSystem
from bridge.ticketing.jira import Jira, JiraConfig
from bridge.ticketing.proofs import HmacProof

SECRET = "a webhook secret of some length"
SITES: dict[str, dict[str, Any]] = {
    "cloud": {"username": "bridge@example.com", "token": "cloud-api-token"},
    "jsm": {"username": "bridge@example.com", "token": "cloud-api-token", "internal_comments": "jsm"},
    "datacenter": {"deployment": "datacenter", "username": "svc-bridge", "password": "dc-password"},
}


def site(flavour: str) -> Jira:
    config = JiraConfig(
        source=SourceName("jira"),
        base_url="https://jira.example.com/",
        proof=HmacProof(secrets=(SECRET,)),
        **SITES[flavour],
    )
    system: TicketSystem = Jira(config=config)  # mypy's word that the protocol is kept
    return cast("Jira", system)


@pytest.fixture
def cloud() -> Jira:
    return site("cloud")


@pytest.fixture
def jsm() -> Jira:
    return site("jsm")


@pytest.fixture
def datacenter() -> Jira:
    return site("datacenter")


@pytest.fixture(params=SITES)
def jira(request: pytest.FixtureRequest) -> Jira:
    return site(request.param)


@pytest.fixture
def ticket() -> TicketRef:
    return TicketRef(source=SourceName("jira"), uid="501", key="SUP-7")
