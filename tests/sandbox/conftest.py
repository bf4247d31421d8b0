"""A running sandbox, and clients that speak to it over real sockets."""

import json
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Self
from urllib.parse import urlsplit

import pytest

from bridge.sandbox import credentials as known
from bridge.sandbox.client import NexthinkControl, TicketControl
from bridge.sandbox.running import Sandbox

ACT_AUTH = known.basic(known.NEXTHINK_USERNAME, known.NEXTHINK_PASSWORD)


class Answer:
    """A whole answer, with its body parsed where it is JSON."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    base: str,
    method: str,
    path: str,
    *,
    body: Any = None,
    headers: dict[str, str] | None = None,
    timeout: float = 10,
) -> Answer:
    """Send one request on a connection of its own; JSON unless `body` is bytes."""
    parts = urlsplit(base)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", "Accept": "application/json"} | (headers or {})
    try:
        connection.request(method, path, body=data, headers={k: v for k, v in sent.items() if v})
        response = connection.getresponse()
        got = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, got, response.read())
    finally:
        connection.close()


class Receiver:
    """A real HTTP server that keeps what it was sent and answers the statuses that it was given, then 200."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.lock:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    receiver.seen.append((self.path, headers, body))
                    status = receiver.statuses.pop(0) if receiver.statuses else 200
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks/x"
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    """The one running sandbox, as good as new."""
    for url in (running.nexthink_url, running.jira_url, running.servicenow_url):
        NexthinkControl(url=url).reset()
    return running


@pytest.fixture
def nexthink(sandbox: Sandbox) -> NexthinkControl:
    return NexthinkControl(url=sandbox.nexthink_url)


@pytest.fixture
def jira(sandbox: Sandbox) -> TicketControl:
    return TicketControl(url=sandbox.jira_url)


@pytest.fixture
def servicenow(sandbox: Sandbox) -> TicketControl:
    return TicketControl(url=sandbox.servicenow_url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def request_() -> Callable[..., Answer]:
    return ask


@pytest.fixture
def run(nexthink: NexthinkControl) -> Callable[..., Answer]:
    """Make an Act call; keywords replace fields of a valid body, `raw` replaces the whole body."""

    def call(
        *, raw: Any = None, headers: dict[str, str] | None = None, timeout: float = 10, **fields: Any
    ) -> Answer:
        body = {
            "requestUid": "run-1",
            "remoteActionUid": "07844969-1889-4de3-9026-020af94be855",
            "deviceUids": [device_uid(nexthink, "WS-ABC-12345")],
            "timeoutSeconds": 60,
        } | fields
        given = {"Authorization": ACT_AUTH} | (headers or {})
        wanted = {key: value for key, value in body.items() if value is not ...} if raw is None else raw
        path = "/api/remoteaction/v2/run"
        return ask(nexthink.url, "POST", path, body=wanted, headers=given, timeout=timeout)

    return call


def device_uid(nexthink: NexthinkControl, name: str) -> str:
    return next(device["uid"] for device in nexthink.world()["devices"] if device["name"] == name)


def engine_uid(nexthink: NexthinkControl, name: str) -> str:
    return next(engine["uid"] for engine in nexthink.world()["engines"] if engine["name"] == name)


@pytest.fixture
def uid_of_device(nexthink: NexthinkControl) -> Callable[[str], str]:
    return lambda name: device_uid(nexthink, name)


@pytest.fixture
def uid_of_engine(nexthink: NexthinkControl) -> Callable[[str], str]:
    return lambda name: engine_uid(nexthink, name)
