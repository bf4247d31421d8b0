"""Reads the file of people that the settings name.

It must not let anybody in.
"""

from bridge.errors import ConfigurationError
from bridge.people_file import People, load
from bridge.settings import Settings


def check_people(settings: Settings) -> People:
    """Read the file of people as it stands; raise ConfigurationError where there is none that can be used."""
    if settings.console_people is None:
        raise ConfigurationError(("BRIDGE_CONSOLE_PEOPLE: is not set (name the file of people)",))
    return load(settings.console_people, sources=[source.name for source in settings.sources])
