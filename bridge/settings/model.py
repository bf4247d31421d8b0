"""The settings as frozen values, with the meaning, the default and the bounds of each.

It must not read the environment or a file, and no secret in it shows in a repr or an error.
"""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bridge.models import PortalName, SourceKind, SourceName
from bridge.settings import forms


class Verify(StrEnum):
    """How a webhook proves where it comes from."""

    HMAC = "hmac"
    STANDARD = "standard"
    TOKEN = "token"  # noqa: S105 - the word for a kind of proof, not a password
    BASIC = "basic"


class Deployment(StrEnum):
    CLOUD = "cloud"
    DATACENTER = "datacenter"


class SignatureEncoding(StrEnum):
    HEX = "hex"
    BASE64 = "base64"


class InternalComments(StrEnum):
    PROPERTY = "property"
    JSM = "jsm"


class ParamsEncoding(StrEnum):
    OBJECT = "object"
    LIST = "list"


class NameCase(StrEnum):
    AS_IS = "as_is"
    UPPER = "upper"
    LOWER = "lower"


Duration = Annotated[timedelta, BeforeValidator(forms.duration)]
BaseAddress = Annotated[str, AfterValidator(forms.base_address)]
Prefix = Annotated[str, AfterValidator(forms.prefix)]
Header = Annotated[str, AfterValidator(forms.header_name)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(forms.secrets)]
EngineHosts = Annotated[
    tuple[Annotated[str, AfterValidator(forms.engine_host)], ...], BeforeValidator(forms.words)
]
Tables = Annotated[tuple[Annotated[str, AfterValidator(forms.table_name)], ...], BeforeValidator(forms.words)]

_FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SourceSettings(BaseModel):
    """One Jira site or ServiceNow instance; `secrets`, `password` and `token` are read from their files."""

    model_config = _FROZEN

    name: SourceName = Field(exclude=True)
    kind: SourceKind = Field(description="What sends the tickets.")
    base_url: BaseAddress = Field(
        description="The site's address, to which comments are written. Must be https unless loopback."
    )
    site_url: BaseAddress | None = Field(
        None, description="Jira only: where people browse, if not at BASE_URL (a scoped token's API host)."
    )
    deployment: Deployment = Field(
        Deployment.CLOUD, description="Jira only: Jira Cloud, or Data Center (Server)."
    )
    verify: Verify = Field(
        description="How a webhook proves its sender: `hmac` (a signature over the body), `standard` "
        "(Standard Webhooks 1.0), `token` (a shared word in a header) or `basic` (user name and password)."
    )
    secrets: Secrets = Field(
        (),
        description="What webhooks are verified with, as a JSON list; several while one is replaced. "
        "At least 24 bytes each for `hmac` and `standard`, else 16; for `basic` each is `user:password`.",
    )
    secrets_file: Path | None = Field(
        None, description="A file with these secrets: a JSON list, or one a line."
    )
    signature_header: Header = Field(
        "x-hub-signature", description="For `hmac`: the header with the signature."
    )
    signature_prefix: Prefix = Field(
        "sha256=", description="For `hmac`: what stands before the signature. The word `none` means nothing."
    )
    signature_encoding: SignatureEncoding = Field(
        SignatureEncoding.HEX, description="For `hmac`: how the signature is written."
    )
    signed_text: Literal["{body}", "{timestamp}.{body}", "{id}.{timestamp}.{body}"] = Field(
        "{body}", description="For `hmac`: what is signed."
    )
    timestamp_header: Header | None = Field(
        None, description="For `hmac`: the header with the time in seconds, where it is signed."
    )
    id_header: Header | None = Field(
        None, description="For `hmac`: the header with the delivery's identifier, where it is signed."
    )
    time_window_seconds: int = Field(
        300, ge=1, le=86_400, description="How far a signed time may be from the time of receipt, both ways."
    )
    token_header: Header = Field(
        "authorization",
        description="For `token`: the header with the word. In `authorization` it stands behind `Bearer `.",
    )
    username: str | None = Field(
        None,
        description="The account that writes comments. Give it nothing else to do: its changes are ignored.",
    )
    password: SecretStr | None = Field(None, description="Its password.")
    password_file: Path | None = Field(None, description="A file with the password.")
    token: SecretStr | None = Field(
        None, description="Its API token (Jira Cloud, with USERNAME), personal access token, or API key."
    )
    token_file: Path | None = Field(None, description="A file with the token.")
    api_key_header: Header | None = Field(
        None,
        description="ServiceNow only: the header that carries TOKEN as an API key, usually `x-sn-apikey`. "
        "Without it TOKEN is sent as a bearer token.",
    )
    account: str | None = Field(
        None,
        description="ServiceNow only: the user name behind TOKEN, so that our own changes are known as ours.",
    )
    internal_comments: InternalComments = Field(
        InternalComments.PROPERTY,
        description="Jira only: how internal notes are written: `property` (platform comment with the "
        "service desk's property) or `jsm` (the service desk's own route).",
    )
    tables: Tables = Field(
        ("incident", "sc_request", "sc_req_item", "sc_task", "change_request", "problem"),
        description="ServiceNow only: the tables that are served, separated by commas.",
    )
    code_tags: bool = Field(
        True,
        description="ServiceNow only: write tables as HTML in [code] tags. "
        "`off` where the instance does not allow them.",
    )
    max_body_bytes: int = Field(
        1_048_576, ge=1_024, le=26_214_400, description="The largest webhook body that is read."
    )
    ca_file: Path | None = Field(
        None, description="The certificates to trust for this site, in place of the public ones."
    )


class PortalSettings(BaseModel):
    """One Nexthink portal."""

    model_config = _FROZEN

    name: PortalName = Field(exclude=True)
    base_url: BaseAddress = Field(description="The portal's external address. Must be https unless loopback.")
    username: str = Field(description="The account that may use the API of remote actions.")
    password: SecretStr = Field(description="Its password.")
    password_file: Path | None = Field(None, description="A file with the password.")
    params_encoding: ParamsEncoding = Field(
        ParamsEncoding.OBJECT,
        description="How parameters are written: `object` ({name: value}) or `list` ([{name, value}]).",
    )
    nxql_url: Annotated[str, AfterValidator(forms.engine_template)] | None = Field(
        None,
        description="Where an Engine answers queries, such as `https://{address}:1671/2/query`; {address} "
        "and {name} are the Engine's. Without it devices cannot be looked up by name.",
    )
    engine_hosts: EngineHosts = Field(
        (),
        description="The hosts to which queries may go, separated by commas: names, suffixes "
        "(`.example.com`) or networks (`192.0.2.0/24`). Required where NXQL_URL holds {address}.",
    )
    nxql_username: str | None = Field(
        None, description="The account for queries, without the right to edit categories. Default: USERNAME."
    )
    nxql_password: SecretStr | None = Field(None, description="Its password. Default: PASSWORD.")
    nxql_password_file: Path | None = Field(None, description="A file with the password for queries.")
    name_case: NameCase = Field(
        NameCase.AS_IS, description="How device names are written in queries, which compare exactly."
    )
    max_devices_per_call: int = Field(
        100, ge=1, le=10_000, description="More devices than this are sent in several calls."
    )
    max_in_flight: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Calls to this portal at the same time. Default: BRIDGE_MAX_IN_FLIGHT, or half of it "
        "where there are several portals, so that one that hangs leaves room for the others.",
    )
    proxy_503_not_sent: bool = Field(
        False,
        description="`on` only where a proxy of yours answers 503 without having passed the request on: "
        "such a call is then sent again. Otherwise its outcome is unknown.",
    )
    ca_file: Path | None = Field(
        None, description="The certificates to trust for this portal, in place of the public ones."
    )


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
    paused: bool = Field(
        False, description="`on`: this host sends nothing to Nexthink; webhooks are accepted."
    )
    pause_file: Path | None = Field(
        None, description="While this file exists, this host sends nothing to Nexthink."
    )
    page: bool = Field(
        False,
        description="`on`: a read-only page at / lists deliveries and runs. It asks for no password, so "
        "leave it off unless a proxy in front does.",
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

    def in_flight_of(self, portal: PortalSettings) -> int:
        """Return how many calls to a portal may be under way at once in a worker process (W4)."""
        if portal.max_in_flight is not None:
            return min(portal.max_in_flight, self.max_in_flight)
        return self.max_in_flight if len(self.portals) == 1 else max(1, self.max_in_flight // 2)
