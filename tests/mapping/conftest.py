"""What the tests of the mapping language share: a catalogue, a context, and events made to order."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.mapping.language import MappingSet, MappingTexts, load
from bridge.mapping.reading import LoadContext
from bridge.models import (
    Change,
    EventKind,
    Person,
    PortalName,
    SourceKind,
    SourceName,
    Ticket,
    TicketEvent,
    TicketRef,
)

CATALOGUE = r"""version: 1
actions:
  repair-office:
    title: Repair Microsoft Office
    uid: 07844969-1889-4de3-9026-020af94be855
    portal: main
    devices:
      names: 'WS-[A-Z]{3}-\d{5}'
      never: ['WS-VIP-.*']
    max_devices: 5
    params:
      Mode:
        one_of: [silent, prompt, force]
        default: silent
      KB:
        pattern: 'KB\d{7}'
      Asked by:
        shape: name
      Note: {}
  clear-cache:
    title: Clear the cache
    portals:
      main: {uid: 07844969-1889-4de3-9026-020af94be856}
      us: {uid: 07844969-1889-4de3-9026-020AF94BE857}
    engines: [engine-1]
    devices: {names: '.*'}
    repeatable: true
    params:
      Level:
        shape: number
        required: true
"""

MAPPING = """version: 1
mappings:
  - id: repair
    source: jira
    events: [created, updated]
    when:
      - field: ticket.project
        equals: SUP
    action: repair-office
    devices:
      from: fields.devices
    mode: live
"""

CONTEXT = LoadContext(
    sources={SourceName("jira"): SourceKind.JIRA, SourceName("snow"): SourceKind.SERVICENOW},
    portals=(PortalName("main"), PortalName("us")),
    max_devices=20,
    max_age=timedelta(hours=24),
)


@pytest.fixture(scope="session")
def catalogue() -> str:
    return CATALOGUE


@pytest.fixture
def mapping() -> str:
    return MAPPING


@pytest.fixture
def context() -> LoadContext:
    return CONTEXT


@pytest.fixture(scope="session")
def load_texts() -> Callable[..., MappingSet]:
    """Load mapping files given as texts, with the catalogue above or another."""

    def loaded(*mappings: str, actions: str = CATALOGUE, context: LoadContext = CONTEXT) -> MappingSet:
        files = tuple((f"mappings/m{number}.yaml", text) for number, text in enumerate(mappings, 1))
        return load(MappingTexts(catalogue=("mappings/actions.yaml", actions), mappings=files), context)

    return loaded


@pytest.fixture(scope="session")
def event() -> Callable[..., TicketEvent]:
    """Make an event of a Jira ticket; `ticket` are names under ticket., `fields` those of Jira."""

    def made(
        *,
        kind: EventKind = EventKind.UPDATED,
        fields: Any = None,
        changes: tuple[Change, ...] = (Change(name="status", before="Open", after="Approved"),),
        actor: Person | None = None,
        source: str = "jira",
        payload: Any = None,
        occurred_at: datetime | None = datetime(2026, 5, 1, 12, tzinfo=UTC),
        **ticket: Any,
    ) -> TicketEvent:
        names: dict[str, Any] = {"project": "SUP", "person": Person(name="Ada Example"), **ticket}
        return TicketEvent(
            ref=TicketRef(source=SourceName(source), uid="501", key="SUP-7"),
            ticket=Ticket(key="SUP-7", uid="501", **names),
            kind=kind,
            actor=actor,
            fields={"devices": ["WS-ABC-12345"]} if fields is None else fields,
            changes=changes,
            change_key="changelog:900",
            occurred_at=occurred_at,
            payload={} if payload is None else payload,
        )

    return made
