"""What a person configures: the environment and secret files, read into one frozen value.

It must not construct anything from the settings; the composition does that.
"""

from bridge.settings.describing import SettingDoc, describe, in_force
from bridge.settings.model import (
    Deployment,
    InternalComments,
    NameCase,
    ParamsEncoding,
    PortalSettings,
    Settings,
    SignatureEncoding,
    SourceSettings,
    Verify,
)
from bridge.settings.reading import LiveSettings, read_settings

__all__ = [
    "Deployment",
    "InternalComments",
    "LiveSettings",
    "NameCase",
    "ParamsEncoding",
    "PortalSettings",
    "SettingDoc",
    "Settings",
    "SignatureEncoding",
    "SourceSettings",
    "Verify",
    "describe",
    "in_force",
    "read_settings",
]
