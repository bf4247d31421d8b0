"""Read who belongs to which group, and what Jira Service Management keeps of a request's approvals.

It must not decide whether an approval counts; that is a rule of the mapping.
"""

from typing import Final
from urllib.parse import urlencode

from bridge.models import ApprovalState, Json, Person, TicketApproval, TicketRef
from bridge.ticketing import Conversation, answers
from bridge.ticketing.jira.api import not_read, number, request
from bridge.ticketing.jira.config import JiraConfig
from bridge.ticketing.jira.issue import person
from bridge.ticketing.payloads import entries, members, moment_of_milliseconds, text

_PAGE: Final = 50
_MOST_PAGES: Final = 10
_PENDING: Final = "pending"
_STATES: Final = {
    "approved": ApprovalState.APPROVED,
    "declined": ApprovalState.DECLINED,
    _PENDING: ApprovalState.ASKED,
}


def fetch_groups(config: JiraConfig, who: Person) -> Conversation[tuple[str, ...]]:
    """Ask for a person's groups, by account id (Cloud), or by name or key (Data Center)."""
    cloud = config.deployment == "cloud"
    if cloud and who.id:
        path = f"/rest/api/3/user/groups?{urlencode({'accountId': who.id})}"
    elif not cloud and (who.login or who.id):
        named = {"username": who.login} if who.login else {"key": who.id}
        path = f"/rest/api/2/user?{urlencode(named | {'expand': 'groups'})}"
    else:
        return answers.nobody()
    response = yield request(config, "GET", path)
    if response.status != 200:
        return not_read(response)
    answer = answers.read_json(response)
    groups = answer if cloud else _groups_of(members(answer), who)
    if not isinstance(groups, list):
        return answers.not_understood(response)
    return tuple(name for name in (text(members(group).get("name")) for group in groups) if name)


def _groups_of(user: dict[str, Json], who: Person) -> Json:
    """Return the groups that a user's record holds; None where it is another's, or not all are shown."""
    found = person(user)
    groups = members(user.get("groups"))
    items = groups.get("items")
    same = found is not None and (found.login == who.login if who.login else found.id == who.id)
    return items if same and isinstance(items, list) and groups.get("size") == len(items) else None


def fetch_approvals(config: JiraConfig, ref: TicketRef) -> Conversation[tuple[TicketApproval, ...]]:
    """Ask for the approvals of a request; an issue that is no request of a service desk has none to tell."""
    found: list[Json] = []
    for _ in range(_MOST_PAGES):
        query = urlencode({"start": len(found), "limit": _PAGE})
        response = yield request(
            config, "GET", f"/rest/servicedeskapi/request/{number(ref.uid)}/approval?{query}"
        )
        if response.status != 200:
            return not_read(response)
        page = members(answers.read_json(response))
        values = page.get("values")
        if not isinstance(values, list) or not isinstance(page.get("isLastPage"), bool):
            return answers.not_understood(response)
        found += values
        if page["isLastPage"]:
            told = _decisions([members(approval) for approval in found])
            return answers.not_understood(response) if told is None else told
    return answers.incomplete("the request has more approvals than are read")


def _decisions(approvals: list[dict[str, Json]]) -> tuple[TicketApproval, ...] | None:
    """Return what each approver said; None where Jira uses a word that is not known here.

    The request is approved when none of its approvals is pending any more; one that was declined is final.
    """
    outcomes = [text(approval.get("finalDecision")) for approval in approvals]
    if any(outcome not in _STATES for outcome in outcomes):
        return None
    told: list[TicketApproval] = []
    for approval, outcome in zip(approvals, outcomes, strict=True):
        final = outcome == "declined" or _PENDING not in outcomes
        at = moment_of_milliseconds(members(approval.get("completedDate")).get("epochMillis"))
        for answer in map(members, entries(approval.get("approvers"))):
            state = _STATES.get(text(answer.get("approverDecision")) or "")
            if state is None:
                return None
            by = person(answer.get("approver")) or Person()
            told.append(TicketApproval(state=state, by=by, at=at, final=final))
    return tuple(told)
