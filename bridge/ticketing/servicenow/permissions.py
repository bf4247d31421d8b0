"""Ask ServiceNow whether our account may read a table; writing cannot be tried without doing it.

It must not change anything.
"""

from urllib.parse import urlencode

from bridge.models import HttpRequest, HttpResponse, NotPosted
from bridge.ticketing import answers
from bridge.ticketing.payloads import members
from bridge.ticketing.servicenow.config import ServiceNowConfig
from bridge.ticketing.servicenow.table_api import STATUSES, rows


def request(config: ServiceNowConfig, table: str) -> HttpRequest:
    """Ask for one record of a table, by its identifier only."""
    query = urlencode({"sysparm_fields": "sys_id", "sysparm_limit": "1"})
    return HttpRequest(
        method="GET",
        url=f"{config.api_url}/api/now/table/{table}?{query}",
        headers=(("Accept", "application/json"), config.authorization),
    )


def read_refusal(response: HttpResponse) -> NotPosted | None:
    """Return why the table cannot be read; None where it can, even if no record is shown to us."""
    if response.status != 200:
        return answers.refusal(response, STATUSES, None)
    if not isinstance(members(answers.read_json(response)).get("result"), list):
        return answers.unreadable(response)
    return None


def read_shown(response: HttpResponse) -> bool | NotPosted:
    """Say whether a row is shown to us; an access rule makes a full table look empty."""
    refused = read_refusal(response)
    return bool(rows(response)) if refused is None else refused
