"""Signing in, in a real browser: with the keyboard, on a phone, in light and dark."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from bridge.passwords import Passwords

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def door(opened: Callable[..., Any], tmp_path_factory: Any) -> Iterator[str]:
    """A console that is on, over a socket."""
    folder: Path = tmp_path_factory.mktemp("door")
    people = folder / "people.yaml"
    hashed = Passwords().hashed(PASSWORD)
    people.write_text(
        f"version: 1\npeople:\n  ada.example: {{roles: [operator, approver], password: '{hashed}'}}\n"
    )
    given = {
        "BRIDGE_CONSOLE": "on",
        "BRIDGE_CONSOLE_PEOPLE": str(people),
        "BRIDGE_CONSOLE_SECRET": "console-secret-of-more-than-32-characters",
        "BRIDGE_CONSOLE_SIGN_IN": "password,token",
    }
    with opened(folder, **given) as web, contextlib.ExitStack() as stack:

        def answer(environ: Any, start_response: Any) -> list[bytes]:
            # This server leaves the file open that it sends to a browser which has gone; so it sends none.
            with contextlib.closing(web.app(environ, start_response)) as answered:
                return [b"".join(answered)]

        server = make_server("127.0.0.1", 0, answer, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stack.callback(server.server_close)
        stack.callback(thread.join, 10)
        stack.callback(server.shutdown)
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_form_fits_and_can_be_used_by_everybody(
    door: str, look: Any, accessible: Any, shot: Any, width: int, scheme: str
) -> None:
    page = look(f"{door}/?state=held", width, scheme)
    assert page.url.startswith(f"{door}/login?next=")
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shot(page, f"login-{width}-{scheme}")
    page.get_by_label("Name").focus()
    page.keyboard.type("ada.example")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{door}/?state=held")
    assert page.get_by_text("ada.example").is_visible()
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shot(page, f"signed-in-{width}-{scheme}")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{door}/login")
    page.goto(f"{door}/")
    assert "/login" in page.url
