"""Publishes the JSON Schemas of the mapping language, so that editors can complete and check files.

It must not know a mapping: what it answers is the same for everybody.
"""

from flask import Blueprint, Response

from bridge.mapping import schemas

_TYPE = "application/schema+json"
# They change with the version only; an editor that asks for each key stroke need not come here.
_CACHED = "public, max-age=3600"


def blueprint() -> Blueprint:
    """Return `/schemas/actions` and `/schemas/mappings`."""
    door = Blueprint("schemas", __name__)

    @door.get("/schemas/actions")
    def actions() -> Response:
        return _answer(schemas.ACTIONS)

    @door.get("/schemas/mappings")
    def mappings() -> Response:
        return _answer(schemas.MAPPINGS)

    return door


def _answer(name: str) -> Response:
    response = Response(schemas.text(name), content_type=_TYPE)
    response.headers["Cache-Control"] = _CACHED
    return response
