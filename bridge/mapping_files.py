"""Reads the folder of mappings, its catalogue and its samples, and notices when they have changed.

It must not understand the language: what it returns are names and texts.
"""

import json
import stat
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import ConfigurationError
from bridge.mapping.language import MappingTexts
from bridge.models import Json

SIZE_LIMIT = 1024 * 1024
# Rule A5: two scans this far apart must agree, so that a half-copied folder is never taken.
SETTLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingFiles:
    """What stands in the folder. `warnings` are about who may write it."""

    texts: MappingTexts
    directory: Path
    warnings: tuple[str, ...] = ()

    def sample(self, payload: str) -> Json:
        """Return a sample delivery; raise ConfigurationError where it is unreadable or outside the folder."""
        root = self.directory.resolve()
        try:
            path = (root / payload).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            # Links that lead back to themselves, or characters that no name of a file may have here.
            raise ConfigurationError((f"{payload!r} leads to no file (correct it)",)) from error
        if not path.is_relative_to(root):
            raise ConfigurationError((f"'{payload}' is outside the folder of the mappings (move it there)",))
        problems: list[str] = []
        text = _text(path, f"'{payload}'", problems)
        if problems:
            raise ConfigurationError(tuple(problems))
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError((f"'{payload}' is not JSON: {error} (correct it)",)) from None


def read(directory: Path, catalogue: Path) -> MappingFiles:
    """Return the catalogue and every other *.yaml; raise ConfigurationError with every problem."""
    if not directory.is_dir():
        raise ConfigurationError(
            (f"{directory}: there is no such folder (create it, or correct the setting)",)
        )
    names = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    problems = [
        f"{_name(path)}: would not be read (rename it to {path.stem}.yaml)"
        for path in names
        if path.suffix == ".yml"
    ]
    own = [path for path in names if path.suffix == ".yaml" and not _same(path, catalogue)]
    mappings = tuple((_name(path), _text(path, _name(path), problems)) for path in own)
    texts = MappingTexts(
        catalogue=(_name(catalogue), _text(catalogue, _name(catalogue), problems)), mappings=mappings
    )
    if problems:
        raise ConfigurationError(tuple(problems))
    return MappingFiles(texts=texts, directory=directory, warnings=_ownership(directory, own, catalogue))


class Watcher:
    """Tells of changed files once they have settled (rule A5). It holds what it saw last, nothing else."""

    def __init__(self, directory: Path, catalogue: Path, *, known: str | None = None) -> None:
        """`known` is the hash of the set that is already in force, where there is one."""
        self._directory = directory
        self._catalogue = catalogue
        self._told: str | tuple[str, ...] | None = known
        self._seen: str | tuple[str, ...] | None = None
        self._seen_at = 0.0

    def poll(self, now: float) -> MappingFiles | None:
        """Return new files when two scans a second apart agree, each state once; `now` is monotonic seconds.

        Raises ConfigurationError, once too, where the files that settled cannot be read.
        """
        if self._seen is not None and now - self._seen_at < SETTLE_SECONDS:
            return None
        found, state = self._scan()
        settled = state == self._seen
        self._seen, self._seen_at = state, now
        if not settled or state == self._told:
            return None
        self._told = state
        if isinstance(found, ConfigurationError):
            raise found
        return found

    @property
    def is_settling(self) -> bool:
        """Say whether the files have changed and a second scan is due to tell that they have settled."""
        return self._seen != self._told

    def _scan(self) -> tuple[MappingFiles | ConfigurationError, str | tuple[str, ...]]:
        try:
            files = read(self._directory, self._catalogue)
        except ConfigurationError as error:
            return error, error.problems
        except OSError as error:
            problem = f"{self._directory}: cannot be read: {error.strerror} (check its permissions)"
            return ConfigurationError((problem,)), (problem,)
        return files, files.texts.hash


def _name(path: Path) -> str:
    """Return how messages name a file: with its folder, wherever that stands on this machine."""
    return f"{path.absolute().parent.name}/{path.name}"


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _text(path: Path, name: str, problems: list[str]) -> str:
    """Return the text of a file, or an empty one after noting why there is none."""
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        problems.append(f"{name}: cannot be read: {error.strerror} (check its name and permissions)")
        return ""
    if len(raw) > SIZE_LIMIT:
        problems.append(f"{name}: is larger than 1 MiB (split it into several files)")
        return ""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        problems.append(f"{name}:{line}:{column}: not UTF-8 (save the file as UTF-8)")
        return ""


def _ownership(directory: Path, mappings: list[Path], catalogue: Path) -> tuple[str, ...]:
    """Warn where who may write mappings may write the catalogue, its file or its folder, as well."""
    editors = _writers(directory).union(*(_writers(path) for path in mappings))
    owners = _writers(catalogue) | _writers(catalogue.parent)
    if not editors & owners:
        return ()
    way_out = "keep it in a folder of another owner"
    return (f"{_name(catalogue)}: whoever can write mappings can write the catalogue ({way_out})",)


def _writers(path: Path) -> frozenset[str]:
    """Return who may write a file or folder: its owner, its group, or everyone."""
    found = path.stat()
    writers = {f"user {found.st_uid}"} if found.st_mode & stat.S_IWUSR else set()
    if found.st_mode & stat.S_IWGRP:
        writers.add(f"group {found.st_gid}")
    if found.st_mode & stat.S_IWOTH:
        writers.add("everyone")
    return frozenset(writers)
