"""Who may look and act at the console: every way in, every role against every page, and every forgery."""

import contextlib
import io
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from datetime import timedelta
from http.client import HTTPConnection, HTTPSConnection
from itertools import count
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode

import pytest
from sqlalchemy import select
from werkzeug.test import Client, TestResponse

from bridge.errors import ConfigurationError
from bridge.ledger.people import Act
from bridge.ledger.tables import audit
from bridge.models import Identity, SourceName
from bridge.passwords import Passwords
from bridge.roles import Role
from bridge.tries import OF_A_NAME
from bridge.web.console import login
from bridge.web.console.access import FIELDS, FORM_BYTES, PUBLIC_FORM_BYTES, needed_by

DEPLOY = Path(__file__).resolve().parents[3] / "docs" / "deploy"
PASSWORD = "correct horse battery"
SECRET = "console-secret-of-more-than-32-characters"
PROXY_SECRET = "canary-proxy-secret-of-more-than-32-characters"
HOST = "bridge.example.com"
HTTPS = f"https://{HOST}"
NUMBERS = count()
ACT = Act(author="administrator", reason="new")


@pytest.fixture(scope="module")
def hashed() -> str:
    return Passwords().hashed(PASSWORD)


class Site:
    """A console that is on, and browsers in front of it."""

    def __init__(self, web: Any, people: Path, base: str) -> None:
        self.web = web
        self.people = people
        self.base = base

    def browser(self) -> "Browser":
        return Browser(self.web.app.test_client(), self.base)

    def events(self) -> list[str]:
        with self.web.ledger.engine.connect() as connection:
            return list(connection.execute(select(audit.c.event).order_by(audit.c.id)).scalars())

    def token(self, name: str) -> str:
        known = (Identity(source=SourceName("jira"), text=f"{name}@example.com"),)
        made: str = self.web.process.bridge.tokens.make(name, known, lasting=timedelta(days=1), act=ACT)[0]
        return made


class Browser:
    """A browser that keeps cookies, and sends what a form of ours holds."""

    def __init__(self, client: Client, base: str) -> None:
        self.client = client
        self.base = base
        # Each has an address of its own, which may try so often.
        self.here = {"REMOTE_ADDR": f"198.51.100.{next(NUMBERS) % 250}"}

    def get(self, path: str, **given: Any) -> TestResponse:
        given.setdefault("environ_overrides", self.here)
        return self.client.get(path, base_url=self.base, buffered=True, **given)

    def post(self, path: str, form: str | None = "/login", **data: str) -> TestResponse:
        """Send a form with the token that the page `form` holds; None sends none."""
        if form is not None:
            data["csrf_token"] = token_in(self.get(form).text)
        return self.client.post(path, base_url=self.base, data=data, environ_overrides=self.here)

    def sign_in(self, name: str = "ada", password: str = PASSWORD, **more: str) -> TestResponse:
        return self.post("/login", name=name, password=password, **more)

    def cookies(self) -> set[str]:
        host = self.base.partition("//")[2].partition(":")[0]
        return {key[2] for key in self.client._cookies if key[0] == host}


def token_in(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


@pytest.fixture(scope="module")
def opening(opened: Callable[..., AbstractContextManager[Any]], hashed: str) -> Callable[..., Any]:
    """Open a console that is on, over a file of people with one for each role."""

    @contextlib.contextmanager
    def do(folder: Path, base: str = HTTPS, url: str | None = None, **more: str) -> Iterator[Site]:
        people = folder / "people.yaml"
        lines = [f"  {role}: {{roles: [{role}], password: '{hashed}'}}" for role in Role]
        lines.append(f"  ada: {{roles: [operator, approver], password: '{hashed}'}}")
        lines.append("  grace: {roles: [viewer]}")
        people.write_text("\n".join(["version: 1", "people:", *lines]))
        given = {
            "BRIDGE_CONSOLE": "on",
            "BRIDGE_CONSOLE_PEOPLE": str(people),
            "BRIDGE_CONSOLE_SECRET": SECRET,
            "BRIDGE_CONSOLE_SIGN_IN": "password,token",
            "BRIDGE_PUBLIC_URL": base,
            **more,
        }
        with opened(folder, url, **given) as web:
            yield Site(web, people, base)

    return do


@pytest.fixture(scope="module")
def site(opening: Any, tmp_path_factory: Any) -> Iterator[Site]:
    with opening(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture
def fresh(opening: Any, tmp_path: Path, database_url: str) -> Iterator[Site]:
    """A console of a test's own, on SQLite and on PostgreSQL."""
    with opening(tmp_path, url=database_url) as running:
        yield running


# ── every page ───────────────────────────────────────────────────────────────────────────────────────────


def views(site: Site) -> Iterator[tuple[str, str, str]]:
    """Yield path, method and needed role of every view of the console."""
    app = site.web.app
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith("console.") or rule.endpoint == "console.static":
            continue
        needed = needed_by(app.view_functions[rule.endpoint])
        assert needed is not None, f"{rule.rule} names no role"
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            yield path, method, needed


def test_every_view_names_a_role_and_only_signing_in_is_for_everybody(site: Site) -> None:
    found = list(views(site))
    assert len(found) > 3
    public = {(path, method) for path, method, needed in found if needed == "everybody"}
    assert public == {("/login", "GET"), ("/login", "POST"), ("/logout", "POST")}
    assert {needed for _, _, needed in found} <= {*Role, "everybody"}


@pytest.mark.parametrize("role", list(Role))
def test_every_view_refuses_who_lacks_its_role_and_no_other(site: Site, role: Role) -> None:
    browser = site.browser()
    assert browser.sign_in(role).status_code == 303
    for path, method, needed in views(site):
        if needed == "everybody":
            continue
        answer = browser.client.open(path, method=method, base_url=site.base)
        may = role is Role.ADMINISTRATOR or needed in {Role.VIEWER, role}
        if may:
            assert answer.status_code != 403, (path, method)
            continue
        assert answer.status_code == 403, (path, method)
        assert f"<strong>{needed}</strong>" in answer.text
        assert site.events()[-1] == "role_refused"


def test_who_has_not_signed_in_sees_no_page_and_changes_nothing(site: Site) -> None:
    for path, method, needed in views(site):
        if needed == "everybody":
            continue
        answer = site.browser().client.open(path, method=method, base_url=site.base)
        assert answer.status_code == 303, (path, method)
        assert answer.headers["Location"].partition("?")[0] == "/login"
    assert site.browser().get("/static/console.css").status_code == 200


def test_a_part_of_a_page_that_is_asked_for_has_the_whole_page_asked_for(site: Site) -> None:
    answer = site.browser().get("/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Refresh"]) == (401, "true")


# ── password ─────────────────────────────────────────────────────────────────────────────────────────────


def test_signing_in_leads_to_the_page_that_was_wanted_and_shows_who_one_is(fresh: Site) -> None:
    browser = fresh.browser()
    asked = browser.get("/?state=held")
    assert asked.headers["Location"] == "/login?next=/?state%3Dheld"
    form = browser.get(asked.headers["Location"])
    assert 'name="next" value="/?state=held"' in form.text
    answer = browser.sign_in(next="/?state=held")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/?state=held")
    page = browser.get("/")
    assert page.status_code == 200
    assert '<span class="id">ada</span> · approver, operator' in page.text
    assert browser.get("/login").status_code == 303
    out = browser.post("/logout", form="/")
    assert (out.status_code, out.headers["Location"]) == (303, "/login")
    assert browser.get("/").status_code == 303
    assert [event for event in fresh.events() if event.startswith("signed")] == ["signed_in", "signed_out"]


def test_a_wrong_password_is_refused_counted_and_tells_nothing(fresh: Site) -> None:
    known, unknown = fresh.browser().sign_in("ada", "wrong"), fresh.browser().sign_in("nobody", "wrong")
    for answer in (known, unknown):
        assert answer.status_code == 401
        assert "This name and password do not belong together." in answer.text
        assert "console-session" not in str(answer.headers)
    strip = re.compile(r'value="[^"]+"|<time.*?</time>')
    assert strip.sub("", known.text) == strip.sub("", unknown.text)
    wanted = 'bridge_sign_ins_total{result="not_known",way="password"} 2.0'
    fresh.web.soon(lambda: wanted in fresh.web.get("/metrics").text)


def test_too_many_tries_are_told_when_to_come_again(fresh: Site) -> None:
    browser = fresh.browser()
    token = token_in(browser.get("/login").text)
    for _ in range(OF_A_NAME.amount):
        data = {"name": "grace", "password": "x", "csrf_token": token}
        assert browser.client.post("/login", base_url=fresh.base, data=data).status_code == 401
    answer = browser.client.post("/login", base_url=fresh.base, data=data)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")


def test_a_token_signs_in_until_it_is_revoked(fresh: Site) -> None:
    browser = fresh.browser()
    assert browser.post("/login", token=fresh.token("grace")).status_code == 303
    assert browser.get("/").status_code == 200
    fresh.web.process.bridge.tokens.revoke("grace", act=ACT)
    assert browser.get("/").status_code == 303
    assert fresh.browser().post("/login", token="bridge_made_up").status_code == 401


def test_a_role_that_is_withdrawn_and_a_person_who_is_removed_count_at_the_next_request(fresh: Site) -> None:
    browser = fresh.browser()
    browser.sign_in("administrator")
    before = fresh.people.read_text()
    fresh.people.write_text(
        before.replace("administrator: {roles: [administrator]", "administrator: {roles: [viewer]")
    )
    assert "· viewer" in browser.get("/").text
    fresh.people.write_text("version: 1\npeople: {grace: {roles: [viewer]}}\n")
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize("path", ["/login", "/logout"])
@pytest.mark.parametrize("body", [b"name=" + b"x" * PUBLIC_FORM_BYTES, b"&".join([b"a"] * (FIELDS + 1))])
def test_who_has_not_signed_in_sends_small_forms_only(site: Site, path: str, body: bytes) -> None:
    """A form is taken apart before its token can be looked at, and a field costs more than its bytes."""
    browser = site.browser()
    kind = "application/x-www-form-urlencoded"
    answer = browser.client.post(path, base_url=site.base, data=body, content_type=kind)
    assert answer.status_code == 413
    assert browser.client.post(path, base_url=site.base, data=body[:80], content_type=kind).status_code == 400


def test_a_form_of_many_parts_is_refused_too(site: Site) -> None:
    data = {f"a{number}": (io.BytesIO(b"x"), "x") for number in range(FIELDS + 1)}
    assert site.browser().client.post("/logout", base_url=site.base, data=data).status_code == 413


def test_who_has_signed_in_sends_what_an_act_needs_and_no_more(site: Site) -> None:
    browser = site.browser()
    browser.sign_in("operator")
    assert browser.post("/pauses", form="/pauses", reason="x" * 10_000).status_code == 422
    assert browser.post("/pauses", form="/pauses", reason="x" * FORM_BYTES).status_code == 413


# ── cookies, forms, hosts ────────────────────────────────────────────────────────────────────────────────


def test_over_https_the_cookies_are_bound_to_the_host_and_out_of_reach_of_scripts(site: Site) -> None:
    browser = site.browser()
    form = browser.get("/login")
    answer = browser.sign_in()
    given = [*form.headers.getlist("Set-Cookie"), *answer.headers.getlist("Set-Cookie")]
    kept = {one.partition("=")[0]: one for one in given if "Expires=Thu, 01 Jan 1970" not in one}
    assert set(kept) == {"__Host-console", "__Host-console-session"}
    for one in kept.values():
        parts = {part.strip() for part in one.split(";")[1:]}
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= parts
        assert not any(part.startswith("Domain") for part in parts)


def test_over_http_on_loopback_the_cookies_are_plain_and_out_of_reach_of_scripts(
    opening: Any, tmp_path: Path
) -> None:
    with opening(tmp_path, "http://127.0.0.1:8080") as site:
        answer = site.browser().sign_in()
        (kept,) = [one for one in answer.headers.getlist("Set-Cookie") if one.startswith("console-session=")]
        assert "HttpOnly" in kept
        assert "SameSite=Lax" in kept
        assert "Secure" not in kept


def test_what_a_browser_had_before_signing_in_stands_for_nobody_after_it(site: Site) -> None:
    planted = "planted-by-somebody-else"
    browser = site.browser()
    browser.client.set_cookie("__Host-console-session", planted, domain=HOST, secure=True)
    form = token_in(browser.get("/login").text)
    answer = browser.sign_in()
    assert planted not in str(answer.headers)
    other = site.browser()
    other.client.set_cookie("__Host-console-session", planted, domain=HOST, secure=True)
    assert other.get("/").status_code == 303
    # The form's token of before is another one after it.
    again = browser.client.post("/logout", base_url=site.base, data={"csrf_token": form})
    assert again.status_code == 400
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize("token", [None, "", "made-up", "foreign"])
def test_a_form_without_our_token_does_nothing(site: Site, token: str | None) -> None:
    browser = site.browser()
    browser.get("/login")
    data = {"name": "ada", "password": PASSWORD}
    if token == "foreign":
        data["csrf_token"] = token_in(site.browser().get("/login").text)
    elif token is not None:
        data["csrf_token"] = token
    answer = browser.client.post("/login", base_url=site.base, data=data)
    assert answer.status_code == 400
    assert "Nothing was done" in answer.text
    assert browser.get("/").status_code == 303
    browser.sign_in()
    assert browser.post("/logout", form=None).status_code == 400
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
        "javascript:alert(1)", "evil.example", "", "/ /evil", "/\r\nSet-Cookie: a=b", "/ü", "///evil.example",
        "/" + "x" * 2_000,
    ],
)  # fmt: skip
def test_nobody_is_led_elsewhere(site: Site, wanted: str) -> None:
    assert login.local_path(wanted) == "/"
    if wanted[:2] in {"//", "/\\"}:
        assert site.browser().get(f"/login?next={quote(wanted)}").text.count('name="next" value="/"') == 2
        assert site.browser().sign_in(next=wanted).headers["Location"] == "/"


def test_only_the_public_host_is_served(site: Site) -> None:
    client = site.web.app.test_client()
    for path in ("/", "/login", "/static/console.css"):
        assert client.get(path, base_url="https://rebound.example").status_code == 403
        assert client.get(path, base_url=f"https://{HOST}.evil.example").status_code == 403
    assert client.get("/livez", base_url="https://rebound.example").status_code == 200


@pytest.mark.parametrize(
    "base", ["http://rebound.example", "http://192.0.2.7:8080", "http://bridge.localhost.evil"]
)
def test_an_open_console_is_only_for_a_browser_that_was_told_to_come_here(
    opened: Any, tmp_path: Path, base: str
) -> None:
    with opened(tmp_path, BRIDGE_CONSOLE="open") as web:
        client = web.app.test_client()
        assert client.get("/", base_url="http://127.0.0.1:8080").status_code == 200
        assert client.get("/", base_url=base).status_code == 403
        here = {"REMOTE_ADDR": "192.0.2.7"}
        assert client.get("/", base_url="http://127.0.0.1", environ_overrides=here).status_code == 403
        assert client.get("/login", base_url="http://127.0.0.1:8080").status_code == 404


# ── the trusted proxy ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def behind(opening: Any, tmp_path_factory: Any) -> Iterator[Site]:
    given = {
        "BRIDGE_CONSOLE_SIGN_IN": "proxy",
        "BRIDGE_CONSOLE_PROXY_PEERS": "192.0.2.10, ::1",
        "BRIDGE_CONSOLE_PROXY_SECRET": PROXY_SECRET,
        "BRIDGE_CONSOLE_PROXY_USER_HEADER": "X-Auth-User",
    }
    with opening(tmp_path_factory.mktemp("behind"), **given) as running:
        yield running


def by_proxy(
    site: Site,
    *,
    peer: str = "192.0.2.10",
    secret: str = PROXY_SECRET,
    header: str = "X-Auth-User",
    user: str = "ada",
) -> TestResponse:
    return site.browser().get(
        "/",
        headers={"X-Bridge-Proxy-Secret": secret, header: user, "X-Forwarded-For": "192.0.2.10"},
        environ_overrides={"REMOTE_ADDR": peer},
    )


@pytest.mark.parametrize("peer", ["192.0.2.10", "::ffff:192.0.2.10", "::1", "0:0:0:0:0:0:0:1"])
def test_the_trusted_proxy_names_who_asks(behind: Site, peer: str) -> None:
    answer = by_proxy(behind, peer=peer)
    assert answer.status_code == 200
    assert '<span class="id">ada</span>' in answer.text
    assert "Sign out" not in answer.text
    assert not any("console-session" in one for one in answer.headers.getlist("Set-Cookie"))


@pytest.mark.parametrize(
    "forged",
    [
        {"peer": "192.0.2.11"},
        {"peer": ""},
        {"peer": "127.0.0.1"},
        {"secret": ""},
        {"secret": PROXY_SECRET[:-1]},
        {"secret": PROXY_SECRET + "x"},
        {"secret": "ÿ" * 40},
        {"header": "X-Remote-User"},
        {"user": ""},
    ],
)
def test_what_is_not_the_trusted_proxys_word_is_ignored(behind: Site, forged: dict[str, str]) -> None:
    assert by_proxy(behind, **forged).status_code == 303


@pytest.mark.parametrize("user", ["mallory", "ada,grace", "ADA"])
def test_whom_the_proxy_names_must_be_among_the_people(behind: Site, user: str) -> None:
    answer = by_proxy(behind, user=user)
    assert answer.status_code == 403
    assert "you are not among the people of this console" in answer.text


def test_where_the_proxy_is_not_a_way_in_its_headers_are_ignored(site: Site) -> None:
    for header in ("X-Auth-User", "X-Remote-User"):
        assert by_proxy(site, header=header).status_code == 303


# ── starting ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"BRIDGE_CONSOLE_SECRET": "short"}, "BRIDGE_CONSOLE_SECRET: must have at least 32"),
        ({"BRIDGE_CONSOLE_SECRET": ""}, "BRIDGE_CONSOLE_SECRET: is required where"),
        ({"BRIDGE_CONSOLE_SIGN_IN": ""}, "BRIDGE_CONSOLE_SIGN_IN: is required where"),
        ({"BRIDGE_CONSOLE_SIGN_IN": "magic"}, "BRIDGE_CONSOLE_SIGN_IN: must be 'password', 'token'"),
        ({"BRIDGE_CONSOLE_PEOPLE": ""}, "BRIDGE_CONSOLE_PEOPLE: is required where"),
        ({"BRIDGE_CONSOLE_PEOPLE": "nowhere.yaml"}, "nowhere.yaml: cannot be read: No such file"),
        ({"BRIDGE_CONSOLE_SIGN_IN": "proxy"}, "BRIDGE_CONSOLE_PROXY_PEERS: is required where"),
        ({"BRIDGE_CONSOLE_SIGN_IN": "oidc"}, "BRIDGE_CONSOLE_OIDC_ISSUER: is required where"),
        (
            {"BRIDGE_CONSOLE_PROXY_PEERS": "10.0.0.0/8"},
            "BRIDGE_CONSOLE_PROXY_PEERS: must hold exact addresses",
        ),
        ({"BRIDGE_CONSOLE_PROXY_PEERS": "192.0.2.1"}, "BRIDGE_CONSOLE_PROXY_PEERS: does nothing where"),
        ({"BRIDGE_CONSOLE": "open"}, "BRIDGE_CONSOLE_PEOPLE: does nothing without BRIDGE_CONSOLE=on"),
    ],
)
def test_what_cannot_work_is_told_at_the_start(
    opening: Any, tmp_path: Path, change: dict[str, str], problem: str
) -> None:
    with pytest.raises(ConfigurationError) as raised, opening(tmp_path, **change):
        pytest.fail("it started")
    assert any(one.startswith(problem) for one in raised.value.problems), raised.value.problems


# ── as it is deployed ────────────────────────────────────────────────────────────────────────────────────


class Plain:
    """A browser over a socket of its own for each request, so that any process may take it."""

    def __init__(self, connect: Callable[[], HTTPConnection], **headers: str) -> None:
        self.connect = connect
        self.headers = headers
        self.jar: dict[str, str] = {}

    def ask(self, method: str, path: str, **form: str) -> tuple[int, str]:
        with closing(self.connect()) as connection:
            kind = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
            cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items())}
            connection.request(method, path, urlencode(form) or None, {**kind, **cookies, **self.headers})
            answer = connection.getresponse()
            for one in answer.headers.get_all("Set-Cookie", ()):
                name, _, value = one.partition(";")[0].partition("=")
                self.jar[name] = value
            return answer.status, answer.read().decode()

    def sign_in(self, password: str = PASSWORD) -> int:
        token = token_in(self.ask("GET", "/login")[1])
        return self.ask("POST", "/login", name="ada", password=password, csrf_token=token)[0]


@pytest.fixture
def deployed(serving: Any, tmp_path: Path, hashed: str) -> Callable[..., AbstractContextManager[Any]]:
    def do(**more: str) -> AbstractContextManager[Any]:
        people = tmp_path / "people.yaml"
        people.write_text(f"version: 1\npeople: {{ada: {{roles: [operator], password: '{hashed}'}}}}\n")
        given = {
            "BRIDGE_CONSOLE": "on",
            "BRIDGE_CONSOLE_PEOPLE": str(people),
            "BRIDGE_CONSOLE_SECRET": SECRET,
            "BRIDGE_CONSOLE_SIGN_IN": "password",
            **more,
        }
        return cast("AbstractContextManager[Any]", serving(tmp_path, workers=3, **given))

    return do


def test_every_process_knows_who_signed_in_at_another_and_its_forms(deployed: Any) -> None:
    with deployed() as served:
        browser = Plain(lambda: HTTPConnection("127.0.0.1", served.port, timeout=20))
        for _ in range(4):
            assert browser.sign_in() == 303
            pages = [browser.ask("GET", "/") for _ in range(8)]
            assert {status for status, _ in pages} == {200}
            assert browser.ask("POST", "/logout", csrf_token=token_in(pages[-1][1]))[0] == 303
            assert {browser.ask("GET", "/")[0] for _ in range(8)} == {303}
        wanted = b'bridge_sign_ins_total{result="signed_in",way="password"} 4.0'
        served.soon(lambda: wanted in served.ask("GET", "/metrics")[1])
        assert "ada" not in served.log.read_text()


def test_behind_the_shipped_proxy_people_sign_in_and_only_they_see_anything(
    deployed: Any, proxying: Any, tmp_path: Path
) -> None:
    console = (DEPLOY / "nginx-console.conf").read_text().replace("allow 192.0.2.0/24", "allow 127.0.0.1")
    (tmp_path / "console.conf").write_text(console)
    changes = {"    location / {\n        return 404;\n    }\n": f"include {tmp_path}/console.conf;"}
    forged = {"BRIDGE_CONSOLE_PROXY_PEERS": "127.0.0.1", "BRIDGE_CONSOLE_PROXY_SECRET": PROXY_SECRET}
    with (
        deployed(BRIDGE_PUBLIC_URL=HTTPS, BRIDGE_CONSOLE_SIGN_IN="password,proxy", **forged) as served,
        proxying(tmp_path, served.port, **changes) as (outer, _, certificate),
    ):
        context = ssl.create_default_context(cafile=certificate)

        def connect() -> HTTPConnection:
            connection = HTTPSConnection(HOST, outer, timeout=20, context=context)
            line = socket.create_connection(("127.0.0.1", outer), timeout=20)
            connection.sock = context.wrap_socket(line, server_hostname=HOST)
            return connection

        browser = Plain(connect, **{"X-Bridge-Proxy-Secret": PROXY_SECRET, "X-Remote-User": "ada"})
        assert browser.ask("GET", "/")[0] == 303
        assert {browser.ask("GET", path)[0] for path in ("/health", "/metrics", "/livez", "/readyz")} == {404}
        assert browser.sign_in("wrong") == 401
        served.soon(lambda: '"event": "sign_in.refused"' in served.log.read_text())
        assert browser.sign_in() == 303
        assert set(browser.jar) == {"__Host-console", "__Host-console-session"}
        assert browser.ask("GET", "/")[0] == 200
        statuses = {browser.ask("GET", "/login")[0] for _ in range(20)}
        assert statuses == {303, 429}
        assert browser.ask("GET", "/static/console.css")[0] == 200
