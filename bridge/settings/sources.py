"""The settings of one ticket system: where it is, how its webhooks prove themselves, how we write back.

It must not read the environment or a file, and no secret in it shows in a repr or an error.
"""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from bridge.models import SourceKind, SourceName, Trust
from bridge.settings import forms
from bridge.ticketing.servicenow.config import DEFAULT_TABLES


class Verify(StrEnum):
    """How a webhook proves where it comes from."""

    HMAC = "hmac"
    STANDARD = "standard"
    TOKEN = "token"  # noqa: S105 - the word for a kind of proof, not a password
    BASIC = "basic"


# The proofs that cover the body, so that what stands in it is the sender's.
SIGNING: Final = frozenset({Verify.HMAC, Verify.STANDARD})


class Deployment(StrEnum):
    CLOUD = "cloud"
    DATACENTER = "datacenter"


class SignatureEncoding(StrEnum):
    HEX = "hex"
    BASE64 = "base64"


class History(StrEnum):
    """Where a ServiceNow instance lets us read what changed in a record."""

    NONE = "none"
    SYS_AUDIT = "sys_audit"
    SYS_HISTORY_LINE = "sys_history_line"


class InternalComments(StrEnum):
    PROPERTY = "property"
    JSM = "jsm"


Address = Annotated[str, AfterValidator(forms.base_address)]
Prefix = Annotated[str, AfterValidator(forms.prefix)]
Jql = Annotated[str, AfterValidator(forms.jql)]
Header = Annotated[str, AfterValidator(forms.header_name)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(forms.secrets)]
Duration = Annotated[timedelta, BeforeValidator(forms.duration)]
Tables = Annotated[tuple[Annotated[str, AfterValidator(forms.table_name)], ...], BeforeValidator(forms.words)]


class SourceSettings(BaseModel):
    """One Jira site or ServiceNow instance; `secrets`, `password` and `token` are read from their files."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: SourceName = Field(exclude=True)
    kind: SourceKind = Field(description="What sends the tickets.")
    base_url: Address = Field(
        description="The site's address, to which comments are written. Must be https unless loopback."
    )
    site_url: Address | None = Field(
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
    trust: Trust | None = Field(
        None,
        description="What of a webhook is believed: `payload` (all of it), or `doorbell` (which ticket it is "
        "about, no more: the ticket is then read with our own account). "
        "Default: `payload` for `hmac` and `standard`, else `doorbell`.",
    )
    fetch: bool = Field(
        False,
        description="`on`: the ticket is read before it is evaluated although the payload is believed, to "
        "fill what the payload lacks. With the doorbell it always is.",
    )
    history: History = Field(
        History.NONE,
        description="ServiceNow only: where the changes of a record are read when it is read: `sys_audit`, "
        "`sys_history_line`, or `none`, and then `change.` means nothing for a doorbell source.",
    )
    reconcile: Duration | None = Field(
        None,
        ge=timedelta(seconds=10),
        le=timedelta(hours=12),
        description="How often the site is asked for tickets whose webhook never came, such as `10m` "
        "(`10s` to `12h`). Default: never.",
    )
    reconcile_jql: Jql | None = Field(
        None, description="Jira only: the JQL that narrows what RECONCILE asks for, such as `project = SUP`."
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
    api_key_header: bool = Field(
        False,
        description="ServiceNow only: `on` sends TOKEN as an API key in the header x-sn-apikey, "
        "not as a bearer token.",
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
        DEFAULT_TABLES,
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

    @property
    def believed(self) -> Trust:
        """Return what of a webhook is believed: who cannot sign only rings."""
        if self.trust is not None:
            return self.trust
        return Trust.PAYLOAD if self.verify in SIGNING else Trust.DOORBELL
