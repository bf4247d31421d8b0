"""The house rules that a tool can see: what a module may hold, and what a pure package may call."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import logs

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "bridge").rglob("*.py"))
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
(PURE,) = (
    contract["source_modules"] for contract in CONTRACTS if contract["name"].startswith("Pure packages")
)
VAGUE = {"utils", "util", "helpers", "common", "manager", "service", "base", "core", "processor", "misc"}
MIGRATIONS = ROOT / "bridge" / "ledger" / "migrations"


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def is_pure(path: Path) -> bool:
    return "bridge." + path.relative_to(ROOT / "bridge").parts[0].removesuffix(".py") in PURE


def all_modules() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", MODULES, ids=name_of)


# ── what a module may hold ───────────────────────────────────────────────────────────────────────────────


@all_modules()
def test_a_module_says_what_it_is_for_and_what_it_must_not_do(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, "no docstring"
    if path.is_relative_to(MIGRATIONS) or path.name in {"__init__.py", "__main__.py"}:
        return
    assert re.search(r"\bnot\b|\bnever\b|\bno\b|\bnor\b", docstring), "the docstring sets no limit"


@all_modules()
def test_a_module_is_under_300_lines(path: Path) -> None:
    # The vocabulary is one file so that it is read as one; it has no behaviour to take apart.
    if path != ROOT / "bridge" / "models.py":
        assert len(path.read_text().splitlines()) < 300


def test_no_file_has_a_name_that_says_nothing() -> None:
    names = {part.removesuffix(".py") for path in MODULES for part in path.relative_to(ROOT).parts}
    assert not names & VAGUE


# Calls at module level that make a constant, a type, a logger or a door for decorators, and no state.
_CONSTANT_MAKERS = {
    # SQL of the ledger: conditions and statements are values, and never change.
    "is_in",
    "limit",
    "order_by",
    "returning",
    "select",
    "where",
    "Blueprint",
    "Column",
    "Final",
    "Index",
    "MappingProxyType",
    "MetaData",
    "NewType",
    "ParamSpec",
    "Path",
    "SecretStr",
    "Table",
    "TypeAdapter",
    "TypeVar",
    "bytes",
    "compile",
    "datetime",
    "extend",
    "files",
    "frozenset",
    "get_logger",
    "getLogger",
    "ip_network",
    "join",
    "maketrans",
    "range",
    "text",
    "locking",
    "on_each",
    "inline",
    "timedelta",
    "tuple",
    "with_variant",
}


def _own_state(tree: ast.Module) -> Iterator[str]:
    names = [name for statement in tree.body for name in _assigned(statement)]
    for name, value in names:
        if name.startswith("__"):
            continue
        if isinstance(value, ast.Call) and _called(value) not in _CONSTANT_MAKERS and not _is_value(value):
            yield f"{name} = {_called(value)}(…)"
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield f"global {', '.join(node.names)}"


def _assigned(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            if isinstance(target, ast.Name):
                yield target.id, statement.value
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
        yield statement.target.id, statement.value


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "?")


def _is_value(call: ast.Call) -> bool:
    """Say whether a class of ours is made with keywords only: a frozen value."""
    return _called(call)[:1].isupper() and not call.args and bool(call.keywords)


def _changed_displays(tree: ast.Module) -> Iterator[str]:
    """Yield every module-level list, dictionary or set that some code in the module changes."""
    displays = {
        name
        for statement in tree.body
        for name, value in _assigned(statement)
        if isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)
    }
    changing = {"append", "add", "update", "setdefault", "pop", "clear", "extend", "insert", "remove"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in changing:
            target = node.func.value
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            target = node.value
        else:
            continue
        if isinstance(target, ast.Name) and target.id in displays:
            yield target.id


@all_modules()
def test_nothing_but_constants_loggers_and_types_exists_at_module_level(path: Path) -> None:
    if path.is_relative_to(MIGRATIONS) or path.name == "__main__.py":
        return
    tree = ast.parse(path.read_text())
    assert not [*_own_state(tree), *_changed_displays(tree)]


@pytest.mark.parametrize(
    "code",
    [
        "cache = Cache()",
        "lock = threading.Lock()",
        "seen: set[str] = set()",
        "def f():\n    global x\n    x = 1",
        "seen = []\ndef f(x):\n    seen.append(x)",
        "seen = {}\ndef f(x):\n    seen[x] = 1",
    ],
)
def test_state_at_module_level_is_seen(code: str) -> None:
    tree = ast.parse(code)
    assert [*_own_state(tree), *_changed_displays(tree)]


# ── what a pure package may call ─────────────────────────────────────────────────────────────────────────

_EFFECTS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("http", "client"),
    ("urllib", "request"),
}


def effects(tree: ast.Module) -> Iterator[str]:
    """Yield what the import contracts cannot see: parts of allowed modules, and built-in functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in _EFFECTS:
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if tuple(alias.name.split(".")) in _EFFECTS)
        elif isinstance(node, ast.ImportFrom):
            parts = tuple((node.module or "").split("."))
            yield from (".".join(parts) for effect in _EFFECTS if parts == effect)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"open", "input", "print"}:
            yield getattr(node.func, "id", "")


@pytest.mark.parametrize("path", [path for path in MODULES if is_pure(path)], ids=name_of)
def test_a_pure_module_reads_no_clock_and_no_file(path: Path) -> None:
    assert not list(effects(ast.parse(path.read_text())))


@pytest.mark.parametrize(
    "code",
    ["datetime.now(UTC)", "import urllib.request", "from http.client import HTTPMessage", "open(x)"],
)
def test_an_effect_is_seen(code: str) -> None:
    assert list(effects(ast.parse(code)))


def test_every_import_stays_within_the_contracts() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout


# ── logs ─────────────────────────────────────────────────────────────────────────────────────────────────

_LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def _log_calls(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in {"log", "logger", "_log"}
            and node.func.attr in _LEVELS
        ):
            yield node


@all_modules()
def test_what_is_logged_is_a_constant_name_and_known_keys(path: Path) -> None:
    for call in _log_calls(ast.parse(path.read_text())):
        (event,) = call.args
        assert isinstance(event, ast.Constant), f"line {call.lineno}: the event is not a constant"
        assert re.fullmatch(r"[a-z][a-z0-9_.]{0,63}", event.value), f"line {call.lineno}: {event.value}"
        keys = {keyword.arg for keyword in call.keywords}
        assert None not in keys, f"line {call.lineno}: keys from a dictionary"
        assert keys - {"exc_info"} <= logs.KNOWN_KEYS, f"line {call.lineno}: a key that logs drop"
