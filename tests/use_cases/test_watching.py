"""Rule A5 and changed secrets, through bridges that watch real files and share a real ledger."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge import bootstrap
from bridge.bootstrap import Bridge
from bridge.ledger import in_force
from bridge.ledger.connecting import open_database
from bridge.ledger.migrating import migrate
from bridge.sandbox.client import wait_for
from bridge.settings import LiveSettings
from bridge.watching import REFUSED_FACT

UNREADABLE = json.dumps({"catalogue": ["actions.yaml", "version: 9"], "mappings": []})
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "mappings", tmp_path / "mappings")
    return tmp_path / "mappings"


@pytest.fixture
def opened(environ: dict[str, str], database_url: str, tmp_path: Path) -> Iterator[Callable[..., Bridge]]:
    """Open and start bridges over one ledger; keywords are settings without their prefix."""
    engine = open_database(database_url)
    migrate(engine)
    engine.dispose()
    with ExitStack() as stack:

        @contextmanager
        def running(settings: dict[str, str]) -> Iterator[Bridge]:
            given = {f"BRIDGE_{name}": value for name, value in settings.items()}
            bridge = bootstrap.open_bridge(
                LiveSettings({**environ, "BRIDGE_DATABASE_URL": database_url, **given}), write_timeout=1.0
            )
            bridge.start()
            try:
                yield bridge
            finally:
                bridge.stop()

        yield lambda **settings: stack.enter_context(running(settings))


def hash_of(bridge: Bridge) -> str | None:
    found = bridge.watching.mapping_set()
    return None if found is None else found.hash


def test_a5_files_that_are_refused_keep_the_old_set_until_they_are_mended(opened, folder):
    bridge = opened(MAPPINGS=str(folder))
    first = wait_for(lambda: hash_of(bridge))
    path = folder / "jira-teams-cache.yaml"
    good = path.read_text()
    path.write_text(good.replace("action: clear-teams-cache", "action: clear-teams-cash"))
    refused = wait_for(lambda: bridge.ledger.read(in_force.get_fact, name=REFUSED_FACT))
    assert "clear-teams-cash" in refused
    assert hash_of(bridge) == first
    path.write_text(good.replace("source: jira\n", "source: jira\n", 1) + "\n# mended\n")
    wait_for(lambda: bridge.ledger.read(in_force.get_fact, name=REFUSED_FACT) is None)
    wait_for(lambda: hash_of(bridge) not in {None, first})


def test_a5_the_log_says_where_the_first_problem_of_refused_files_is_and_no_more(opened, folder):
    path = folder / "jira-teams-cache.yaml"
    path.write_text(path.read_text().replace("action: clear-teams-cache", "action: canary-1b7e"))
    line = path.read_text().split("action: canary-1b7e")[0].count("\n") + 1
    with capture_logs() as logged:
        bridge = opened(MAPPINGS=str(folder))
        wait_for(lambda: bridge.ledger.read(in_force.get_fact, name=REFUSED_FACT))
    (refused,) = (entry for entry in logged if entry["event"] == "mappings.refused")
    assert f"jira-teams-cache.yaml:{line}:" in refused["place"]
    assert "canary" not in str(refused)


def test_a5_a_character_that_not_every_ledger_keeps_is_a_problem_like_others(opened, folder):
    path = folder / "jira-teams-cache.yaml"
    text = path.read_text()
    path.write_text(text.replace("payload: samples/", 'payload: "samples/\\0" #', 1))
    line = text.split("payload: samples/")[0].count("\n") + 1
    bridge = opened(MAPPINGS=str(folder))
    refused = wait_for(lambda: bridge.ledger.read(in_force.get_fact, name=REFUSED_FACT))
    assert refused == f"mappings/jira-teams-cache.yaml:{line}:14: a NUL character (remove it)"


def test_a5_every_process_uses_the_set_in_force_also_one_whose_own_files_are_refused(
    opened, folder, tmp_path
):
    first = opened(MAPPINGS=str(folder))
    accepted = wait_for(lambda: hash_of(first))
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "jira-teams-cache.yaml").write_text("version: 1\nmappings: [")
    second = opened(MAPPINGS=str(broken))
    wait_for(lambda: second.ledger.read(in_force.get_fact, name=REFUSED_FACT))
    assert hash_of(second) == accepted


def test_a5_where_none_was_ever_accepted_there_is_none(opened, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    bridge = opened(MAPPINGS=str(empty))
    wait_for(lambda: bridge.ledger.read(in_force.get_fact, name=REFUSED_FACT))
    assert hash_of(bridge) is None


def test_a_secret_that_changes_in_its_file_is_used_without_a_restart(opened, folder, tmp_path, environ):
    secret = tmp_path / "secrets"
    secret.write_text(json.dumps(["the-first-made-up-secret-of-all"]))
    environ.pop("BRIDGE_SOURCES__JIRA__SECRETS")
    bridge = opened(MAPPINGS=str(folder), SOURCES__JIRA__SECRETS_FILE=str(secret))
    before = bridge.watching.connections()
    secret.write_text(json.dumps(["the-second-made-up-secret-of-all"]))
    wait_for(lambda: bridge.watching.connections() is not before)


def test_a5_a_set_in_force_that_this_version_cannot_read_leaves_no_older_one_in_force(opened, folder):
    bridge = opened(MAPPINGS=str(folder))
    wait_for(lambda: hash_of(bridge))
    bridge.ledger.write(in_force.accept_mapping_set, set_hash="f" * 64, texts=UNREADABLE, by="newer")
    wait_for(lambda: hash_of(bridge) is None)
    assert bridge.watching.look_up() is None


@pytest.mark.parametrize("good", [True, False])
def test_a5_files_that_the_ledger_did_not_take_at_once_count_when_it_does(opened, folder, good):
    bridge = opened(MAPPINGS=str(folder))
    wait_for(lambda: hash_of(bridge))
    before, changed = hash_of(bridge), folder / "jira-teams-cache.yaml"
    with capture_logs() as lines, bridge.ledger.alone():
        changed.write_text(changed.read_text() + ("# another\n" if good else "nothing: known\n"))
        wait_for(lambda: any(line["event"] == "watching.ledger_unavailable" for line in lines))
        assert hash_of(bridge) == before
    if good:
        wait_for(lambda: hash_of(bridge) not in {None, before})
        assert bridge.ledger.read(in_force.mapping_set_in_force) == hash_of(bridge)
    else:
        wait_for(lambda: "nothing" in (bridge.ledger.read(in_force.get_fact, name=REFUSED_FACT) or ""))
        assert hash_of(bridge) == before
