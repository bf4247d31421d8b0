"""The tutorial's commands, one after the other as a reader types them, in the folder of a demo."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from bridge.demo.house import House
from bridge.sandbox.client import TicketControl, wait_for
from bridge.sandbox.running import Sandbox

pytestmark = pytest.mark.journey

ROOT = Path(__file__).resolve().parents[2]


def commands() -> str:
    """Return what is typed into the second terminal: the blocks that are marked as shell."""
    page = MarkdownIt("commonmark").parse((ROOT / "docs" / "tutorial.md").read_text())
    return "".join(token.content for token in page if token.type == "fence" and token.info == "sh")


@pytest.fixture
def house(running_sandbox: Sandbox) -> Iterator[House]:
    demo = House(running_sandbox)
    demo.start()
    wait_for(demo.is_ready, seconds=60)
    yield demo
    demo.stop()
    demo.remove()


@pytest.fixture
def typed(house: House) -> Callable[[str], str]:
    """Type something into a shell whose environment has been activated, and return what it shows."""
    scripts = Path(sys.executable).parent
    elsewhere = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    environment = {
        **elsewhere,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }

    def do(text: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail"],
            input=text,
            cwd=house.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return do


def test_every_command_of_the_tutorial_does_what_it_says(
    house: House, running_sandbox: Sandbox, typed: Callable[[str], str]
) -> None:
    shown = typed(commands())
    assert "0 problems, 1 warning; 6 mappings (4 live), 13 of 13 tests passed" in shown
    assert "my-first: fires on updated" in shown
    assert "0 problems, 1 warning; 6 mappings (5 live), 15 of 15 tests passed" in shown
    assert "connection_lost" in shown
    assert ended(typed) == {
        "SUP-301": "recorded",
        "SUP-302": "recorded",
        "SUP-303": "answered",
        "SUP-304": "answered",
    }
    jira = TicketControl(url=running_sandbox.jira_url)
    wait_for(lambda: len([1 for comment in jira.comments() if comment["issue"] == "SUP-304"]) == 2)
    house.check()


def ended(typed: Callable[[str], str]) -> dict[str, Any]:
    runs = json.loads(typed("bridge runs --json"))
    return {run["ticket"]["key"]: run["state"] for run in runs}
