"""Signing in, in a real browser: with the keyboard, on a phone, in light and dark."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from bridge.passwords import Passwords

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def door(
    opened: Callable[..., Any],
    listening: Callable[[Any], AbstractContextManager[str]],
    tmp_path_factory: Any,
) -> Iterator[str]:
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
    with opened(folder, **given) as web, listening(web) as address:
        yield address


def test_the_form_fits_and_can_be_used_by_everybody(
    door: str, look: Any, readable: Any, window: tuple[int, str]
) -> None:
    page = look(f"{door}/?state=held", *window)
    assert page.url.startswith(f"{door}/login?next=")
    readable(page, "login")
    page.get_by_label("Name").focus()
    page.keyboard.type("ada.example")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{door}/?state=held")
    assert page.get_by_text("ada.example").is_visible()
    readable(page, "signed-in")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{door}/login")
    page.goto(f"{door}/")
    assert "/login" in page.url
