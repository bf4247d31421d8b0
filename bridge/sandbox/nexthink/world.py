"""What exists behind the simulated portal: Engines, devices and remote actions, as frozen values.

It must not hold anything that changes; what a test scripts is kept beside it.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

REPAIR_OFFICE = "07844969-1889-4de3-9026-020af94be855"
CLEAR_TEAMS_CACHE = "3f2b6c1e-52a4-4d0b-9a57-6f0c2f1f7a10"
RESTART_PRINT_SPOOLER = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
INSTALL_SOFTWARE = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"
NOT_MANUAL = "c0ffee00-0000-4000-8000-000000000001"
DISABLED = "c0ffee00-0000-4000-8000-000000000002"


class ParamsEncoding(StrEnum):
    """How this portal wants `params`; the contract does not say, so a portal is one or the other."""

    OBJECT = "object"
    LIST = "list"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedEngine:
    uid: str
    name: str
    address: str
    connected: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedDevice:
    """A device and the names of the Engines that know it, each with when it saw it last."""

    uid: str
    name: str
    seen_by: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logon:
    """A logon to a device, as one Engine recorded it: `login@DOMAIN`, and ISO time without a zone."""

    user: str
    device: str
    engine: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAction:
    """`params` are the names that the action knows; others are ignored, as the contract says."""

    uid: str
    name: str
    manual: bool = True
    enabled: bool = True
    params: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    engines: tuple[SimulatedEngine, ...]
    devices: tuple[SimulatedDevice, ...]
    actions: tuple[RemoteAction, ...]
    params_encoding: ParamsEncoding = ParamsEncoding.OBJECT
    max_devices: int = 500

    def engine(self, name_or_uid: str) -> SimulatedEngine | None:
        """Return an Engine by its name or UID."""
        wanted = (e for e in self.engines if name_or_uid in {e.name, e.uid})
        return next(wanted, None)

    def action(self, uid: str) -> RemoteAction | None:
        """Return a remote action by its UID."""
        return next((action for action in self.actions if action.uid == uid), None)

    def known_by(self, engine: SimulatedEngine) -> tuple[SimulatedDevice, ...]:
        """Return the devices that an Engine knows."""
        return tuple(d for d in self.devices if any(name == engine.name for name, _ in d.seen_by))


def uid_of(text: str) -> str:
    """Return 32 hex digits that are always the same for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def default_world(
    *, action_uids: tuple[str, ...] = (), params_encoding: ParamsEncoding = ParamsEncoding.OBJECT
) -> World:
    """Return three Engines (one not connected), the devices of the documentation, and remote actions.

    `action_uids` are further remote actions, enabled and manual, for a catalogue of one's own.
    """
    return World(
        engines=(
            SimulatedEngine(
                uid=uid_of("engine 1"), name="engine-emea-1", address="engine-1.nexthink.example"
            ),
            SimulatedEngine(
                uid=uid_of("engine 2"), name="engine-emea-2", address="engine-2.nexthink.example"
            ),
            SimulatedEngine(
                uid=uid_of("engine 3"),
                name="engine-us-1",
                address="engine-3.nexthink.example",
                connected=False,
            ),
        ),
        devices=(*_named_devices(), *_lab_devices()),
        actions=(*_actions(), *(RemoteAction(uid=uid, name=f"Action {uid[:8]}") for uid in action_uids)),
        params_encoding=params_encoding,
    )


def _device(name: str, *seen_by: tuple[str, str], twin: str = "") -> SimulatedDevice:
    return SimulatedDevice(uid=uid_of(f"device {name}{twin}"), name=name, seen_by=seen_by)


def _named_devices() -> tuple[SimulatedDevice, ...]:
    recent, older = "2026-11-02T08:15:00", "2026-03-14T17:40:00"
    return (
        _device("WS-ABC-12345", ("engine-emea-1", recent)),
        _device("WS-ABC-23456", ("engine-emea-2", recent)),
        # It moved: both Engines know the same device.
        _device("WS-ABC-34567", ("engine-emea-1", older), ("engine-emea-2", recent)),
        # One name, two devices.
        _device("WS-ABC-45678", ("engine-emea-1", older)),
        _device("WS-ABC-45678", ("engine-emea-2", recent), twin=" again"),
        # Only the Engine that is not connected knows it.
        _device("WS-ABC-56789", ("engine-us-1", recent)),
        _device("WS-VIP-00001", ("engine-emea-1", recent)),
    )


def _lab_devices() -> tuple[SimulatedDevice, ...]:
    """Return a hundred devices, WS-LAB-00001 to WS-LAB-00100, for tests that need many."""
    return tuple(
        _device(f"WS-LAB-{number:05}", (f"engine-emea-{number % 2 + 1}", "2026-11-02T08:00:00"))
        for number in range(1, 101)
    )


def _actions() -> tuple[RemoteAction, ...]:
    return (
        RemoteAction(uid=REPAIR_OFFICE, name="Repair Microsoft Office", params=("Mode", "KB", "Asked by")),
        RemoteAction(uid=CLEAR_TEAMS_CACHE, name="Clear Teams cache"),
        RemoteAction(uid=RESTART_PRINT_SPOOLER, name="Restart print spooler"),
        RemoteAction(uid=INSTALL_SOFTWARE, name="Install software", params=("Package", "Version")),
        RemoteAction(uid=NOT_MANUAL, name="Collect inventory", manual=False),
        RemoteAction(uid=DISABLED, name="Retired action", enabled=False),
    )
