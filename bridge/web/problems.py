"""Writes refusals as problem details (RFC 9457), and what every response carries besides its content.

It must not repeat anything of the request: not its address, a header, nor its body.
"""

import json
from http import HTTPStatus

import structlog
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 30

# The page needs its own style and nothing else; everything else is data, which no browser should run.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def problem(status: int, detail: str, *, reason: str | None = None) -> Response:
    """Return a refusal as application/problem+json; a 503 says when to come again."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    if reason is not None:
        content["reason"] = reason
    response = Response(json.dumps(content) + "\n", status, content_type="application/problem+json")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def install(app: Flask) -> None:
    """Have an application answer every error as a problem, and every response with the security headers."""

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
        response = problem(status, HTTPStatus(status).description or HTTPStatus(status).phrase)
        allowed = getattr(error, "valid_methods", None)
        if allowed:
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        log.error("web.failed", exc_info=error)
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the bridge failed; its log says where")

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response
