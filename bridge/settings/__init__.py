"""What a person configures: the environment and secret files, read into one frozen value.

It must not construct anything from the settings; the composition does that.
"""

from bridge.settings.describing import SettingDoc, describe, in_force
from bridge.settings.model import Settings
from bridge.settings.portals import PortalSettings
from bridge.settings.reading import LiveSettings, read_folder, read_settings
from bridge.settings.sources import Deployment, InternalComments, SignatureEncoding, SourceSettings, Verify
from bridge.settings.withholding import without_secrets

__all__ = [
    "Deployment",
    "InternalComments",
    "LiveSettings",
    "PortalSettings",
    "SettingDoc",
    "Settings",
    "SignatureEncoding",
    "SourceSettings",
    "Verify",
    "describe",
    "in_force",
    "read_folder",
    "read_settings",
    "without_secrets",
]
