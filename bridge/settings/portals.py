"""The settings of one Nexthink portal.

It must not read the environment or a file, and no secret in it shows in a repr or an error.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from bridge.models import PortalName
from bridge.nexthink import (
    DEFAULT_UID_QUERY,
    DEFAULT_USER_FIELDS,
    DEFAULT_USER_QUERY,
    NameCase,
    ParamsEncoding,
)
from bridge.settings import forms

Address = Annotated[str, AfterValidator(forms.base_address)]
Template = Annotated[str, AfterValidator(forms.engine_template)]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(forms.engine_host)], ...], BeforeValidator(forms.words)]
Fields = Annotated[tuple[str, ...], BeforeValidator(forms.words), AfterValidator(forms.answer_fields)]


class PortalSettings(BaseModel):
    """One Nexthink portal."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: PortalName = Field(exclude=True)
    base_url: Address = Field(description="The portal's external address. Must be https unless loopback.")
    username: str = Field(description="The account that may use the API of remote actions.")
    password: SecretStr = Field(description="Its password.")
    password_file: Path | None = Field(None, description="A file with the password.")
    params_encoding: ParamsEncoding = Field(
        ParamsEncoding.OBJECT,
        description="How parameters are written: `object` ({name: value}) or `list` ([{name, value}]).",
    )
    nxql_url: Template | None = Field(
        None,
        description="Where an Engine answers queries, such as `https://{address}:1671/2/query`; {address} "
        "and {name} are the Engine's. Without it devices cannot be looked up by name.",
    )
    engine_hosts: Hosts = Field(
        (),
        description="The hosts to which queries may go, separated by commas: names, suffixes "
        "(`.example.com`) or networks (`192.0.2.0/24`). Required where NXQL_URL holds {address}.",
    )
    nxql_username: str | None = Field(
        None, description="The account for queries, without the right to edit categories. Default: USERNAME."
    )
    nxql_password: SecretStr | None = Field(None, description="Its password. Default: PASSWORD.")
    nxql_password_file: Path | None = Field(None, description="A file with the password for queries.")
    nxql_uid_query: Annotated[str, AfterValidator(forms.uid_query)] = Field(
        DEFAULT_UID_QUERY, description="The query that looks a device up by its UID, which stands for {uid}."
    )
    nxql_user_query: Annotated[str, AfterValidator(forms.user_query)] = Field(
        DEFAULT_USER_QUERY,
        description="The query for the devices of an account, which stands for {user} (`login@DOMAIN`, "
        "or the login alone); {days} is how many days back its use counts.",
    )
    nxql_user_fields: Fields = Field(
        DEFAULT_USER_FIELDS,
        description="What that query's answer calls the device UID, the device name, the account and its "
        "last use, in this order.",
    )
    nxql_time_zone: Annotated[str, AfterValidator(forms.time_zone)] = Field(
        "UTC",
        description="The time zone of times that Engines give without one, such as `Europe/Zurich`.",
    )
    name_case: NameCase = Field(
        NameCase.AS_IS, description="How device names are written in queries, which compare exactly."
    )
    max_devices_per_call: int | None = Field(
        None, ge=1, le=10_000, description="More devices than this are sent in several calls. Default: never."
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
