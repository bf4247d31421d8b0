"""Change an issue after an outcome: its label, its assignee and its status, each only where it differs.

It must not make a change that the issue shows already, nor touch an issue that was closed meanwhile.
"""

from collections.abc import Iterator
from typing import Final

from bridge.errors import Reason
from bridge.models import HttpRequest, HttpResponse, Json, NotPosted, TicketRef, WriteBack
from bridge.ticketing import Changing, answers
from bridge.ticketing.jira import api
from bridge.ticketing.jira.config import JiraConfig
from bridge.ticketing.payloads import entries, members, text

# The category of every status that counts as finished, whatever its name.
_DONE: Final = "done"


def change_ticket(config: JiraConfig, ticket: TicketRef, change: WriteBack) -> Changing:
    """Label and assign first: a closed issue may take no edit. A refused part keeps no other part back."""
    path = _path(config, ticket)
    response = yield api.request(config, "GET", f"{path}?fields=status,assignee,labels")
    if response.status != 200:
        return api.refusal(response)
    fields = members(members(answers.read_json(response)).get("fields"))
    status = members(fields.get("status"))
    name = text(status.get("name"))
    if name is None:
        return answers.unreadable(response)
    edits = tuple(_edits(config, path, fields, change))
    moves = change.state is not None and not _same(name, change.state)
    if (edits or moves) and _is_closed(status, change):
        return answers.rejected(
            Reason.TICKET_CLOSED, f"the issue is closed ({name}), so it was left as it is"
        )
    written: list[str] = []
    refused: list[NotPosted] = []
    for part, request in edits:
        response = yield request
        if _is_taken(response):
            written.append(part)
        else:
            refused.append(api.refusal(response))
    if moves:
        # Asked for last: whose issue it is may decide which transitions there are.
        response = yield api.request(config, "GET", f"{path}/transitions")
        transition = _transition(response, name, change.state)
        if isinstance(transition, NotPosted):
            return answers.closing(written, [*refused, transition])
        body = {"transition": {"id": transition}}
        response = yield api.request(config, "POST", f"{path}/transitions", body)
        if _is_taken(response):
            written.append("status")
        else:
            refused.append(api.refusal(response))
    if change.assign_group is not None:
        refused.append(answers.rejected(Reason.REJECTED, "Jira assigns issues to people, not to groups"))
    return answers.closing(written, refused)


def _edits(
    config: JiraConfig, path: str, fields: dict[str, Json], change: WriteBack
) -> Iterator[tuple[str, HttpRequest]]:
    """Yield what differs, by the name of the field."""
    if change.label is not None and change.label not in entries(fields.get("labels")):
        yield "label", api.request(config, "PUT", path, {"update": {"labels": [{"add": change.label}]}})
    # Cloud knows people by account, Data Center by user name.
    key = "accountId" if config.deployment == "cloud" else "name"
    if change.assign_to is not None and change.assign_to != members(fields.get("assignee")).get(key):
        yield "assignee", api.request(config, "PUT", f"{path}/assignee", {key: change.assign_to})


def _is_closed(status: dict[str, Json], change: WriteBack) -> bool:
    """Say whether somebody closed the issue; in the status that is wanted it may be our own doing."""
    category = members(status.get("statusCategory")).get("key")
    return category == _DONE and not _same(text(status.get("name")), change.state)


def _transition(response: HttpResponse, now: str, wanted: str | None) -> str | NotPosted:
    """Return the id of the transition that leads to the wanted status, rather one without a screen."""
    if response.status != 200:
        return api.refusal(response)
    offered = members(answers.read_json(response)).get("transitions")
    if not isinstance(offered, list):
        return answers.unreadable(response)
    leading = sorted(
        (each for each in map(members, offered) if _same(_target(each), wanted)),
        key=lambda each: each.get("hasScreen") is True,
    )
    ids = [number for each in leading if (number := text(each.get("id"))) is not None]
    if ids:
        return ids[0]
    return answers.rejected(Reason.REJECTED, f"our account has no transition from {now} to {wanted}")


def _target(transition: dict[str, Json]) -> str | None:
    return text(members(transition.get("to")).get("name"))


def _is_taken(response: HttpResponse) -> bool:
    return 200 <= response.status < 300


def _same(seen: str | None, wanted: str | None) -> bool:
    return seen is not None and wanted is not None and seen.casefold() == wanted.casefold()


def _path(config: JiraConfig, ticket: TicketRef) -> str:
    version = 3 if config.deployment == "cloud" else 2
    return f"/rest/api/{version}/issue/{api.number(ticket.uid)}"
