"""Everything that is configured as one frozen value, with the meaning, default and bounds of each setting.

It must not read the environment or a file, and no secret in it shows in a repr or an error.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bridge.roles import Way
from bridge.settings import forms
from bridge.settings.portals import PortalSettings
from bridge.settings.sources import SourceSettings

Duration = Annotated[timedelta, BeforeValidator(forms.duration)]


class Settings(BaseSettings):
    """Everything that is configured; made by `read_settings`, which reads what the environment holds."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix="BRIDGE_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        enable_decoding=False,  # the forms decode, so that every problem is told together, and by name
    )

    database_url: Annotated[SecretStr, AfterValidator(forms.ledger_address)] = Field(
        SecretStr("sqlite:///data/bridge.sqlite3"),
        description="The ledger: a SQLite file on a local disk, or `postgresql://…` for several machines.",
    )
    database_url_file: Path | None = Field(None, description="A file with the ledger's address.")
    mappings: Path = Field(Path("mappings"), description="The folder with the mapping files.")
    catalogue: Path | None = Field(
        None, description="The catalogue of remote actions. Default: actions.yaml in that folder."
    )
    sources: tuple[SourceSettings, ...] = ()
    portals: tuple[PortalSettings, ...] = ()
    max_devices: int = Field(
        25,
        ge=1,
        le=10_000,
        description="The most devices for one ticket, whatever catalogue and mapping say.",
    )
    max_age: Duration = Field(
        timedelta(hours=24), description="An action whose ticket changed longer ago than this is not sent."
    )
    per_hour: int = Field(
        100,
        ge=1,
        le=1_000_000,
        description="The most runs that are sent in any hour, all together; what is over it waits.",
    )
    per_day: int | None = Field(
        None, ge=1, le=1_000_000, description="The most runs that are sent in any day, all together."
    )
    devices_per_day: int | None = Field(
        None, ge=1, le=1_000_000, description="The most different devices that are reached in any day."
    )
    cooldown: Duration | None = Field(
        None, description="How long the same action leaves the same device alone, whoever asks."
    )
    trips: int = Field(
        50,
        ge=1,
        le=1_000_000,
        description="A limit that holds so many runs within BRIDGE_TRIP_WINDOW pauses what it is about.",
    )
    trip_window: Duration = Field(timedelta(hours=1), description="The time in which trips are counted.")
    keep_payloads: Duration = Field(
        timedelta(days=30),
        ge=timedelta(days=1),
        description="How long the bodies of webhooks are kept; they hold what tickets say of persons.",
    )
    keep_runs: Duration = Field(
        timedelta(days=400),
        ge=timedelta(days=1),
        description="How long ended runs are kept with their calls, comments and history. After that only "
        "what limits and repeats are recognised by is.",
    )
    keep_audit: Duration = Field(
        timedelta(days=400),
        ge=timedelta(days=1),
        description="How long rows of the audit are kept; their seals stay for ever.",
    )
    max_in_flight: int = Field(
        64, ge=1, le=10_000, description="Calls to Nexthink at the same time, for each worker process."
    )
    comment_senders: int = Field(
        8, ge=1, le=256, description="Comments written at the same time, for each worker process."
    )
    grace_seconds: int | None = Field(
        None,
        ge=0,
        le=3_600,
        description="How long a worker that is told to stop waits for calls in flight. "
        "Default: the longest timeout_seconds of the catalogue and 15 more.",
    )
    beat_seconds: float = Field(
        5.0,
        ge=0.1,
        le=60,
        description="Seconds between two beats of a worker. One whose beat stands still for six of them is "
        "taken for dead, and its work is taken over.",
    )
    paused: bool = Field(
        False, description="`on`: this host sends nothing to Nexthink; webhooks are accepted."
    )
    pause_file: Path | None = Field(
        None, description="While this file exists, this host sends nothing to Nexthink."
    )
    console: Literal["off", "open", "on"] = Field(
        "off",
        description="The console at /. `on`: people sign in, and do what their roles let them. `open`: "
        "everybody who reaches it may do everything; only with BRIDGE_BIND on loopback.",
    )
    console_people: Path | None = Field(
        None,
        description="The file that says who may use the console, and what. It is read again when it changes.",
    )
    console_secret: Annotated[SecretStr, AfterValidator(forms.long_secret)] | None = Field(
        None,
        description="What signs the console's forms, at least 32 random characters, the same for all web "
        "processes. Read at the start.",
    )
    console_secret_file: Path | None = Field(None, description="A file with this secret.")
    console_sign_in: Annotated[tuple[Way, ...], BeforeValidator(forms.words)] = Field(
        (),
        description="How people prove who they are, one or several of: `password` (its hash is in the "
        "file of people), `token` (as `bridge token make` makes them), `proxy` (a trusted proxy in front "
        "names them), `oidc` (an OpenID provider names them).",
    )
    console_session: Duration = Field(
        timedelta(hours=8),
        ge=timedelta(minutes=5),
        le=timedelta(days=7),
        description="How long somebody stays signed in.",
    )
    console_proxy_peers: Annotated[
        tuple[Annotated[str, AfterValidator(forms.peer)], ...], BeforeValidator(forms.words)
    ] = Field((), description="For `proxy`: the exact addresses from which the trusted proxy connects.")
    console_proxy_secret: Annotated[SecretStr, AfterValidator(forms.long_secret)] | None = Field(
        None,
        description="For `proxy`: what the proxy sends in the header X-Bridge-Proxy-Secret, at least 32 "
        "characters.",
    )
    console_proxy_secret_file: Path | None = Field(None, description="A file with this secret.")
    console_proxy_user_header: Annotated[str, AfterValidator(forms.header_name)] = Field(
        "x-remote-user",
        description="For `proxy`: the header with the person's name, which the proxy must set itself, "
        "whatever the browser sent.",
    )
    console_oidc_issuer: Annotated[str, AfterValidator(forms.issuer)] | None = Field(
        None,
        description="For `oidc`: the provider's issuer, below which `/.well-known/openid-configuration` "
        "stands. Needs the extra `oidc` to be installed.",
    )
    console_oidc_client_id: str | None = Field(
        None, description="For `oidc`: what the provider knows the console by."
    )
    console_oidc_client_secret: SecretStr | None = Field(
        None, description="For `oidc`: the secret that the provider gave with it."
    )
    console_oidc_client_secret_file: Path | None = Field(None, description="A file with this secret.")
    console_oidc_claim: str = Field(
        "sub",
        pattern="^[A-Za-z0-9_.:/-]{1,100}$",
        description="For `oidc`: the claim of the ID token that holds the name as the file of people "
        "has it, such as `email`. Choose one that nobody can change themselves, or share.",
    )
    console_oidc_ca_file: Path | None = Field(
        None,
        description="For `oidc`: the certificates to trust for the provider, in place of the public ones.",
    )
    public_url: Annotated[str, AfterValidator(forms.public_address)] | None = Field(
        None,
        description="Where people and senders reach this service from outside, such as "
        "`https://bridge.example.com`. Kits name it, and internal comments end with the address of their run "
        "there, where the console can be reached by it.",
    )
    bind: Annotated[str, AfterValidator(forms.listening_address)] = Field(
        "127.0.0.1:8080", description="Where the web process listens. The variable PORT, where set, wins."
    )
    web_workers: int = Field(2, ge=1, le=64, description="Web processes.")
    web_threads: int = Field(16, ge=1, le=512, description="Requests at the same time in each web process.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is logged."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what `read_settings` passes; nothing comes from the process behind its back."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @property
    def catalogue_file(self) -> Path:
        """Return where the catalogue stands."""
        return self.catalogue or self.mappings / "actions.yaml"

    @property
    def console_url(self) -> str | None:
        """Return where people outside reach the console; None where they cannot, or where is not known."""
        if self.console == "off" or self.public_url is None:
            return None
        # An open console refuses whoever asks for it by another name than that of this machine.
        here = forms.is_loopback(urlsplit(self.public_url).hostname or "")
        return None if self.console == "open" and not here else self.public_url

    def in_flight_of(self, portal: PortalSettings) -> int:
        """Return how many calls to a portal may be under way at once in a worker process (W4)."""
        if portal.max_in_flight is not None:
            return min(portal.max_in_flight, self.max_in_flight)
        return self.max_in_flight if len(self.portals) == 1 else max(1, self.max_in_flight // 2)
