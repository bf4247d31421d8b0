"""Ask whether what a mapping would write exists on this Jira: a status, a person, a usable label.

It must not change anything, nor promise that one issue takes it: workflows and screens differ by project.
"""

from typing import Final
from urllib.parse import urlencode

from bridge.ticketing import Conversation, answers
from bridge.ticketing.jira import api
from bridge.ticketing.jira.config import JiraConfig
from bridge.ticketing.payloads import entries, members, text

# The permission that each key of a change needs.
PERMISSIONS: Final = {
    "state": "TRANSITION_ISSUES",
    "assign_to": "ASSIGN_ISSUES",
    "label": "EDIT_ISSUES",
}


def missing(config: JiraConfig, key: str, wanted: str) -> Conversation[str | None]:
    """Return why a text under a key of `after` can be written nowhere; None where it seems that it can."""
    if key == "state":
        return (yield from _missing_status(config, wanted))
    if key == "assign_to":
        return (yield from _missing_person(config, wanted))
    if key == "label":
        return "a label of Jira has no spaces" if wanted.split() != [wanted] else None
    return "Jira has nothing of this kind"


def _missing_status(config: JiraConfig, wanted: str) -> Conversation[str | None]:
    response = yield api.request(config, "GET", f"/rest/api/{_version(config)}/status")
    if response.status != 200:
        return answers.not_read(api.refusal(response))
    statuses = [text(members(each).get("name")) for each in entries(answers.read_json(response))]
    names = {name.casefold() for name in statuses if name is not None}
    if not names:
        return answers.not_understood(response)
    return None if wanted.casefold() in names else "no status of this name is shown to our account"


def _missing_person(config: JiraConfig, wanted: str) -> Conversation[str | None]:
    key = "accountId" if config.deployment == "cloud" else "username"
    query = urlencode({key: wanted})
    response = yield api.request(config, "GET", f"/rest/api/{_version(config)}/user?{query}")
    if response.status == 404:
        return "no person of this id is shown to our account"
    if response.status != 200:
        return answers.not_read(api.refusal(response))
    return (
        "this person's account is not active"
        if members(answers.read_json(response)).get("active") is False
        else None
    )


def _version(config: JiraConfig) -> int:
    return 3 if config.deployment == "cloud" else 2
