"""The language server behind YAML editors, asked as an editor asks it, over the schemas as published."""

import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self

import pytest
from flask import Flask
from werkzeug.serving import make_server

from bridge.models import Json
from bridge.web import schemas

HERE = Path(__file__).parent
GUIDE = HERE.parents[1] / "docs" / "mapping-guide.md"
INSTALL_SECONDS = 300
ANSWER_SECONDS = 60.0
# What npm and the server need of this environment; its proxy must not be asked for what is here.
KEPT = ("PATH", "HOME", "LANG", "NODE_EXTRA_CA_CERTS", "npm_config_registry", "npm_config_cache")


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in KEPT if name in os.environ}


def _install(home: Path) -> None:
    """Have npm install what the lock names; what is there in part is never taken for the whole."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as made:
        folder = Path(made) / "whole"
        folder.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
        )
        try:
            folder.rename(home)
        except OSError:
            # Another process of the tests was sooner.
            assert home.exists()


@pytest.fixture(scope="session")
def server_script() -> Path:
    """Return the server's script; npm installs it once for each lock, outside the checkout."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(
                f"{program} is not installed: the schemas are not tried in an editor's language server"
            )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:12]
    home = cache / "nexthink-ticket-bridge" / f"editor-{lock}"
    if not home.exists():
        try:
            _install(home)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            reason = f"npm could not install yaml-language-server: {getattr(error, 'stderr', None) or error}"
            # Where everything is checked, a server that npm should have brought must not be missing unseen.
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
    return home / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"


@pytest.fixture(scope="session")
def published() -> Iterator[str]:
    """The address at which the bridge's own routes publish the schemas."""
    app = Flask(__name__)
    app.register_blueprint(schemas.blueprint())
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)
    server.server_close()


@dataclass
class Editor:
    """An editor with a folder open: it tells the server of files, and asks at a place of one.

    `settings` are those of the server by their section, which it asks for. `marked` are the problems that it
    marks in each file.
    """

    process: "subprocess.Popen[bytes]"
    folder: Path
    settings: dict[str, Json]
    answers: "Queue[Json]" = field(default_factory=Queue)
    marked: dict[str, list[Json]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self.ask("shutdown", None)
        self.tell("exit", None)
        self.process.wait(20)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def tell(self, method: str, params: Json) -> None:
        self._write({"method": method, "params": params})

    def ask(self, method: str, params: Json) -> Json:
        number = next(self.numbers)
        self._write({"id": number, "method": method, "params": params})
        return self._until(lambda said: said.get("id") == number and "method" not in said)["result"]

    def open(self, name: str, text: str) -> str:
        """Open a file, and return by which address it is asked about, once the server has looked."""
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        document = {"uri": file.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})
        self._until(lambda _said: file.as_uri() in self.marked)
        return file.as_uri()

    def offered(self, uri: str, line: int, character: int) -> dict[str, Json]:
        """Return what is offered for completion at a place; lines count from 0."""
        answer = self.ask("textDocument/completion", _at(uri, line, character))
        items = answer["items"] if isinstance(answer, dict) else answer
        return {item["label"]: item for item in items}

    def hovered(self, uri: str, line: int, character: int) -> str:
        """Return what is shown for what stands at a place."""
        answer = self.ask("textDocument/hover", _at(uri, line, character))
        assert answer is not None
        return json.dumps(answer["contents"])

    def _until(self, wanted: Callable[[Json], bool]) -> Json:
        while True:
            try:
                said = self.answers.get(timeout=ANSWER_SECONDS)
            except Empty:
                pytest.fail("the language server fell silent")
            if said.get("method") == "textDocument/publishDiagnostics":
                self.marked[said["params"]["uri"]] = said["params"]["diagnostics"]
            if wanted(said):
                return said

    def _write(self, message: Json) -> None:
        assert self.process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def _listen(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while header := stream.readline():
            length = re.match(rb"Content-Length: (\d+)", header)
            if length is None:
                continue
            while stream.readline().strip():
                pass
            said = json.loads(stream.read(int(length[1])))
            if "method" in said and "id" in said:
                self._write({"id": said["id"], "result": self._answer(said)})
            else:
                self.answers.put(said)

    def _answer(self, asked: Json) -> Json:
        """Return what an editor answers the server: its settings, and a nod to all else."""
        if asked["method"] != "workspace/configuration":
            return None
        return [self.settings.get(item["section"]) for item in asked["params"]["items"]]


def _at(uri: str, line: int, character: int) -> Json:
    return {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}


@pytest.fixture(scope="session")
def documented(published: str) -> Json:
    """Return the settings of the YAML extension as the guide gives them, for the address of here."""
    (snippet,) = re.findall(r"```json\n(\{\n  \"yaml\.schemas\".*?)```", GUIDE.read_text(), re.DOTALL)
    settings: Json = json.loads(snippet.replace("https://bridge.example.com", published))
    return settings


@pytest.fixture
def editor(server_script: Path, documented: Json, tmp_path: Path) -> Iterator[Editor]:
    """An editor with a folder open, set up as the guide says."""
    process = subprocess.Popen(
        ["node", str(server_script), "--stdio"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    )
    # Nothing but what the bridge publishes is fetched: the catalogue of public schemas stays shut.
    yaml: dict[str, Any] = {
        "schemaStore": {"enable": False},
        "validate": True,
        "hover": True,
        "completion": True,
    }
    yaml |= {name.removeprefix("yaml."): value for name, value in documented.items()}
    with Editor(process=process, folder=tmp_path, settings={"yaml": yaml}) as opened:
        hover = {"hover": {"contentFormat": ["markdown"]}}
        completion = {"completion": {"completionItem": {"documentationFormat": ["markdown"]}}}
        opened.ask(
            "initialize",
            {
                "processId": None,
                "rootUri": tmp_path.as_uri(),
                "workspaceFolders": [{"uri": tmp_path.as_uri(), "name": "work"}],
                "capabilities": {"textDocument": {**hover, **completion}},
            },
        )
        opened.tell("initialized", {})
        opened.tell("workspace/didChangeConfiguration", {"settings": {}})
        yield opened
