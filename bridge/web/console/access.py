"""Who is asking, and what a page may be asked by: every view of the console names the role that it needs.

It must not let anybody pass whom it cannot name, nor a view that names no role.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import urlsplit

from flask import Blueprint, current_app, g, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFProtect
from werkzeug.exceptions import Forbidden

from bridge.models import Identity
from bridge.settings.forms import is_loopback

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])

_NEEDED: Final = "needed_role"


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
        enough = self.roles if role is Role.VIEWER else self.roles & {role, Role.ADMINISTRATOR}
        return bool(enough)


# Whoever reaches an open console sits at this machine.
LOCAL: Final = Visitor(name="local", roles=frozenset({Role.ADMINISTRATOR}))


def needs(role: Role) -> Callable[[View], View]:
    """Have a view shown only to who has a role."""

    def mark(view: View) -> View:
        setattr(view, _NEEDED, role)
        return view

    return mark


def visitor() -> Visitor:
    """Return who is asking now."""
    found: Visitor = g.visitor
    return found


def _at_this_machine() -> Visitor:
    """Return who reaches an open console: only a browser here, that was told to come here.

    A site elsewhere can have its own name point to loopback, and a proxy here can pass on who is elsewhere;
    both show in the host that was asked for.
    """
    here = urlsplit(f"//{request.host}").hostname or ""
    if not is_loopback(request.remote_addr or "") or not is_loopback(here):
        raise Forbidden
    return LOCAL


def install(door: Blueprint, csrf: CSRFProtect) -> None:
    """Ask before every view of a blueprint who comes, whether they may, and whether a form is our own."""

    @door.before_request
    def guard() -> None:
        g.visitor = _at_this_machine()
        # The style and the icon say nothing.
        if request.endpoint == f"{door.name}.static":
            return
        view = current_app.view_functions[request.endpoint or ""]
        role: Role | None = getattr(view, _NEEDED, None)
        if role is None or not visitor().may(role):
            raise Forbidden
        csrf.protect()

    @door.context_processor
    def known() -> dict[str, object]:
        return {"visitor": visitor(), "Role": Role}
