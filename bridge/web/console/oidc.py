"""Signs people in at an OpenID provider: the code flow with PKCE, a state and a nonce.

It must not believe a name that the provider did not sign for this console and this browser.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog
from flask import Blueprint, Response, request, session

from bridge.errors import ConfigurationError, Reason, SignInRefused
from bridge.roles import Way
from bridge.settings import Settings
from bridge.web.console import callers
from bridge.web.console.access import for_everybody
from bridge.web.console.login import let_in, local_path
from bridge.web.services import Services

log = structlog.get_logger(__name__)

_NAME: Final = "console"
_SECONDS: Final = 10
_WANTED: Final = "oidc_next"
# How many tabs of a browser may be on their way to the provider at once.
_BEGUN: Final = 4
# How many threads may wait for the provider at once: one that hangs must not keep webhooks from theirs.
_AT_PROVIDER: Final = 2
_WAIT_SECONDS: Final = 0.5
# What is signed with a key that others have, or not at all, is nobody's word.
_ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)


def install(door: Blueprint, services: Services) -> None:
    """Add the way to the provider and back; raise ConfigurationError where the extra is not installed."""
    signing_in = services.signing_in
    assert signing_in is not None, "an open console has nobody who could sign in"
    settings = services.settings()
    provider = _Provider(door, settings)

    @door.get("/oidc/begin")
    @for_everybody
    def oidc_begin() -> Response:
        session[_WANTED] = local_path(request.args.get("next"))
        try:
            return provider.lead_there()
        except SignInRefused as error:
            services.vitals.note_refused_sign_in(Way.OIDC, error.reason)
            raise

    @door.get("/oidc/callback")
    @for_everybody
    def oidc_callback() -> Response:
        wanted = local_path(session.pop(_WANTED, None))
        try:
            # Any site can have a browser ask for this page: only who was led to the provider from here tries.
            provider.require_begun(request.args.get("state", ""))
            signing_in.count_try(Way.OIDC, peer=callers.peer())
            secret = signing_in.by_provider(provider.named(), before=callers.secret_of_request(services))
        except SignInRefused as error:
            services.vitals.note_refused_sign_in(Way.OIDC, error.reason)
            raise
        return let_in(secret, wanted, services)


class _Provider:
    """The provider as the settings name it, by Authlib."""

    def __init__(self, door: Blueprint, settings: Settings) -> None:
        try:
            from authlib.integrations.flask_client import OAuth  # noqa: PLC0415 - an extra, which few install
        except ImportError:
            way_out = "pip install 'nexthink-ticket-bridge[oidc]'"
            raise ConfigurationError(
                (f"BRIDGE_CONSOLE_SIGN_IN: oidc needs the extra (`{way_out}`)",)
            ) from None
        assert settings.console_oidc_issuer is not None
        assert settings.console_oidc_client_secret is not None
        self._issuer = settings.console_oidc_issuer
        self._client_id = settings.console_oidc_client_id
        self._claim = settings.console_oidc_claim
        self._back = f"{settings.public_url}/oidc/callback"
        authorities = settings.console_oidc_ca_file
        self._places = threading.BoundedSemaphore(_AT_PROVIDER)
        known = OAuth()
        self._client: Any = known.register(
            _NAME,
            client_id=self._client_id,
            client_secret=settings.console_oidc_client_secret.get_secret_value(),
            server_metadata_url=f"{self._issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "default_timeout": _SECONDS,
                # The environment must not choose other certificates than the settings.
                "trust_env": False,
                "verify": True if authorities is None else str(authorities),
            },
        )
        door.record_once(lambda setup: known.init_app(setup.app))

    def lead_there(self) -> Response:
        """Return what leads a browser to the provider; raise SignInRefused where that does not answer."""
        _forget_all_but_newest(_BEGUN - 1)
        with self._place():
            try:
                self._require_issuer()
                answer: Response = self._client.authorize_redirect(self._back)
            except Exception as error:  # noqa: BLE001 - whatever a library makes of an answer from outside
                raise _not_believed(error) from None
        return answer

    def require_begun(self, state: str) -> None:
        """Raise SignInRefused where this browser was not led to the provider with a state."""
        if _begun(state) not in session:
            raise _not_believed(LookupError())

    def named(self) -> str:
        """Return whom the provider names in its answer to this browser; raise SignInRefused."""
        with self._place():
            try:
                self._require_issuer()
                told = self._client.authorize_access_token(
                    claims_options={
                        "iss": {"essential": True, "value": self._issuer},
                        "aud": {"essential": True, "value": self._client_id},
                    }
                )
                claims = told["userinfo"]
            except Exception as error:  # noqa: BLE001 - as above
                # Its keys may be others by now, under the same name.
                self._client.server_metadata.pop("jwks", None)
                raise _not_believed(error) from None
        name = claims.get(self._claim)
        unverified = self._claim == "email" and claims.get("email_verified") is not True
        if not isinstance(name, str) or unverified:
            raise SignInRefused(Reason.NOT_BELIEVED, "The provider does not say who you are.")
        return name

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Hold one of the few places at the provider; raise SignInRefused where none is free."""
        if not self._places.acquire(timeout=_WAIT_SECONDS):
            text = "The provider takes long to answer others. Wait a moment, then begin again."
            raise SignInRefused(Reason.TOO_MANY_TRIES, text)
        try:
            yield
        finally:
            self._places.release()

    def _require_issuer(self) -> None:
        found = self._client.load_server_metadata()
        if found.get("issuer") != self._issuer:
            found.pop("_loaded_at", None)
            raise ValueError("the provider calls itself otherwise")
        offered = found.get("id_token_signing_alg_values_supported", ["RS256"])
        found["id_token_signing_alg_values_supported"] = sorted(_ALGORITHMS.intersection(offered))


def _begun(state: str) -> str:
    """Return under which key of the session Authlib keeps a way to the provider that was begun."""
    return f"_state_{_NAME}_{state}"


def _forget_all_but_newest(count: int) -> None:
    """Forget ways to the provider that this browser began and did not end: a cookie holds only so much."""
    begun = [key for key in session if key.startswith(_begun(""))]
    begun.sort(key=lambda key: float(session[key]["exp"]), reverse=True)
    for key in begun[count:]:
        del session[key]


def _not_believed(error: Exception) -> SignInRefused:
    log.warning("sign_in.provider_failed", reason=type(error).__name__)
    return SignInRefused(
        Reason.NOT_BELIEVED,
        "Signing in at the provider did not work. Begin again; if it stays so, ask your admin.",
    )
