"""What every route of the simulated Jira asks of a request: who sent it, its version, its issue.

It must not know what a route answers.
"""

from typing import Any

from flask import g, request

from bridge.sandbox.jira.site import Account, Deployment, Issue, JiraSite
from bridge.sandbox.jira.writing import JiraError

_NO_ISSUE = "Issue does not exist or you do not have permission to see it."


def account() -> Account:
    """Return who sent the current request."""
    signed_in: Account = g.account
    return signed_in


def json_body() -> Any:
    """Return the JSON of a request, or refuse its type or text."""
    if request.mimetype != "application/json":
        raise JiraError(415, "Unsupported Media Type")
    document = request.get_json(silent=True)
    if document is None:
        raise JiraError(400, "There was an error parsing JSON. Check that your request body is valid.")
    return document


def find_issue(site: JiraSite, key: str) -> Issue:
    """Return an issue or refuse with 404."""
    issue = site.issue(key)
    if issue is None:
        raise JiraError(404, _NO_ISSUE)
    return issue


def refuse_version(version: int) -> None:
    """Refuse an API version that the account's deployment does not have."""
    if version not in {2, 3} or (version == 3 and account().deployment is Deployment.DATACENTER):
        raise JiraError(404, "null for uri")


def number_of(name: str, default: int) -> int:
    """Return a number of the query, or refuse what is none."""
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise JiraError(400, f"{name} must be a number")
    return int(text)
