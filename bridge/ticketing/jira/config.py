"""What one Jira source is configured with.

It must not read settings; whoever composes the bridge fills it.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from bridge.models import SourceName
from bridge.ticketing import authorization, proofs
from bridge.ticketing.proofs import Proof

Deployment: TypeAlias = Literal["cloud", "datacenter"]
InternalComments: TypeAlias = Literal["property", "jsm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JiraConfig:
    """One Jira site.

    `base_url` is where the API is; `site_url` where people browse, needed only where the two differ (a
    scoped Cloud token works on api.atlassian.com only). `internal_comments` says how a note is kept from
    customers: by the comment property of the platform API, or by the JSM route (text without a table).
    `reconcile_jql` narrows which issues are asked for when missed webhooks are looked for.
    """

    source: SourceName
    base_url: str
    deployment: Deployment = "cloud"
    proof: Proof
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    internal_comments: InternalComments = "property"
    site_url: str | None = None
    reconcile_jql: str | None = None

    @property
    def browse_url(self) -> str:
        """Return the address that links for people start with, without a slash at the end."""
        return (self.site_url or self.base_url).rstrip("/")

    @property
    def api_url(self) -> str:
        """Return the address that API paths are added to."""
        return self.base_url.rstrip("/")

    @property
    def rich(self) -> bool:
        """Say whether comments are written as ADF documents; else they are wiki text."""
        return self.deployment == "cloud" and self.internal_comments == "property"

    @property
    def authorization(self) -> str:
        """Return the Authorization header: Cloud wants a user's token as Basic, Data Center as Bearer."""
        if self.deployment == "cloud" and self.username:
            return authorization.basic(self.username, self.token or self.password or "")
        if self.token:
            return authorization.bearer(self.token)
        return authorization.basic(self.username or "", self.password or "")


def problems(config: JiraConfig) -> tuple[str, ...]:
    """Return what makes a source unusable, by the setting's name and never by its value."""
    found = list(proofs.problems(config.proof))
    if not config.token and not (config.username and config.password):
        found.append("TOKEN is missing (or USERNAME and PASSWORD): comments cannot be written")
    return tuple(found)
