"""Ask Jira which of the permissions that comments need our account lacks.

It must not change anything, and must not be believed for a single issue: projects and levels may differ.
"""

from typing import Final
from urllib.parse import urlencode

from bridge.models import HttpRequest, HttpResponse, NotPosted
from bridge.ticketing import answers
from bridge.ticketing.jira.api import STATUSES
from bridge.ticketing.jira.config import JiraConfig
from bridge.ticketing.payloads import members

# To see the issue, to comment, and to withdraw a note that customers can see.
NEEDED: Final = ("BROWSE_PROJECTS", "ADD_COMMENTS", "DELETE_OWN_COMMENTS")


def request(config: JiraConfig, needed: tuple[str, ...]) -> HttpRequest:
    """Ask for the permissions that our account has in at least one project."""
    version = 3 if config.deployment == "cloud" else 2
    query = urlencode({"permissions": ",".join(needed)})
    return HttpRequest(
        method="GET",
        url=f"{config.api_url}/rest/api/{version}/mypermissions?{query}",
        headers=(("Accept", "application/json"), ("Authorization", config.authorization)),
    )


def read_lacking(response: HttpResponse, needed: tuple[str, ...]) -> tuple[str, ...] | NotPosted:
    """Return the permissions that our account lacks everywhere."""
    if response.status != 200:
        return answers.refusal(response, STATUSES, None)
    known = members(members(answers.read_json(response)).get("permissions"))
    if not known:
        return answers.unreadable(response)
    return tuple(name for name in needed if members(known.get(name)).get("havePermission") is not True)
