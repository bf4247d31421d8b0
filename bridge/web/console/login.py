"""Signs people in and out: the form for names, passwords and tokens, and the way out.

It must not say whether a name exists, nor lead anywhere but to a page of this console.
"""

import re
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, request, url_for

from bridge.errors import Reason, SignInRefused
from bridge.roles import Way
from bridge.web.console import callers
from bridge.web.console.access import for_everybody, known_visitor
from bridge.web.console.showing import shown
from bridge.web.services import Services

# One slash, and nothing that a browser takes for a second one or leaves out.
_LOCAL_PATH: Final = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]{0,1000})?")
_RETRY_AFTER_SECONDS: Final = 60


def install(door: Blueprint, services: Services) -> None:
    """Add the form, and the way out."""
    signing_in = services.signing_in
    assert signing_in is not None, "an open console has nobody who could sign in"

    @door.get("/login")
    @for_everybody
    def login() -> Response:
        if known_visitor() is not None:
            return _lead_to(local_path(request.args.get("next")))
        return _form(local_path(request.args.get("next")), signing_in.ways)

    @door.post("/login")
    @for_everybody
    def sign_in() -> Response:
        wanted = local_path(request.form.get("next"))
        before = callers.secret_of_request(services)
        token = request.form.get("token")
        way = Way.PASSWORD if token is None else Way.TOKEN
        try:
            if token is None:
                secret = signing_in.by_password(
                    request.form.get("name", ""),
                    request.form.get("password", ""),
                    peer=callers.peer(),
                    before=before,
                )
            else:
                secret = signing_in.by_token(token, peer=callers.peer(), before=before)
        except SignInRefused as error:
            services.vitals.note_refused_sign_in(way, error.reason)
            return _form(wanted, signing_in.ways, error)
        return let_in(secret, wanted, services)

    @door.post("/logout")
    @for_everybody
    def logout() -> Response:
        secret = callers.secret_of_request(services)
        if secret is not None and known_visitor() is not None:
            signing_in.sign_out(secret)
        response = _lead_to(url_for("console.login"))
        callers.take_secret(response, services)
        return response


def let_in(secret: str, wanted: str, services: Services) -> Response:
    """Give a browser what stands for its sign-in, and lead it to the page that it wanted."""
    response = _lead_to(wanted)
    callers.give_secret(response, secret, services)
    return response


def local_path(text: str | None) -> str:
    """Return a path of ours that somebody gave us, with its query; `/` for anything else."""
    return text if text is not None and _LOCAL_PATH.fullmatch(text) else "/"


def _lead_to(path: str) -> Response:
    return Response(status=HTTPStatus.SEE_OTHER, headers={"Location": path})


def _form(wanted: str, ways: frozenset[Way], refused: SignInRefused | None = None) -> Response:
    status = HTTPStatus.OK
    if refused is not None:
        limited = refused.reason is Reason.TOO_MANY_TRIES
        status = HTTPStatus.TOO_MANY_REQUESTS if limited else HTTPStatus.UNAUTHORIZED
    response = shown("login.html", status, wanted=wanted, ways=ways, Way=Way, refused=refused)
    if status is HTTPStatus.TOO_MANY_REQUESTS:
        response.headers["Retry-After"] = str(_RETRY_AFTER_SECONDS)
    return response
