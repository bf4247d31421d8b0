"""The files of docs/deploy: what they name of the bridge exists."""

import re
from pathlib import Path
from typing import Any

import pytest

from bridge.settings import describe

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "docs" / "deploy"
FILES = sorted(DEPLOY.iterdir())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_that_a_file_names_is_one(path: Path) -> None:
    named = set(re.findall(r"\bBRIDGE_[A-Z0-9_]+(?:<NAME>[A-Z0-9_]+)?", path.read_text()))
    assert named <= {doc.name for doc in describe()}


# ── nginx ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_proxy_lets_webhooks_in_from_outside_and_keeps_all_else_inside(web: Any) -> None:
    outside, inside = re.findall(r'location ~ "(\S+)"', (DEPLOY / "nginx.conf").read_text())
    paths = {_example(rule.rule) for rule in web.app.url_map.iter_rules()}
    assert {path for path in paths if re.match(outside, path)} == {"/webhooks/jira"}
    assert {path for path in paths if not re.match(inside, path)} == {"/webhooks/jira"}


def test_the_proxy_takes_bodies_that_are_a_little_larger_than_the_bridge_does() -> None:
    allowed = re.search(r"client_max_body_size +(\d+)k;", (DEPLOY / "nginx.conf").read_text())
    (most,) = (int(doc.default or 0) for doc in describe() if doc.name.endswith("__MAX_BODY_BYTES"))
    assert allowed is not None
    assert most < int(allowed[1]) * 1024 < most * 1.25


def _example(rule: str) -> str:
    """Return a path that a route serves."""
    named = {"source": "jira", "filename": "page.css"}
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda match: named.get(match[1], "dqfk8fgwd6ygx"), rule)
