"""A configured ServiceNow instance."""

import base64
from typing import cast

import pytest

from bridge.models import SourceName, TicketRef
from bridge.ticketing import TicketSystem
from bridge.ticketing.proofs import StandardProof
from bridge.ticketing.servicenow import ServiceNow, ServiceNowConfig

KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture
def servicenow() -> ServiceNow:
    config = ServiceNowConfig(
        source=SourceName("servicenow"),
        base_url="https://desk.example.com/",
        proof=StandardProof(secrets=(KEY,)),
        username="svc.bridge",
        password="sn-password",
    )
    system: TicketSystem = ServiceNow(config=config)  # mypy's word that the protocol is kept
    return cast("ServiceNow", system)


@pytest.fixture
def ticket() -> TicketRef:
    return TicketRef(
        source=SourceName("servicenow"),
        uid="9d385017c611228701d22104cc95c371",
        key="INC0010001",
        table="incident",
    )
