"""How people write the key of a ticket.

It must not look one up: whether there is such a ticket is not known here.
"""

from typing import Final

import re2

# What ServiceNow names a record by whose number is not known.
_SYS_ID: Final = re2.compile(r"[0-9a-fA-F]{32}")
_KEY: Final = re2.compile(r"[A-Za-z0-9_-]{1,64}")


def as_written(text: str) -> str:
    """Return a key as its system writes it: in capitals, which people do not, but for a sys_id."""
    key = text.strip()
    return key.lower() if _SYS_ID.fullmatch(key) else key.upper()


def is_key(text: str) -> bool:
    """Say whether a text may be a ticket's key."""
    return _KEY.fullmatch(text) is not None
