"""Lets only so many pages be made at once, so that the threads of a process stay free for webhooks.

It must not let anybody wait: who waits holds a thread, too.
"""

import threading
from http import HTTPStatus

from flask import Blueprint, Response, g, request

from bridge.web.console.showing import shown

RETRY_AFTER_SECONDS = 2


def install(door: Blueprint, *, threads: int) -> None:
    """Give the pages of a blueprint half of the threads; one that finds none free says so (503)."""
    free = threading.BoundedSemaphore(max(1, threads // 2))

    @door.before_request
    def come_in() -> Response | None:
        # The style and the icon take no time, and a page without them is none.
        if request.endpoint == f"{door.name}.static":
            return None
        g.has_place = free.acquire(blocking=False)
        if g.has_place:
            return None
        text = "Too many pages are asked for at once."
        response = shown("missing.html", HTTPStatus.SERVICE_UNAVAILABLE, text=text)
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response

    @door.teardown_request
    def leave(_error: BaseException | None) -> None:
        if g.pop("has_place", False):
            free.release()
