"""The tickets of a campaign and their devices: each ticket has a device of its own.

So an action that runs twice shows. It must not make any of them.
"""

from dataclasses import replace

from bridge.sandbox.nexthink.world import SimulatedDevice, World, default_world, uid_of

FIRST_TICKET = 100_000
DEVICES = 4_000


def key_of(number: int) -> str:
    """Return the key of a ticket by its number; raise RuntimeError where there is no device for it."""
    if number >= DEVICES:
        raise RuntimeError(f"there are only {DEVICES} devices: give fewer seconds")
    return f"SUP-{FIRST_TICKET + number}"


def device_of(key: str) -> str:
    """Return the name of a ticket's device."""
    return f"WS-CHA-{int(key.removeprefix('SUP-')) - FIRST_TICKET:05}"


def device_uid_of(key: str) -> str:
    """Return the UID of a ticket's device."""
    return uid_of(f"device {device_of(key)}")


def wide_world() -> World:
    """Return the sandbox's world with a device for each ticket of a long campaign."""
    world = default_world()
    more = tuple(
        SimulatedDevice(
            uid=device_uid_of(key),
            name=device_of(key),
            seen_by=((f"engine-emea-{number % 2 + 1}", "2026-11-02T08:00:00"),),
        )
        for number, key in enumerate(map(key_of, range(DEVICES)))
    )
    return replace(world, devices=world.devices + more)
