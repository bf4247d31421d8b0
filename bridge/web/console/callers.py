"""Finds out who sends a request: by what a trusted proxy says of it, or by the cookie of who signed in.

It must not believe a header from an address or without a secret that are not the trusted proxy's.
"""

import hmac
from typing import Final

from flask import Request, Response, g, request, session

from bridge.errors import SignInRefused
from bridge.roles import Visitor, Way
from bridge.settings import Settings
from bridge.settings.forms import as_peer
from bridge.web.services import Services

PROXY_SECRET_HEADER: Final = "X-Bridge-Proxy-Secret"  # noqa: S105 - the name of a header
_COOKIE: Final = "console-session"


def who_asks(services: Services) -> Visitor | None:
    """Return who sends this request; None where nobody has signed in.

    Raises SignInRefused where the trusted proxy names somebody who is not among the people.
    """
    assert services.signing_in is not None
    named = _named_by_proxy(request, services.settings())
    if named is not None and Way.PROXY in services.signing_in.ways:
        try:
            return services.signing_in.through_proxy(named)
        except SignInRefused as error:
            services.vitals.note_refused_sign_in(Way.PROXY, error.reason)
            raise
    secret = secret_of_request(services)
    found = None if secret is None else services.signing_in.visitor(secret)
    g.signed_in = found is not None
    return found


def peer() -> str:
    """Return the address that a request comes from, whatever its headers claim."""
    return as_peer(request.remote_addr or "") or ""


def secret_of_request(services: Services) -> str | None:
    """Return what the cookie of who signed in holds; None where there is none."""
    return request.cookies.get(cookie_name(services.settings())) or None


def give_secret(response: Response, secret: str, services: Services) -> None:
    """Have a browser keep what stands for a sign-in, and forget what it had of forms before."""
    settings = services.settings()
    session.clear()
    response.set_cookie(
        cookie_name(settings), secret, path="/", secure=is_https(settings), httponly=True, samesite="Lax"
    )


def take_secret(response: Response, services: Services) -> None:
    """Have a browser forget both."""
    settings = services.settings()
    session.clear()
    response.delete_cookie(
        cookie_name(settings), path="/", secure=is_https(settings), httponly=True, samesite="Lax"
    )


def cookie_name(settings: Settings) -> str:
    """Return the name of the cookie of who signed in."""
    return own_name(_COOKIE, settings)


def own_name(name: str, settings: Settings) -> str:
    """Return a cookie's name: over https one that no other host of the domain can set."""
    return f"__Host-{name}" if is_https(settings) else name


def is_https(settings: Settings) -> bool:
    """Say whether browsers reach us by https."""
    return settings.public_url is not None and settings.public_url.startswith("https://")


def _named_by_proxy(asked: Request, settings: Settings) -> str | None:
    """Return whom the trusted proxy names; None where the request is not from it, or it names nobody."""
    if settings.console_proxy_secret is None or peer() not in settings.console_proxy_peers:
        return None
    shown = asked.headers.get(PROXY_SECRET_HEADER, "")
    known = settings.console_proxy_secret.get_secret_value()
    if not hmac.compare_digest(shown.encode("latin-1", "replace"), known.encode()):
        return None
    return asked.headers.get(settings.console_proxy_user_header) or None
