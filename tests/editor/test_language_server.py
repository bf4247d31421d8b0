"""Whoever writes mappings in an editor is offered the keys, told what they mean, and shown what is wrong."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "mappings"
SCHEMAS = HERE.parents[1] / "bridge" / "mapping"
# Mappings begin in line 5, counted from 0 as editors do.
BEGUN = """version: 1
defaults:
  source: jira
mappings:
  - id: office
    events: [updated]
    when: [{field: ticket.project, equals: SUP}]
    """


def test_the_keys_of_a_mapping_are_offered_with_what_they_mean(editor: Any) -> None:
    offered = editor.offered(editor.open("mappings/new.yaml", BEGUN), 7, 4)
    assert {"action", "devices", "params", "limits", "approval", "repeat", "mode", "comment"} <= set(offered)
    assert "id" not in offered
    assert "remote action" in json.dumps(offered["action"]["documentation"])


def test_the_values_of_a_key_are_offered(editor: Any) -> None:
    uri = editor.open("mappings/new.yaml", f"{BEGUN}mode: \n")
    assert {"live", "shadow", "announce"} <= set(editor.offered(uri, 7, 10))


def test_the_keys_of_an_action_are_offered_in_the_catalogue(editor: Any) -> None:
    text = "version: 1\nactions:\n  repair-office:\n    title: Repair\n    "
    offered = editor.offered(editor.open("mappings/actions.yaml", text), 4, 4)
    assert {"uid", "devices", "params"} <= set(offered)
    assert "when" not in offered


def test_what_a_key_means_is_shown_where_the_pointer_rests(editor: Any) -> None:
    uri = editor.open("mappings/new.yaml", f"{BEGUN}repeat: never\n")
    schema = json.loads((SCHEMAS / "mappings.schema.json").read_text())
    meaning = schema["$defs"]["repeat"]["description"]
    shown = "".join(letter for letter in editor.hovered(uri, 7, 6) if letter.isalnum())
    assert "".join(letter for letter in meaning[:60] if letter.isalnum()) in shown


@pytest.mark.parametrize(
    ("lines", "line", "word"),
    [
        ("action: repair-office\n    devises: {from: fields.x}\n", 8, "devises"),
        ("action: repair-office\n    devices: {from: fields.x}\n    mode: alive\n", 9, "alive"),
    ],
)
def test_what_is_wrong_is_marked_where_it_stands(editor: Any, lines: str, line: int, word: str) -> None:
    text = BEGUN + lines
    marked = editor.marked[editor.open("mappings/new.yaml", text)]
    places = {
        each["range"]["start"]["line"]: text.splitlines()[each["range"]["start"]["line"]] for each in marked
    }
    assert line in places, marked
    assert word in places[line]


@pytest.mark.parametrize("by", ["their first line", "the settings"])
def test_nothing_is_marked_in_the_files_that_are_shipped(editor: Any, by: str, tmp_path: Path) -> None:
    own = tmp_path / "bridge" / "mapping"
    own.mkdir(parents=True)
    for schema in SCHEMAS.glob("*.schema.json"):
        shutil.copy(schema, own)
    for file in sorted(SHIPPED.glob("*.yaml")):
        first, _, rest = file.read_text().partition("\n")
        assert first.startswith("# yaml-language-server: $schema=../bridge/mapping/")
        named = f"{first if by == 'their first line' else ''}\n{rest}"
        assert editor.marked[editor.open(f"mappings/{file.name}", named)] == [], file.name


def test_the_lock_names_one_version_and_no_place_to_load_from() -> None:
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    packages = json.loads((HERE / "package-lock.json").read_text())["packages"]
    assert packages["node_modules/yaml-language-server"]["version"] == wanted["yaml-language-server"]
    installed = {name: each for name, each in packages.items() if name}
    assert all(each["integrity"].startswith("sha512-") for each in installed.values())
    assert not [name for name, each in installed.items() if "resolved" in each]
