"""Constructs the console, and what lets people in to it, from the settings.

It must not decide anything that a reader of the settings could not see coming.
"""

import threading
import time
from dataclasses import dataclass

from bridge.bootstrap import TEXTS, Bridge, load_context, utc_now
from bridge.bootstrap.outside import connect_to_nothing
from bridge.charting import Charting
from bridge.passwords import Passwords
from bridge.people_file import LivePeople
from bridge.signing_in import SigningIn
from bridge.tries import Tries
from bridge.vitals import Vitals
from bridge.web import Application, console
from bridge.web.services import Services
from bridge.workshop import Workshop
from bridge.workshop.apart import Apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """The console of one web process; `start` after the ledger's start, `stop` before its stop."""

    services: Services
    background: tuple[threading.Thread, ...]
    stopping: threading.Event

    def add_to(self, app: Application) -> None:
        """Add its pages to an application; raise ConfigurationError where people could not sign in."""
        console.add_to(app, self.services)

    def start(self) -> None:
        """Start counting for the charts, and looking at the file of people."""
        for thread in self.background:
            thread.start()

    def stop(self) -> None:
        """End that, and the process that tries texts."""
        self.stopping.set()
        for thread in self.background:
            if thread.is_alive():
                thread.join(timeout=5)
        self.services.workshop.stop()


def open_console(bridge: Bridge, vitals: Vitals) -> Console:
    """Construct the console; raise ConfigurationError where the file of people cannot be used."""
    watching = bridge.watching
    people = _people(bridge) if bridge.settings.current().console == "on" else None
    charting = Charting(ledger=bridge.ledger, monotonic=time.monotonic)
    stopping = threading.Event()
    background = {"charting": charting.run} | ({} if people is None else {"people": people.run})
    return Console(
        background=tuple(
            threading.Thread(target=run, args=(stopping,), name=name, daemon=True)
            for name, run in background.items()
        ),
        stopping=stopping,
        services=Services(
            ledger=bridge.ledger,
            vitals=vitals,
            charting=charting,
            operations=bridge.operations,
            workshop=Workshop(
                ledger=bridge.ledger,
                settings=bridge.settings.current,
                connections_of=connect_to_nothing,
                context_of=load_context,
                texts_of=TEXTS.validate_json,
                clock=utc_now,
                apart=Apart(),
            ),
            connections=watching.connections,
            mapping_set=watching.look_up,
            has_mapping_set=lambda: watching.mapping_set() is not None,
            settings=bridge.settings.current,
            clock=utc_now,
            signing_in=None if people is None else _signing_in(bridge, people),
        ),
    )


def _people(bridge: Bridge) -> LivePeople:
    settings = bridge.settings.current()
    assert settings.console_people is not None, "a console that is on has a file of people"
    return LivePeople(settings.console_people, sources=[source.name for source in settings.sources])


def _signing_in(bridge: Bridge, people: LivePeople) -> SigningIn:
    settings = bridge.settings.current()
    return SigningIn(
        ledger=bridge.ledger,
        people=people.current,
        tokens=bridge.tokens,
        passwords=Passwords(),
        tries=Tries(),
        ways=frozenset(settings.console_sign_in),
        lasting=settings.console_session,
    )
