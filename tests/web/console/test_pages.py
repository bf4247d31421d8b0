"""The page: off unless it is turned on, read-only, and everything on it is escaped and harmless."""

import hashlib
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import Reason
from bridge.ledger import people
from bridge.ledger.people import Act
from bridge.models import CallResult, CallState, PauseScope, Run, RunState
from bridge.web.console.access import Role, needs

ROOT = Path(__file__).resolve().parents[3]


class Elements(HTMLParser):
    """Every element with its attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def run(web: Any, sender: Any, work: Callable[..., Run]) -> Run:
    """A run that was answered, for a ticket whose texts try to break out."""
    _, body = sender.created(
        summary="canary-payload <script>alert(1)</script>",
        customfield_10050={"value": "Clear Teams cache"},
        customfield_10051="WS-ABC-12345",
        reporter={"accountId": "1", "displayName": "<img src=x onerror=alert(1)>"},
    )
    web.post(body)
    return work(web.ledger)


@pytest.fixture(scope="module")
def pages(run: Run) -> dict[str, str]:
    return {
        "overview": "/",
        "week": "/?last=week&live=off",
        "run": f"/runs/{run.id}",
        "delivery": f"/deliveries/{run.delivery}",
        "missing": "/runs/r000000000000",
        "runs": "/runs?device=WS-ABC-12345",
        "no list": "/runs?state=odd%3Cb%3E",
        "deliveries": "/deliveries?live=off",
        "ticket": f"/tickets/{run.ticket.key}",
        "other ticket": "/tickets/SUP-1",
    }


PAGES = (
    "overview",
    "week",
    "run",
    "delivery",
    "missing",
    "runs",
    "no list",
    "deliveries",
    "ticket",
    "other ticket",
)


@pytest.mark.parametrize("page", PAGES)
def test_nothing_on_a_page_runs_or_is_loaded_from_elsewhere(
    web: Any, pages: dict[str, str], page: str
) -> None:
    response = web.get(pages[page])
    content = Elements(response.text)
    assert not content.all("style") + content.all("iframe") + content.all("img")
    assert content.all("script") == [{"src": "/static/htmx.min.js", "defer": None}]
    for tag, attributes in content.found:
        assert not {name for name in attributes if name.startswith("on") or name == "style"}, tag
        for target in (attributes.get("href"), attributes.get("src"), attributes.get("action")):
            assert target is None or target.startswith(("/", "#", "http://127.0.0.1:9/browse/")), target
    assert "canary" not in response.text
    assert response.headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


@pytest.mark.parametrize("path", ["/", "/livez", "/health", "/metrics", "/nothing", "/webhooks/jira"])
def test_every_response_carries_the_security_headers(web: Any, path: str) -> None:
    headers = web.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize("page", PAGES)
def test_every_page_can_be_read_by_everybody(web: Any, pages: dict[str, str], page: str) -> None:
    content = Elements(web.get(pages[page]).text)
    assert content.all("html") == [{"lang": "en"}]
    assert len(content.all("h1")) == 1
    assert len(content.all("caption")) == len(content.all("table"))
    assert all(cell.get("scope") in {"row", "col"} for cell in content.all("th"))
    identifiers = [attributes["id"] for _, attributes in content.found if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    fields = [field.get("id") for tag, field in content.found if tag in {"input", "select"}]
    assert fields == [label.get("for") for label in content.all("label")]
    assert all(re.search(r"[+-]\d\d:\d\d$", str(time["datetime"])) for time in content.all("time"))


def test_a_run_shows_its_whole_story(web: Any, run: Run) -> None:
    text = Elements(web.get(f"/runs/{run.id}").text).text
    for word in (
        run.ticket.key,
        "Clear the Teams cache",
        "received",
        "attempt 1 begins",
        "attempt 1 is answered",
        "engine-paris",
        "accepted",
        "engine-<b>boston</b>",
        "not connected",
        "(address hidden)",
        "owed",
        "ticket.project",
    ):
        assert word in text, word
    assert "192.0.2.7" not in text


def test_an_unknown_run_shows_the_commands_that_end_it(
    web: Any, sender: Any, work: Callable[..., Run]
) -> None:
    _, body = sender.created(
        customfield_10050={"value": "Clear Teams cache"}, customfield_10051="WS-ABC-12345"
    )
    web.post(body)
    run = work(web.ledger, CallResult(state=CallState.UNKNOWN, status=None, outcomes=()), RunState.UNKNOWN)
    text = Elements(web.get(f"/runs/{run.id}").text).text
    assert f"bridge resolve {run.id} --not-ran --send-again --attempt 1 --reason TEXT" in text


def test_what_is_paused_stands_on_top_and_a_held_run_says_why_and_until_when(
    web: Any, sender: Any, hold: Callable[..., Run]
) -> None:
    act = Act(author="ada@bastion", reason="wrong <b>script</b>")
    pause = web.ledger.write(
        people.pause,
        scope=PauseScope.ACTION,
        value="clear-teams-cache",
        lasting=timedelta(hours=2),
        act=act,
    )
    _, body = sender.created(
        customfield_10050={"value": "Clear Teams cache"}, customfield_10051="WS-ABC-12345"
    )
    web.post(body)
    held = hold(web.ledger, Reason.PAUSED, "action clear-teams-cache")
    until = f"{pause.expires_at:%Y-%m-%d %H:%M:%S}"
    first, shown = (Elements(web.get(path).text).text for path in ("/", f"/runs/{held.id}"))
    web.ledger.write(people.resume, scope=PauseScope.ACTION, value="clear-teams-cache", act=act)
    for word in ("clear-teams-cache", until, "ada@bastion", "wrong <b>script</b>"):
        assert word in first[: first.index("What came in")], word
        assert word in shown, word
    assert "bridge resume action clear-teams-cache --reason TEXT" in shown
    assert "clear-teams-cache" not in Elements(web.get("/").text).text


def test_a_delivery_shows_what_every_mapping_decided_and_what_it_saw(web: Any, run: Run) -> None:
    response = web.get(f"/deliveries/{run.delivery}")
    text = Elements(response.text).text
    assert "teams-cache-when-chosen" in text
    assert "fields.customfield_10050.value is 'Clear Teams cache', the mapping wants" in " ".join(
        text.split()
    )
    assert f'href="/runs/{run.id}"' in response.text


def test_a_delivery_is_called_the_same_in_the_list_and_on_its_page(web: Any, run: Run) -> None:
    for path in (f"/deliveries?ticket={run.ticket.key}", f"/deliveries/{run.delivery}"):
        text = Elements(web.get(path).text).text
        assert "matched" in text, path
        assert "evaluated" not in text, path


def test_a_badge_does_not_stick_to_the_text_beside_it(web: Any, run: Run) -> None:
    for path in (f"/deliveries/{run.delivery}", f"/runs/{run.id}"):
        assert not re.search(r"</span><span class=\"(shown|wanted)", web.get(path).text), path


@pytest.mark.parametrize("query", ["last=%00", "last=%27--", "last=%F0%28", "last=century", "live=x"])
def test_a_choice_that_there_is_not_fails_nowhere(web: Any, query: str) -> None:
    assert web.get(f"/?{query}").status_code == 200


@pytest.mark.parametrize("path", ["/runs/x", "/runs/%00", "/runs/" + "r" * 300, "/deliveries/x", "/static/"])
def test_what_is_not_there_is_not_found(web: Any, path: str) -> None:
    assert web.get(path).status_code == 404


def test_a_run_of_another_version_is_said_to_be_one(
    opened: Callable[..., Any], sender: Any, tmp_path: Path
) -> None:
    with opened(tmp_path, BRIDGE_CONSOLE="open") as web:
        web.post(sender.created(customfield_10050={"value": "Clear Teams cache"})[1])
        (run,) = web.runs()
        with sqlite3.connect(tmp_path / "bridge.sqlite3") as other:
            other.execute("UPDATE runs SET plan = '{'")
        other.close()
        for path in (f"/runs/{run.id}", f"/runs/{run.id}/cancel"):
            response = web.get(path)
            assert response.status_code == 409
            assert f"run {run.id} was written by another version of the bridge" in response.text


@pytest.mark.parametrize(
    "path", ["/static/../access.py", "/static/%2e%2e/access.py", "/static/..%2faccess.py"]
)
def test_only_the_style_and_the_icon_are_served_as_files(web: Any, path: str) -> None:
    assert web.get(path).status_code == 404


def test_the_script_is_the_one_that_was_looked_at() -> None:
    """htmx 4.0.1 as its registry has it, dist/htmx.min.js."""
    script = (ROOT / "bridge" / "web" / "console" / "static" / "htmx.min.js").read_bytes()
    assert hashlib.sha384(script).hexdigest() == (
        "429f6b742f07ec4a8ea17fa74743f744f1b63688e2faa7702651a97f3c1026c7cea69dec1b021d48ff713b7f94944867"
    )


def test_every_view_of_the_console_names_the_role_that_it_needs(web: Any) -> None:
    views = {name: view for name, view in web.app.view_functions.items() if name.startswith("console.")}
    without = {name for name, view in views.items() if not hasattr(view, "needed_role")}
    assert without == {"console.static"}


@pytest.mark.parametrize(
    ("peer", "host", "status"),
    [
        ("127.0.0.1", "127.0.0.1:8080", 200),
        ("127.0.0.1", "localhost", 200),
        ("::1", "[::1]:8080", 200),
        ("127.0.0.1", "bridge.example.com", 403),
        ("127.0.0.1", "127.0.0.1.example.com", 403),
        ("192.0.2.7", "127.0.0.1", 403),
    ],
)
def test_an_open_console_is_for_who_sits_at_this_machine(web: Any, peer: str, host: str, status: int) -> None:
    answer = web.app.test_client().get("/", headers={"Host": host}, environ_overrides={"REMOTE_ADDR": peer})
    assert answer.status_code == status


def test_pages_take_half_of_the_threads_and_webhooks_go_on(
    opened: Callable[..., Any], sender: Any, tmp_path: Path
) -> None:
    arrived, release = threading.Barrier(3, timeout=10), threading.Event()

    @needs(Role.VIEWER)
    def slow() -> str:
        arrived.wait()
        return str(release.wait(10))

    def prepare(app: Any) -> None:
        app.add_url_rule("/slow", "console.slow", slow)

    given = {"BRIDGE_CONSOLE": "open", "BRIDGE_WEB_THREADS": "4"}
    with opened(tmp_path, prepare=prepare, **given) as web, ThreadPoolExecutor(2) as two:
        under_way = [two.submit(web.get, "/slow") for _ in range(2)]
        arrived.wait()
        crowded = web.get("/runs")
        alive, webhook = web.get("/livez"), web.post(sender.created()[1])
        release.set()
        assert [each.result().text for each in under_way] == ["True", "True"]
        assert crowded.status_code == 503
        assert crowded.headers["Retry-After"] == "2"
        assert "Too many pages are asked for at once." in crowded.text
        assert [each.status_code for each in (alive, webhook)] == [200, 200]
        assert web.get("/runs").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_the_page_changes_nothing(web: Any, pages: dict[str, str], method: str) -> None:
    for path in pages.values():
        assert web.app.test_client().open(path, method=method).status_code == 405


def test_without_its_setting_there_is_no_page(
    opened: Callable[..., Any], tmp_path: Path, pages: dict[str, str]
) -> None:
    with opened(tmp_path) as web:
        for path in (*pages.values(), "/static/console.css"):
            assert web.get(path).status_code == 404


def test_a_ledger_that_cannot_be_read_is_said_in_plain_words(
    opened: Callable[..., Any], tmp_path: Path
) -> None:
    with opened(tmp_path, BRIDGE_CONSOLE="open") as web:
        with sqlite3.connect(tmp_path / "bridge.sqlite3") as other:
            other.execute("ALTER TABLE deliveries RENAME TO elsewhere")
        other.close()
        response = web.get("/")
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "30"
        assert "The ledger does not answer." in response.text


# ── colours ──────────────────────────────────────────────────────────────────────────────────────────────


def palettes() -> Iterator[dict[str, str]]:
    style = (ROOT / "bridge" / "web" / "console" / "static" / "console.css").read_text()
    for block in re.findall(r":root\s*\{([^}]*)\}", style):
        yield dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{6})", block))


def brightness(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_text_has_enough_contrast_in_light_and_in_dark() -> None:
    found = list(palettes())
    assert len(found) == 2
    for palette in found:
        states = [(name, f"{name}-ground") for name in ("good", "warning", "bad", "busy", "plain")]
        texts = [(name, ground) for name in ("text", "quiet", "link") for ground in ("ground", "sheet")]
        for name, ground in (*states, *texts, ("sheet", "link")):
            dark, light = sorted((brightness(palette[name]), brightness(palette[ground])))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ground)


@pytest.mark.parametrize("what", ["web", "worker"])
def test_what_only_a_console_needs_is_not_loaded_without_one(
    environment: Callable[..., dict[str, str]], tmp_path: Path, what: str
) -> None:
    given = environment(f"sqlite:///{tmp_path}/bridge.sqlite3")
    web = f"import sys; from bridge.serving import create_app; create_app({given!r})"
    code = web if what == "web" else "import sys; import bridge.cli.processes"
    heavy = "flask_wtf", "wtforms", "argon2", "limits", "authlib", "bridge.web.console", "bridge.workshop"
    code += f"; print([name for name in {heavy!r} if name in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stdout.strip().splitlines()[-1:] == ["[]"], ended.stdout + ended.stderr
