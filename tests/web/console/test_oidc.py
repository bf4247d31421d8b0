"""Signing in at an OpenID provider: a real one on loopback, which signs, and one that lies in every way."""

import base64
import hashlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask import Flask, Response, request
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from bridge.tries import OF_A_PEER

CLIENT, CLIENT_SECRET = "console", "canary-client-secret-5f3a"
HERE = "https://bridge.example.com"


class Provider:
    """A small OpenID provider: it takes who comes for `subject`, and `lie` changes what it says."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256", "use": "sig"})
        self.issuer = ""
        self.subject: dict[str, Any] = {"sub": "ada"}
        self.lie: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.seen: list[dict[str, str]] = []
        self.algorithms = ["RS256"]
        self.named = ""

    def sign(self, claims: dict[str, Any]) -> str:
        made = self.lie.get("key", self.key)
        header = {"alg": self.lie.get("alg", "RS256"), "kid": "one"}
        return jwt.encode(header, claims, made, algorithms=[header["alg"]])

    def app(self) -> Flask:
        app = Flask(__name__)

        @app.get("/.well-known/openid-configuration")
        def configuration() -> dict[str, Any]:
            return {
                "issuer": self.named or self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "id_token_signing_alg_values_supported": self.algorithms,
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }

        @app.get("/jwks")
        def jwks() -> dict[str, Any]:
            return {"keys": [self.key.as_dict(private=False)]}

        @app.get("/authorize")
        def authorize() -> Response:
            code = f"code{len(self.codes)}"
            self.codes[code] = dict(request.args)
            back = urlencode({"code": code, "state": request.args["state"]})
            return Response(status=302, headers={"Location": f"{request.args['redirect_uri']}?{back}"})

        @app.post("/token")
        def token() -> Any:
            asked = self.codes.pop(request.form["code"], None)
            given = request.authorization
            verifier = request.form.get("code_verifier", "")
            digest = (
                base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
            )
            if (
                asked is None
                or given is None
                or (given.username, given.password) != (CLIENT, CLIENT_SECRET)
                or asked["redirect_uri"] != request.form["redirect_uri"]
                or (asked["code_challenge_method"], asked["code_challenge"]) != ("S256", digest)
            ):
                return {"error": "invalid_grant"}, 400
            self.seen.append(asked)
            now = int(time.time())
            claims = {
                "iss": self.issuer,
                "aud": CLIENT,
                "iat": now,
                "exp": now + 60,
                "nonce": asked["nonce"],
                **self.subject,
                **self.lie.get("claims", {}),
            }
            claims = {name: value for name, value in claims.items() if value is not None}
            return {"access_token": "a", "token_type": "Bearer", "id_token": self.sign(claims)}

        return app


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    provider = Provider()
    server = make_server("127.0.0.1", 0, provider.app(), threaded=True)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield provider
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def provider(running: Provider) -> Provider:
    running.subject, running.lie, running.algorithms, running.named = {"sub": "ada"}, {}, ["RS256"], ""
    running.seen.clear()
    return running


@pytest.fixture
def opening(
    opened: Callable[..., AbstractContextManager[Any]], provider: Provider, tmp_path: Path
) -> Callable[..., AbstractContextManager[Any]]:
    def do(**more: str) -> AbstractContextManager[Any]:
        people = tmp_path / "people.yaml"
        people.write_text(
            "version: 1\npeople:\n  ada: {roles: [operator]}\n  ada@example.com: {roles: [viewer]}\n"
        )
        given = {
            "BRIDGE_CONSOLE": "on",
            "BRIDGE_CONSOLE_PEOPLE": str(people),
            "BRIDGE_CONSOLE_SECRET": "console-secret-of-more-than-32-characters",
            "BRIDGE_CONSOLE_SIGN_IN": "oidc",
            "BRIDGE_PUBLIC_URL": HERE,
            "BRIDGE_CONSOLE_OIDC_ISSUER": provider.issuer,
            "BRIDGE_CONSOLE_OIDC_CLIENT_ID": CLIENT,
            "BRIDGE_CONSOLE_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            **more,
        }
        return opened(tmp_path, **given)

    return do


class Browser:
    """A browser that goes to the provider over its socket, and comes back."""

    def __init__(self, web: Any) -> None:
        self.client = web.app.test_client()

    def get(self, path: str) -> TestResponse:
        answer: TestResponse = self.client.get(path, base_url=HERE)
        return answer

    def begin(self, wanted: str = "/runs") -> str:
        """Go to the provider; return the address to which it leads back."""
        answer = self.get(f"/oidc/begin?{urlencode({'next': wanted})}")
        assert answer.status_code == 302, answer.text
        return self.at_provider(answer.headers["Location"])

    @staticmethod
    def at_provider(address: str) -> str:
        import http.client

        parts = urlsplit(address)
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        connection.request("GET", f"{parts.path}?{parts.query}")
        location = connection.getresponse().headers["Location"]
        connection.close()
        back = urlsplit(location)
        assert f"{back.scheme}://{back.netloc}{back.path}" == f"{HERE}/oidc/callback"
        return f"{back.path}?{back.query}"


def test_the_provider_names_who_signs_in(opening: Any, provider: Provider) -> None:
    with opening() as web:
        browser = Browser(web)
        form = browser.get("/login?next=/runs")
        assert 'href="/oidc/begin?next=/runs"' in form.text
        answer = browser.get(browser.begin())
        assert (answer.status_code, answer.headers["Location"]) == (303, "/runs")
        assert '<span class="id">ada</span> · operator' in browser.get("/").text
        (asked,) = provider.seen
        assert asked["scope"] == "openid profile email"
        assert len(asked["nonce"]) >= 20
        assert len(asked["state"]) >= 20


def test_who_begins_again_and_again_comes_back_all_the_same(opening: Any) -> None:
    with opening() as web:
        browser = Browser(web)
        backs = [browser.begin("/" + "x" * 1_000) for _ in range(12)]
        (kept,) = [one for key, one in browser.client._cookies.items() if key[2] == "__Host-console"]
        assert len(kept.value) < 4_000
        assert browser.get(backs[0]).status_code == 403
        assert browser.get(backs[-2]).status_code == 303


def test_new_keys_of_the_provider_are_fetched_after_one_refusal(opening: Any, provider: Provider) -> None:
    with opening() as web:
        browser = Browser(web)
        assert browser.get(browser.begin()).status_code == 303
        provider.key = RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256", "use": "sig"})
        assert browser.get(browser.begin()).status_code == 403
        assert browser.get(browser.begin()).status_code == 303


def test_nobody_is_led_elsewhere_by_way_of_the_provider(opening: Any) -> None:
    with opening() as web:
        browser = Browser(web)
        assert browser.get(browser.begin("https://evil.example")).headers["Location"] == "/"


LIES: dict[str, dict[str, Any]] = {
    "another nonce": {"claims": {"nonce": "another"}},
    "no nonce": {"claims": {"nonce": None}},
    "another audience": {"claims": {"aud": "another"}},
    "another audience, bound to us": {"claims": {"aud": ["another"], "azp": CLIENT}},
    "another issuer": {"claims": {"iss": "https://evil.example"}},
    "expired": {"claims": {"exp": 1_000_000_000}},
    "made in the future": {"claims": {"iat": 10_000_000_000}},
    "another key": {"key": RSAKey.generate_key(2048)},
    "a shared key": {"key": OctKey.import_key(CLIENT_SECRET), "alg": "HS256"},
    "no name": {"claims": {"sub": None}},
    "no text for a name": {"claims": {"sub": ["ada"]}},
    "nobody of ours": {"claims": {"sub": "mallory"}},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_word_of_the_provider_that_is_not_for_us_or_not_its_own_lets_nobody_in(
    opening: Any, provider: Provider, lie: str
) -> None:
    provider.lie = LIES[lie]
    # A provider that offers a shared key is not believed with one either.
    provider.algorithms = ["RS256", "HS256", "none"]
    with opening() as web:
        browser = Browser(web)
        answer = browser.get(browser.begin())
        assert answer.status_code == 403
        assert "console-session" not in str(answer.headers)
        assert browser.get("/").status_code == 303


def test_answers_that_nobody_here_asked_for_are_no_tries(opening: Any) -> None:
    """Any site can have a browser ask for the page, and nobody may be kept out by that."""
    with opening() as web:
        stranger, browser = Browser(web), Browser(web)
        for number in range(OF_A_PEER.amount + 1):
            assert stranger.get(f"/oidc/callback?code=x&state={number}").status_code == 403
        assert browser.get(browser.begin()).status_code == 303


def test_an_answer_counts_once_and_only_in_the_browser_that_asked(opening: Any) -> None:
    with opening() as web:
        browser, other = Browser(web), Browser(web)
        back = browser.begin()
        assert other.get(back).status_code == 403
        assert browser.get(back).status_code == 303
        assert browser.get(back).status_code == 403
        code = parse_qs(urlsplit(browser.begin()).query)["code"][0]
        assert browser.get(f"/oidc/callback?code={code}&state=made-up").status_code == 403
        assert browser.get(f"/oidc/callback?code={code}").status_code == 403
        refused = browser.get("/oidc/callback?error=access_denied&error_description=<script>canary</script>")
        assert refused.status_code == 403
        assert "canary" not in refused.text


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"email": "ada@example.com", "email_verified": True}, 303),
        ({"email": "ada@example.com", "email_verified": False}, 403),
        ({"email": "ada@example.com", "email_verified": "true"}, 403),
        ({"email": "ada@example.com"}, 403),
        ({}, 403),
    ],
)
def test_an_email_counts_only_where_the_provider_verified_it(
    opening: Any, provider: Provider, claims: dict[str, Any], status: int
) -> None:
    provider.subject = {"sub": "ada", **claims}
    with opening(BRIDGE_CONSOLE_OIDC_CLAIM="email") as web:
        browser = Browser(web)
        assert browser.get(browser.begin()).status_code == status


def test_a_provider_that_calls_itself_otherwise_or_is_away_lets_nobody_in(
    opening: Any, provider: Provider
) -> None:
    provider.named = "https://evil.example"
    with opening() as web:
        assert Browser(web).get("/oidc/begin").status_code == 403
        provider.named = ""
        assert Browser(web).get("/oidc/begin").status_code == 302
    with opening(BRIDGE_CONSOLE_OIDC_ISSUER="http://127.0.0.1:9") as web:
        answer = Browser(web).get("/oidc/begin")
        assert answer.status_code == 403
        assert "127.0.0.1" not in answer.text


def test_a_provider_that_hangs_keeps_only_few_threads_from_webhooks(opening: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        issuer = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with opening(BRIDGE_CONSOLE_OIDC_ISSUER=issuer) as web, ThreadPoolExecutor(8) as browsers:
            answers = [browsers.submit(Browser(web).get, "/oidc/begin") for _ in range(8)]
            done, waiting = wait(answers, timeout=5)
            assert [answer.result().status_code for answer in done] == [429] * 6
            silent.close()
            assert [answer.result(30).status_code for answer in waiting] == [403] * 2


def test_without_the_extra_the_setting_says_what_to_install(
    environment: Callable[..., dict[str, str]], provider: Provider, tmp_path: Path
) -> None:
    people = tmp_path / "people.yaml"
    people.write_text("version: 1\npeople: {ada: {roles: [viewer]}}\n")
    given = environment(
        f"sqlite:///{tmp_path}/bridge.sqlite3",
        BRIDGE_CONSOLE="on",
        BRIDGE_CONSOLE_PEOPLE=str(people),
        BRIDGE_CONSOLE_SECRET="console-secret-of-more-than-32-characters",
        BRIDGE_CONSOLE_SIGN_IN="oidc",
        BRIDGE_PUBLIC_URL=HERE,
        BRIDGE_CONSOLE_OIDC_ISSUER=provider.issuer,
        BRIDGE_CONSOLE_OIDC_CLIENT_ID=CLIENT,
        BRIDGE_CONSOLE_OIDC_CLIENT_SECRET=CLIENT_SECRET,
    )
    code = (
        "import json, sys\n"
        "sys.modules['authlib'] = None\n"
        "from bridge.errors import ConfigurationError\n"
        "from bridge.serving import create_app\n"
        "try:\n    create_app(json.load(sys.stdin))\n"
        "except ConfigurationError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        timeout=60,
    )
    assert "BRIDGE_CONSOLE_SIGN_IN: oidc needs the extra (`pip install" in done.stdout
