"""What people may do at the console, and who they are while they look at it.

It must not know how somebody signed in, nor which page needs which role.
"""

from dataclasses import dataclass
from enum import StrEnum

from bridge.models import Identity


class Role(StrEnum):
    """What somebody may do. An administrator may everything; every role may look."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody who looks at the console; `identities` are who they are in the ticket systems (L3)."""

    name: str
    roles: frozenset[Role]
    identities: tuple[Identity, ...] = ()

    def may(self, role: Role) -> bool:
        """Say whether they have a role, or one that holds it."""
        return bool(self.roles) and (
            role is Role.VIEWER or not self.roles.isdisjoint({role, Role.ADMINISTRATOR})
        )


class Way(StrEnum):
    """How somebody proves who they are."""

    PASSWORD = "password"  # noqa: S105 - the word for a way, not a password
    TOKEN = "token"  # noqa: S105 - as above
    PROXY = "proxy"
    OIDC = "oidc"
