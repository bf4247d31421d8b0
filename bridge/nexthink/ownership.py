"""Whose devices they are: those of a plan against those that the ticket's person used lately.

It must not name anybody but the person whom the plan names.
"""

from collections.abc import Iterable
from datetime import timedelta

from bridge.models import DeviceKey, DeviceUser, FoundDevice, Plan
from bridge.nexthink.users import account_of


def strange(plan: Plan, chosen: Iterable[list[FoundDevice]], rows: Iterable[FoundDevice]) -> tuple[str, ...]:
    """Return the chosen devices that are not the person's, by name; none where the plan is bound to nobody.

    `rows` are all that the Engines answered; those about the person's devices bear the account.
    """
    if plan.user is None:
        return ()
    theirs = {row.uid for row in rows if row.user is not None}
    return tuple(bearer[0].name for bearer in chosen if bearer[0].uid not in theirs)


def nobody(user: DeviceUser) -> str:
    """Say why there is no account whose devices could be looked for."""
    if user.login is None:
        return "the ticket does not say who its person is"
    return f"'{user.login}' is not the name of an account (letters, digits, '.', '_' and '-', 63 at most)"


def not_used(plan: Plan) -> str:
    """Say why a device is refused to a person."""
    assert plan.user is not None
    return f"not used by the ticket's person {_lately(plan.user.used_within)}"


def sought(plan: Plan) -> str | None:
    """Say what was looked for where a person's devices were; None where names or UIDs were."""
    if plan.by is not DeviceKey.USER or plan.user is None:
        return None
    return f"a device that {account_of(plan.user)} used {_lately(plan.user.used_within)}"


def several(plan: Plan, count: int) -> str | None:
    """Say that a person used several devices; None where names or UIDs were looked for."""
    if plan.by is not DeviceKey.USER or plan.user is None:
        return None
    return f"{account_of(plan.user)} used {count} devices {_lately(plan.user.used_within)}"


def _lately(within: timedelta) -> str:
    hours = within / timedelta(hours=1)
    return f"within {hours / 24:g} days" if hours >= 48 else f"within {hours:g} hours"
