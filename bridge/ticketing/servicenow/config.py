"""What one ServiceNow source is configured with.

It must not read settings; whoever composes the bridge fills it.
"""

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import re2

from bridge.models import SourceName
from bridge.ticketing import authorization, proofs
from bridge.ticketing.proofs import Proof

History: TypeAlias = Literal["none", "sys_audit", "sys_history_line"]

DEFAULT_TABLES: Final = (
    "incident",
    "sc_request",
    "sc_req_item",
    "sc_task",
    "change_request",
    "change_task",
    "problem",
)
_TABLE: Final = re2.compile(r"[a-z0-9_]{1,80}")
# A caret would start a second condition.
_ACCOUNT: Final = re2.compile(r"[^\^\s\x00-\x1f][^\^\x00-\x1f]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceNowConfig:
    """One ServiceNow instance.

    `account` is the user_name of the user that a token belongs to; without it `username` is asked.
    `code_tags` is false for instances whose glide.ui.security.allow_codetag is off. `history` is the table
    from which a record's changes are read.
    """

    source: SourceName
    base_url: str
    proof: Proof
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    api_key_header: bool = False
    account: str | None = None
    tables: tuple[str, ...] = DEFAULT_TABLES
    code_tags: bool = True
    history: History = "none"

    @property
    def api_url(self) -> str:
        """Return the address that paths are added to."""
        return self.base_url.rstrip("/")

    @property
    def own_login(self) -> str:
        """Return the user_name under which our changes are recorded; empty where none is configured."""
        return self.account or self.username or ""

    @property
    def authorization(self) -> tuple[str, str]:
        """Return the header that says who we are."""
        if self.token and self.api_key_header:
            return "x-sn-apikey", self.token
        if self.token:
            return "Authorization", authorization.bearer(self.token)
        return "Authorization", authorization.basic(self.username or "", self.password or "")


def problems(config: ServiceNowConfig) -> tuple[str, ...]:
    """Return what makes a source unusable, by the setting's name and never by its value."""
    found = list(proofs.problems(config.proof))
    if not config.token and not (config.username and config.password):
        found.append("TOKEN is missing (or USERNAME and PASSWORD): notes cannot be written")
    if config.api_key_header and not config.token:
        found.append("API_KEY_HEADER needs the key in TOKEN")
    if not config.own_login:
        found.append("ACCOUNT is missing: with a token alone, name the user that it belongs to")
    elif _ACCOUNT.fullmatch(config.own_login) is None:
        found.append("ACCOUNT (or USERNAME) is not a user name that can be looked up")
    if not config.tables:
        found.append("TABLES is empty: name at least one")
    if any(_TABLE.fullmatch(table) is None for table in config.tables):
        found.append("TABLES must hold table names: lower-case letters, digits and underscores")
    return tuple(found)
