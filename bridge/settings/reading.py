"""Reads the environment, an optional file of variables and the secret files into `Settings`.

It must not repeat a value in a problem, nor report only the first problem.
"""

import difflib
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog
from dotenv.parser import parse_stream
from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource

from bridge.errors import ConfigurationError
from bridge.settings import combinations, secret_files
from bridge.settings.describing import GROUPS, PREFIX, describe
from bridge.settings.model import Settings

_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
_MAX_NAME = 40
_OF_FOLDER = (f"{PREFIX}MAPPINGS", f"{PREFIX}CATALOGUE")

log = structlog.get_logger(__name__)


class _Given(EnvSettingsSource):
    """The variables of a given mapping rather than of the process."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str]) -> None:
        self._variables = variables
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._variables.items()}


def read_settings(environ: Mapping[str, str], env_file: Path | None = None) -> Settings:
    """Return the settings; raise ConfigurationError with every problem, each by its variable's full name.

    `environ` wins over `env_file`, which is read where it exists. Variables that do not start with BRIDGE_
    are ignored, and empty ones count as not set.
    """
    return _read(environ, env_file)[0]


def read_folder(environ: Mapping[str, str], env_file: Path | None = None) -> Settings:
    """Return settings that say where the mapping files stand, and nothing else of what is given.

    Raises ConfigurationError as `read_settings`, but for settings that it does not look at.
    """
    from_file, problems = _variables_of(env_file)
    if problems:
        raise ConfigurationError(tuple(problems))
    given = _ours(from_file) | _ours(environ)
    return read_settings({name: given[name] for name in _OF_FOLDER if name in given})


class LiveSettings:
    """The settings in force, read again when a secret file changes; safe to ask from any thread."""

    def __init__(self, environ: Mapping[str, str], env_file: Path | None = None) -> None:
        """Read the settings; raise ConfigurationError where they cannot be used."""
        self._environ = dict(environ)
        self._env_file = env_file
        self._lock = threading.Lock()
        self._settings, self._files = _read(self._environ, env_file)
        self._stamps = self._seen()
        self._problems: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files that hold secrets: that of variables, where there is one, and those it names."""
        variables = () if self._env_file is None or not self._env_file.exists() else (self._env_file,)
        return (*variables, *self._files)

    @property
    def problems(self) -> tuple[str, ...]:
        """Return why changed secret files were refused; empty while they are in force."""
        return self._problems

    def current(self) -> Settings:
        """Return the settings; where a changed file cannot be used, the last good ones stay in force."""
        seen = self._seen()
        with self._lock:
            if seen != self._stamps:
                self._stamps = seen
                self._read_again()
            return self._settings

    def _read_again(self) -> None:
        try:
            self._settings, _ = _read(self._environ, self._env_file)
        except ConfigurationError as error:
            self._problems = error.problems
            for problem in error.problems:
                log.error("settings.refused", setting=problem.partition(":")[0])  # noqa: TRY400 - no trace helps
        else:
            self._problems = ()
            log.info("settings.read_again")

    def _seen(self) -> tuple[secret_files.Stamp, ...]:
        return tuple(secret_files.stamp(path) for path in self._files)


def _read(environ: Mapping[str, str], env_file: Path | None) -> tuple[Settings, tuple[Path, ...]]:
    from_file, problems = _variables_of(env_file)
    given = _ours(from_file) | _ours(environ)
    patterns = {doc.name for doc in describe()}
    file_settings = {f"{doc.name}_FILE" for doc in describe() if doc.secret} & patterns
    unknown = {name: problem for name in given if (problem := _unknown(name, patterns))}
    problems += unknown.values()
    known = {name: value for name, value in given.items() if name not in unknown}
    filled = secret_files.fill(known, frozenset(name for name in known if _pattern(name) in file_settings))
    problems += filled.problems
    raw = _nested(filled.variables)
    problems += _combination_problems(raw)
    settings = None
    try:
        settings = Settings(**raw)
    except ValidationError as error:
        problems += _value_problems(error, raw)
    if problems or settings is None:
        # No cause: pydantic's own error holds the values.
        raise ConfigurationError(tuple(dict.fromkeys(problems)))
    return settings, filled.files


def _variables_of(env_file: Path | None) -> tuple[dict[str, str], list[str]]:
    if env_file is None or not env_file.exists():
        return {}, []
    try:
        with env_file.open(encoding="utf-8") as lines:
            bindings = tuple(parse_stream(lines))
    except (OSError, UnicodeDecodeError) as error:
        return {}, [f"{env_file}: cannot be read ({type(error).__name__})"]
    problems = [
        f"{env_file}:{binding.original.line}: cannot be read (write NAME=value, in quotes if need be)"
        for binding in bindings
        if binding.error
    ]
    return {binding.key: binding.value or "" for binding in bindings if binding.key}, problems


def _ours(variables: Mapping[str, str]) -> dict[str, str]:
    return {
        name.upper(): value for name, value in variables.items() if name.upper().startswith(PREFIX) and value
    }


def _pattern(name: str) -> str:
    """Return a variable's name as the documentation writes it: BRIDGE_SOURCES__<NAME>__KIND."""
    group, *rest = name.removeprefix(PREFIX).split("__", 2)
    if group in GROUPS and len(rest) == 2:
        return f"{PREFIX}{group}__<NAME>__{rest[1]}"
    return name


def _unknown(name: str, patterns: set[str]) -> str | None:
    pattern = _pattern(name)
    chosen = name.removeprefix(PREFIX).split("__", 2)[1] if "<NAME>" in pattern else ""
    if chosen and (len(chosen) > _MAX_NAME or not _NAME.fullmatch(chosen)):
        return f"{name}: the name in the middle must be letters, digits and single underscores, at most 40"
    if pattern in patterns:
        return None
    near = difflib.get_close_matches(pattern, patterns, n=1, cutoff=0.5)
    hint = f"did you mean {near[0].replace('<NAME>', chosen or '<NAME>')}?" if near else "remove it"
    return f"{name}: no such setting ({hint})"


def _nested(variables: Mapping[str, str]) -> dict[str, Any]:
    raw = _Given(Settings, variables)()
    for group in GROUPS:
        members = raw.get(group.lower(), {})
        raw[group.lower()] = tuple({**members[name], "name": name} for name in sorted(members))
    return raw


def _combination_problems(raw: Mapping[str, Any]) -> Iterator[str]:
    for setting, problem in combinations.of_bridge(raw):
        yield f"{PREFIX}{setting.upper()}: {problem}"
    for group, judge in zip(GROUPS, (combinations.of_source, combinations.of_portal), strict=True):
        for member in raw[group.lower()]:
            for setting, problem in judge(member):
                yield f"{PREFIX}{group}__{member['name'].upper()}__{setting.upper()}: {problem}"


def _value_problems(error: ValidationError, raw: Mapping[str, Any]) -> Iterator[str]:
    for entry in error.errors(include_url=False, include_context=False, include_input=False):
        where = entry["loc"]
        parts = [str(where[0])]
        if len(where) > 2 and isinstance(where[1], int):
            parts += [raw[parts[0]][where[1]]["name"], str(where[2])]
        name = f"{PREFIX}{'__'.join(parts).upper()}"
        text = entry["msg"].removeprefix("Value error, ").replace("Input should ", "must ")
        yield f"{name}: {'is required' if entry['type'] == 'missing' else text}"
