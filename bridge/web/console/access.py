"""Who is asking, and what a page may be asked by: every view of the console names the role that it needs.

It must not let anybody pass whom it cannot name, nor a view that names no role.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, g, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import Forbidden, RequestEntityTooLarge

from bridge.errors import Reason, SignInRefused
from bridge.roles import Role, Visitor
from bridge.settings.forms import is_loopback
from bridge.web.console import callers
from bridge.web.console.showing import shown
from bridge.web.services import Services

__all__ = ["Role", "Visitor", "for_everybody", "install", "known_visitor", "needs", "visitor"]

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])

# What a form may bring: who has not signed in only a name and a password; others a reason and what they saw;
# the workshop two texts as long as the playground takes them, in letters of any alphabet.
PUBLIC_FORM_BYTES: Final = 8_000
FORM_BYTES: Final = 64_000
TEXTS_BYTES: Final = 2_000_000
# A form is read whole before its token can be looked at, and each field costs more than its bytes.
FIELDS: Final = 100

_TEXTS: Final = "takes_texts"
_NEEDED: Final = "needed_role"
_NOBODY_IN_PARTICULAR: Final = "everybody"

# Whoever reaches an open console sits at this machine.
LOCAL: Final = Visitor(name="local", roles=frozenset({Role.ADMINISTRATOR}))


def needs(role: Role) -> Callable[[View], View]:
    """Have a view shown only to who has a role."""
    return _marked(role)


def for_everybody(view: View) -> View:
    """Have a view shown to who has not signed in, too: only what is needed to sign in may be such a one."""
    return _marked(_NOBODY_IN_PARTICULAR)(view)


def takes_texts(view: View) -> View:
    """Let a view take a form with mapping texts and payloads in it."""
    setattr(view, _TEXTS, True)
    return view


def needed_by(view: object) -> str | None:
    """Return the role that a view needs, or what marks it as everybody's; None where it says nothing."""
    return getattr(view, _NEEDED, None)


def visitor() -> Visitor:
    """Return who is asking now, of a view that needs a role."""
    found = known_visitor()
    assert found is not None, "a view for everybody asks known_visitor()"
    return found


def known_visitor() -> Visitor | None:
    """Return who is asking now; None where nobody has signed in."""
    found: Visitor | None = g.get("visitor")
    return found


def install(door: Blueprint, csrf: CSRFProtect, services: Services) -> None:
    """Ask before every view of a blueprint who comes, whether they may, and whether a form is our own."""

    @door.before_request
    def guard() -> ResponseReturnValue | None:
        g.visitor = None
        _require_our_host(services)
        # The style and the icon say nothing.
        if request.endpoint == f"{door.name}.static":
            return None
        view = current_app.view_functions[request.endpoint or ""]
        needed = needed_by(view)
        if needed is None:
            raise Forbidden
        g.visitor = LOCAL if services.signing_in is None else callers.who_asks(services)
        if needed != _NOBODY_IN_PARTICULAR:
            if g.visitor is None:
                return _ask_to_sign_in()
            if not visitor().may(Role(needed)):
                return _refused_role(services, Role(needed))
        _require_small_form(_form_bytes(view))
        csrf.protect()
        return None

    @door.context_processor
    def known() -> dict[str, object]:
        return {"visitor": known_visitor(), "signed_in": g.get("signed_in", False), "Role": Role}

    @door.errorhandler(CSRFError)
    def foreign_form(_error: CSRFError) -> Response:
        text = "This form is not one of this console, or of another time. Nothing was done: open it again."
        return shown("refused.html", HTTPStatus.BAD_REQUEST, title="Not done", text=text)

    @door.errorhandler(SignInRefused)
    def not_let_in(error: SignInRefused) -> Response:
        limited = error.reason is Reason.TOO_MANY_TRIES
        status = HTTPStatus.TOO_MANY_REQUESTS if limited else HTTPStatus.FORBIDDEN
        return shown("refused.html", status, title="Not let in", text=str(error))


def _marked(needed: str) -> Callable[[View], View]:
    def mark(view: View) -> View:
        setattr(view, _NEEDED, needed)
        return view

    return mark


def _form_bytes(view: object) -> int:
    """Return how many bytes a form may have that a view takes."""
    if needed_by(view) == _NOBODY_IN_PARTICULAR:
        return PUBLIC_FORM_BYTES
    return TEXTS_BYTES if getattr(view, _TEXTS, False) else FORM_BYTES


def _require_small_form(size: int) -> None:
    """Refuse a form of more bytes or fields than its view takes, before it is taken apart."""
    request.max_content_length = request.max_form_memory_size = size
    request.max_form_parts = FIELDS
    if request.method == "POST" and request.get_data().count(b"&") >= FIELDS:
        raise RequestEntityTooLarge


def _require_our_host(services: Services) -> None:
    """Refuse who was led here by another name, which a site elsewhere may have pointed to us.

    An open console is only for a browser at this machine that was told to come here: a proxy here can pass
    on who is elsewhere, and that shows in the host that was asked for.
    """
    host = urlsplit(f"//{request.host}").hostname or ""
    public = services.settings().public_url
    if services.signing_in is None:
        if not is_loopback(request.remote_addr or "") or not is_loopback(host):
            raise Forbidden
    elif public is not None and host != urlsplit(public).hostname:
        raise Forbidden


def _ask_to_sign_in() -> Response:
    if "HX-Request" in request.headers:
        # A part of a page cannot show the form; the whole page, asked for anew, leads to it.
        response = Response(status=HTTPStatus.UNAUTHORIZED)
        response.headers["HX-Refresh"] = "true"
        return response
    # What was to be done is not done after signing in: people look again first.
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    location = url_for("console.login", next=None if wanted == "/" else wanted)
    return Response(status=HTTPStatus.SEE_OTHER, headers={"Location": location})


def _refused_role(services: Services, role: Role) -> Response:
    if services.signing_in is not None:
        services.signing_in.note_refused_role(visitor(), role, page=request.endpoint or "")
    return shown("refused.html", HTTPStatus.FORBIDDEN, title="Not yours to do", needed=role)
