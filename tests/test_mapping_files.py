"""Reading the folder of mappings, and noticing changes only when they have settled."""

from pathlib import Path

import pytest

from bridge.errors import ConfigurationError
from bridge.mapping_files import SIZE_LIMIT, Watcher, read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    directory = tmp_path / "mappings"
    directory.mkdir()
    (directory / "actions.yaml").write_text("actions")
    (directory / "one.yaml").write_text("one")
    return directory


def problems(folder: Path, catalogue: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as refused:
        read(folder, catalogue or folder / "actions.yaml")
    return refused.value.problems


def test_every_other_yaml_is_a_mapping_file(folder: Path) -> None:
    (folder / "two.yaml").write_text("two")
    (folder / ".hidden.yaml").write_text("no")
    (folder / "notes.txt").write_text("no")
    texts = read(folder, folder / "actions.yaml").texts
    assert texts.catalogue == ("mappings/actions.yaml", "actions")
    assert texts.mappings == (("mappings/one.yaml", "one"), ("mappings/two.yaml", "two"))


def test_the_catalogue_may_stand_elsewhere(folder: Path) -> None:
    elsewhere = folder.parent / "owned"
    elsewhere.mkdir()
    (folder / "actions.yaml").rename(elsewhere / "actions.yaml")
    texts = read(folder, elsewhere / "actions.yaml").texts
    assert texts.catalogue == ("owned/actions.yaml", "actions")
    assert texts.mappings == (("mappings/one.yaml", "one"),)


def test_what_cannot_be_read_is_named_all_together(folder: Path) -> None:
    (folder / "big.yaml").write_bytes(b"#" * (SIZE_LIMIT + 1))
    (folder / "latin.yaml").write_bytes("a: b\nc: ä".encode("latin-1"))
    (folder / "old.yml").write_text("a")
    (folder / "actions.yaml").unlink()
    assert problems(folder) == (
        "mappings/old.yml: would not be read (rename it to old.yaml)",
        "mappings/big.yaml: is larger than 1 MiB (split it into several files)",
        "mappings/latin.yaml:2:4: not UTF-8 (save the file as UTF-8)",
        "mappings/actions.yaml: cannot be read: No such file or directory (check its name and permissions)",
    )


def test_a_file_of_just_one_mebibyte_is_read(folder: Path) -> None:
    (folder / "big.yaml").write_bytes(b"#" * SIZE_LIMIT)
    assert len(read(folder, folder / "actions.yaml").texts.mappings) == 2


def test_a_folder_that_is_not_there_is_named(folder: Path) -> None:
    assert "there is no such folder" in problems(folder / "absent", folder / "actions.yaml")[0]


def test_a_sample_never_comes_from_outside_the_folder(folder: Path) -> None:
    (folder.parent / "secret.json").write_text("{}")
    (folder / "link.json").symlink_to(folder.parent / "secret.json")
    (folder / "own.json").write_text('{"a": 1}')
    files = read(folder, folder / "actions.yaml")
    assert files.sample("own.json") == {"a": 1}
    for outside in ("../secret.json", str(folder.parent / "secret.json"), "link.json"):
        with pytest.raises(ConfigurationError, match="outside the folder"):
            files.sample(outside)


@pytest.mark.parametrize("path", ["own\0.json", "\ud800.json", "round.json", "round.json/own.json"])
def test_a_sample_whose_path_leads_nowhere_is_a_problem_not_a_crash(folder: Path, path: str) -> None:
    (folder / "round.json").symlink_to(folder / "round.json")
    with pytest.raises(ConfigurationError, match=r"leads to no file \(correct it\)") as refused:
        read(folder, folder / "actions.yaml").sample(path)
    assert str(refused.value).isprintable()


def test_a_deeply_nested_sample_is_a_problem_not_a_crash(folder: Path) -> None:
    (folder / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ConfigurationError, match="is not JSON"):
        read(folder, folder / "actions.yaml").sample("deep.json")


def test_a_catalogue_that_mapping_editors_can_write_is_a_warning(folder: Path) -> None:
    (warning,) = read(folder, folder / "actions.yaml").warnings
    assert warning == (
        "mappings/actions.yaml: whoever can write mappings can write the catalogue "
        "(keep it in a folder of another owner)"
    )


def test_a_catalogue_that_nobody_else_can_write_is_no_warning(folder: Path) -> None:
    elsewhere = folder.parent / "owned"
    elsewhere.mkdir()
    (folder / "actions.yaml").rename(elsewhere / "actions.yaml")
    (elsewhere / "actions.yaml").chmod(0o444)
    elsewhere.chmod(0o555)
    try:
        assert read(folder, elsewhere / "actions.yaml").warnings == ()
    finally:
        elsewhere.chmod(0o755)


def test_a5_new_files_are_told_when_two_scans_a_second_apart_agree(folder: Path) -> None:
    watcher = Watcher(folder, folder / "actions.yaml")
    assert watcher.poll(10.0) is None
    assert watcher.poll(10.9) is None
    assert watcher.is_settling
    found = watcher.poll(11.0)
    assert found is not None
    assert found.texts.mappings[0] == ("mappings/one.yaml", "one")
    assert not watcher.is_settling
    assert watcher.poll(12.0) is None
    assert not watcher.is_settling


def test_a5_files_that_go_on_changing_are_not_told(folder: Path) -> None:
    watcher = Watcher(folder, folder / "actions.yaml")
    for second in range(5):
        (folder / "one.yaml").write_text(f"version {second}")
        assert watcher.poll(float(second)) is None
    found = watcher.poll(5.0)
    assert found is not None
    assert found.texts.mappings[0][1] == "version 4"


def test_a5_a_set_that_is_in_force_is_not_told_again_but_a_return_to_it_is(folder: Path) -> None:
    known = read(folder, folder / "actions.yaml").texts.hash
    watcher = Watcher(folder, folder / "actions.yaml", known=known)
    assert [watcher.poll(float(second)) for second in range(3)] == [None, None, None]
    (folder / "one.yaml").write_text("other")
    told = [watcher.poll(float(second)) for second in range(3, 6)]
    assert [found is not None for found in told] == [False, True, False]
    (folder / "one.yaml").write_text("one")
    told = [watcher.poll(float(second)) for second in range(6, 9)]
    assert [found is not None for found in told] == [False, True, False]


def test_files_that_cannot_be_read_are_told_once_and_again_when_good(folder: Path) -> None:
    watcher = Watcher(folder, folder / "actions.yaml")
    (folder / "one.yaml").write_bytes(b"\xff")
    assert watcher.poll(0.0) is None
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        watcher.poll(1.0)
    assert watcher.poll(2.0) is None
    (folder / "one.yaml").write_text("good")
    assert watcher.poll(3.0) is None
    assert watcher.poll(4.0) is not None
