"""Constructs what lets people in to the console, from the settings.

It must not decide anything that a reader of the settings could not see coming.
"""

from bridge.bootstrap import Bridge
from bridge.errors import ConfigurationError
from bridge.passwords import Passwords
from bridge.people_file import LivePeople, People, load
from bridge.settings import Settings
from bridge.signing_in import SigningIn
from bridge.tries import Tries


def signing_in(bridge: Bridge) -> SigningIn:
    """Return what lets people in; raise ConfigurationError where their file cannot be used."""
    settings = bridge.settings.current()
    assert settings.console_people is not None, "a console that is on has a file of people"
    sources = [source.name for source in settings.sources]
    return SigningIn(
        ledger=bridge.ledger,
        people=LivePeople(settings.console_people, sources=sources).current,
        tokens=bridge.tokens,
        passwords=Passwords(),
        tries=Tries(),
        ways=frozenset(settings.console_sign_in),
        lasting=settings.console_session,
    )


def check_people(settings: Settings) -> People:
    """Read the file of people as it stands; raise ConfigurationError where there is none that can be used."""
    if settings.console_people is None:
        raise ConfigurationError(("BRIDGE_CONSOLE_PEOPLE: is not set (name the file of people)",))
    return load(settings.console_people, sources=[source.name for source in settings.sources])
