"""The files of docs/deploy: what they name of the bridge exists."""

import configparser
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.cli import main
from bridge.settings import describe

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "docs" / "deploy"
FILES = sorted(DEPLOY.iterdir())
UNITS = sorted(DEPLOY.glob("*.service"))
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
# What a Procfile starts is what every other way of running must start.
STARTED = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())


def is_started(words: list[str]) -> bool:
    """Say whether a command is one of the Procfile, or a command of the bridge."""
    if words[0] == "bridge":
        words = ["python", "-m", *words]
    if shlex.join(words) in STARTED.values():
        return True
    return words[:3] == ["python", "-m", "bridge"] and words[3] in main.commands


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_that_a_file_names_is_one(path: Path) -> None:
    named = set(re.findall(r"\bBRIDGE_[A-Z0-9_]+(?:<NAME>[A-Z0-9_]+)?", path.read_text()))
    assert named <= {doc.name for doc in describe()}


# ── nginx ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_proxy_lets_webhooks_in_from_outside_and_keeps_all_else_inside(web: Any) -> None:
    outside, inside = re.findall(r'location ~ "(\S+)"', (DEPLOY / "nginx.conf").read_text())
    rules = list(web.app.url_map.iter_rules())
    paths = {_example(rule.rule) for rule in rules}
    console = {_example(rule.rule) for rule in rules if rule.endpoint.startswith("console.")}
    assert {path for path in paths if re.match(outside, path)} == {"/webhooks/jira"}
    assert {path for path in paths if not re.match(inside, path)} == {"/webhooks/jira", *console}


def test_the_proxy_takes_bodies_that_are_a_little_larger_than_the_bridge_does() -> None:
    allowed = re.search(r"client_max_body_size +(\d+)k;", (DEPLOY / "nginx.conf").read_text())
    (most,) = (int(doc.default or 0) for doc in describe() if doc.name.endswith("__MAX_BODY_BYTES"))
    assert allowed is not None
    assert most < int(allowed[1]) * 1024 < most * 1.25


def _example(rule: str) -> str:
    """Return a path that a route serves."""
    named = {"source": "jira", "filename": "console.css"}
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda match: named.get(match[1], "dqfk8fgwd6ygx"), rule)


# ── systemd ──────────────────────────────────────────────────────────────────────────────────────────────


def unit(path: Path) -> configparser.ConfigParser:
    # A key may stand again, which adds to it; the last one is enough here.
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(path.read_text())
    return parser


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_what_the_bridge_has_and_may_do_little(path: Path) -> None:
    service = unit(path)["Service"]
    program, *rest = shlex.split(service["ExecStart"])
    folder, program = program.rsplit("/", 1)
    assert folder == f"{service['WorkingDirectory']}/.venv/bin"
    assert is_started([program, *rest])
    assert service["User"] == "bridge"
    assert service["NoNewPrivileges"] == "yes"
    assert (service["ProtectSystem"], service["CapabilityBoundingSet"]) == ("strict", "")
    assert service["ReadWritePaths"] == f"-{service['WorkingDirectory']}/data"


def test_what_stops_a_process_waits_for_it() -> None:
    stops = {path.stem: int(unit(path)["Service"].get("TimeoutStopSec", "0")) for path in UNITS}
    graceful = re.search(r"^graceful_timeout = (\d+)", (ROOT / "gunicorn.conf.py").read_text(), re.MULTILINE)
    assert graceful is not None
    assert stops["bridge-web"] > int(graceful[1])
    assert stops["bridge-worker"] > max(_timeouts()) + 15
    assert COMPOSE["services"]["worker"]["stop_grace_period"] == f"{stops['bridge-worker'] // 60}m"
    assert COMPOSE["services"]["web"]["stop_grace_period"] == f"{stops['bridge-web']}s"


def _timeouts() -> Iterator[int]:
    catalogue = yaml.safe_load((ROOT / "mappings" / "actions.yaml").read_text())
    yield from (action.get("timeout_seconds", 60) for action in catalogue["actions"].values())


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")
    for path in UNITS:
        # It looks whether the program is there.
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/usr/bin/env", path.read_text(), flags=re.MULTILINE)
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / path.name) for path in UNITS)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


# ── containers ───────────────────────────────────────────────────────────────────────────────────────────


def dockerfile() -> list[str]:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_image_is_built_from_what_the_checkout_has_and_the_context_lets_in() -> None:
    allowed = {
        line[1:]
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        word
        for line in dockerfile()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_is_pinned_runs_as_nobody_and_starts_the_web_process(web: Any) -> None:
    lines = dockerfile()
    bases = {line.split()[1] for line in lines if line.startswith("FROM ")}
    assert all(re.search(r":\d+\.\d+\.\d+-", base) for base in bases)
    after = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM ")) :]
    assert [line for line in after if line.startswith("USER ")] == ["USER 10001:10001"]
    (started,) = (yaml.safe_load(line.removeprefix("CMD ")) for line in after if line.startswith("CMD "))
    assert is_started(started)
    (probe,) = (re.findall(r"127\.0\.0\.1:\d+(/\w+)", line) for line in after if line.startswith("HEALTH"))
    assert web.get(probe[0]).status_code == 200


def test_every_service_of_the_compose_file_starts_what_the_bridge_has() -> None:
    ours = {name: each for name, each in COMPOSE["services"].items() if "build" in each}
    assert set(ours) == {"migrate", "web", "worker"}
    for each in ours.values():
        assert is_started(each.get("command", ["gunicorn", "app:app"]))
        assert (each["read_only"], each["cap_drop"]) == (True, ["ALL"])
        assert (DEPLOY / each["build"]["context"]).resolve() == ROOT
        assert (ROOT / each["build"]["dockerfile"]).is_file()
        assert (DEPLOY / each["volumes"][0].split(":")[0]).resolve() == ROOT / "mappings"
    for each in COMPOSE["services"].values():
        assert set(each["secrets"]) <= set(COMPOSE["secrets"])
        assert set(each.get("depends_on", {})) <= set(COMPOSE["services"])
        assert "database_url" not in each["secrets"] or each["environment"]["BRIDGE_DATABASE_URL_FILE"]
    # Nothing is published but to the proxy of the same host.
    ports = [port for each in COMPOSE["services"].values() for port in each.get("ports", ())]
    assert ports == ["127.0.0.1:8080:8080"]
