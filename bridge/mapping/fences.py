"""The fence around an action: which device names a ticket may choose at all.

It must not look a device up, nor widen a fence for any reason.
"""

import re2

from bridge.mapping import patterns
from bridge.models import DeviceFence

# The strict host rule: what may enter a query or a request as a device name.
_HOST = re2.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
# A login goes into a query as well; a domain is written beside it, not in it.
_LOGIN = re2.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SYS_ID = re2.compile(r"[0-9a-fA-F]{32}")


def is_host(name: str) -> bool:
    """Say whether a text may be a device name: letters, digits, '_', '.' and '-', 63 at most."""
    return name.isascii() and _HOST.fullmatch(name) is not None


def is_login(text: str) -> bool:
    """Say whether a text may be an account's name: letters, digits, '.', '_' and '-', 63 at most."""
    return text.isascii() and _LOGIN.fullmatch(text) is not None


def is_uid(text: str) -> bool:
    """Say whether a text is 32 hex digits."""
    return text.isascii() and _SYS_ID.fullmatch(text) is not None


def breach(fence: DeviceFence, name: str) -> str | None:
    """Return why a device name is outside a fence, naming the pattern; None where it is inside."""
    if not is_host(name):
        return "it is not a device name (letters, digits, '_', '.' and '-', 63 at most)"
    if fence.names is not None and not patterns.compiled(fence.names, ignore_case=True).whole(name):
        return f"the action is only for devices that match {fence.names}"
    for never in fence.never:
        if patterns.compiled(never, ignore_case=True).whole(name):
            return f"the action is never for devices that match {never}"
    return None
