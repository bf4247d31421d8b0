"""A webhook that never came, with real processes: the change is found, and its action runs once."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.ledger import listing, watches
from bridge.models import RunState
from bridge.sandbox import credentials as known
from bridge.sandbox.scenario import servicenow_columns

pytestmark = pytest.mark.journey

# A table that no other test uses: every change of it is asked for.
SOURCE = "problems"
MAPPINGS = f"""
version: 1
mappings:
  - id: office-repair-for-problem
    source: {SOURCE}
    events: [updated]
    when:
      - {{field: change.state.to, equals: In Progress}}
    action: repair-office
    devices: {{from: ticket.affected_item}}
    params: {{Asked by: {{from: ticket.person.name}}}}
    mode: live
tests:
  - name: another table is not served
    source: {SOURCE}
    payload: samples/servicenow-incident.json
    expect: []
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def asking(request: pytest.FixtureRequest, install: Callable[..., Any], tmp_path: Path) -> Iterator[Any]:
    """An installation that asks ServiceNow for lost webhooks every ten seconds, after its first round."""
    with install(tmp_path, request.param) as installation:
        settings = {
            "KIND": "servicenow",
            "BASE_URL": installation.sandbox.servicenow_url,
            "VERIFY": "standard",
            "SECRETS": json.dumps([known.SERVICENOW_WEBHOOK_SECRET]),
            "USERNAME": known.SERVICENOW_USERNAME,
            "PASSWORD": known.SERVICENOW_PASSWORD,
            "TABLES": "problem",
            "TRUST": "doorbell",
            "HISTORY": "sys_audit",
            "RECONCILE": "10s",
        }
        for name, value in settings.items():
            installation.environ[f"BRIDGE_SOURCES__{SOURCE.upper()}__{name}"] = value
        (installation.folder / "mappings" / "problems.yaml").write_text(MAPPINGS)
        installation.ensure()
        installation.soon(
            lambda: any(
                each.source == SOURCE and each.reached_at is not None
                for each in installation.ledger.read(watches.lines)
            )
        )
        yield installation


def test_a_change_whose_webhook_servicenow_lost_is_found_and_runs_once(asking: Any) -> None:
    number = "PRB0040001"
    columns = servicenow_columns(
        number=number, device="WS-ABC-12345", state=("1", "New"), summary="Word", table="problem"
    )
    asking.servicenow.call("PUT", "records", {"table": "problem", "columns": columns})
    taken = {"state": {"value": "2", "display": "In Progress"}}
    asking.servicenow.call("POST", "changes", {"table": "problem", "number": number, "columns": taken})
    before = len(asking.nexthink.calls()["calls"])
    asking.told(number, "answered", seconds=150)
    (run,) = asking.ledger.read(listing.page_of_runs, limit=10, wanted=listing.WantedRuns(ticket=number)).runs
    (delivery,) = asking.ledger.read(
        listing.page_of_deliveries, limit=10, wanted=listing.WantedDeliveries(ticket=number)
    ).deliveries
    assert (run.state, delivery.recovered) == (RunState.ANSWERED, True)
    assert len(asking.nexthink.calls()["calls"]) == before + 1
