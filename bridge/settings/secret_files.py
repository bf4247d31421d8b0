"""Reads the files that hold secrets, and says when one may have changed.

It must not know what a secret is for, nor put any part of a file's text into a problem.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_MAX_BYTES = 65_536

Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """The variables with the secrets of their files put in, and what was wrong."""

    variables: Mapping[str, str]
    problems: tuple[str, ...]
    files: tuple[Path, ...]


def stamp(path: Path) -> Stamp:
    """Return what changes when a file is written or replaced; None where it cannot be seen."""
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_ino, seen.st_size, seen.st_mtime_ns


def fill(variables: Mapping[str, str], file_settings: frozenset[str]) -> Filled:
    """Read the file of every variable named in `file_settings` into the variable without `_FILE`."""
    filled = dict(variables)
    problems: list[str] = []
    files: list[Path] = []
    for name in sorted(file_settings & variables.keys()):
        target = name.removesuffix("_FILE")
        files.append(Path(variables[name]))
        if target in variables:
            problems.append(f"{name}: {target} is set too (remove one of them)")
            continue
        try:
            text = _read(files[-1])
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            problems.append(f"{name}: the file cannot be used: {reason}")
            # Any text will do: the problem is told, and the setting is not called missing as well.
            text = "unreadable"
        filled[target] = _as_list(text) if target.endswith("__SECRETS") else text
    return Filled(variables=filled, problems=tuple(problems), files=tuple(files))


def _read(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise ValueError("it is over 64 KiB")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    text = text.rstrip("\r\n")
    if not text.strip():
        raise ValueError("it is empty")
    return text


def _as_list(text: str) -> str:
    if text.lstrip().startswith("["):
        return text
    return json.dumps([line.strip() for line in text.splitlines() if line.strip()])
