"""Hiding internal addresses in what Engines say, before it stands in a ticket that customers may read.

It must not escape or shorten anything, and no text makes it raise.
"""

from ipaddress import ip_address
from typing import Any, Final

import re2

HIDDEN: Final = "(address hidden)"

# In order: anything with a port in brackets, a dotted name with a port, IPv6 (which may end in IPv4), IPv4.
_IN_BRACKETS: Final = r"\[[^\[\]\s]+\](:[0-9]{1,5})?"
_NAME_AND_PORT: Final = r"\b(?:[A-Za-z0-9_-]+\.)+[A-Za-z][A-Za-z0-9-]*:[0-9]{2,5}\b"
_IPV4: Final = r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::[0-9]{1,5}\b)?"
_IPV6: Final = r"[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(?:%[0-9A-Za-z]+)?"
_PORT: Final = re2.compile(r"(.*):[0-9]{1,5}")


def mask(text: str) -> str:
    """Return the text with IP addresses, and hosts named with a port, replaced by HIDDEN."""
    encodable = text.encode("utf-8", "replace").decode("utf-8")
    for pattern, hide in (
        (_IN_BRACKETS, _hide_host),
        (_NAME_AND_PORT, _hide_all),
        (_IPV6, _hide_address),
        (_IPV4, _hide_all),
    ):
        encodable = re2.sub(pattern, hide, encodable)
    return str(encodable)


def _hide_all(_match: Any) -> str:
    return HIDDEN


def _hide_host(match: Any) -> str:
    """Hide what is in brackets where it is an address or a host with a port; `[KB1234]` stays."""
    whole = str(match.group(0))
    inner = whole[1 : whole.index("]")]
    return HIDDEN if _is_address(inner) or _PORT.fullmatch(inner) is not None else whole


def _hide_address(match: Any) -> str:
    whole = str(match.group(0))
    for bare in (whole, whole.rstrip("."), whole.rstrip(":.")):  # the rest may be the sentence's punctuation
        if _is_address(bare):
            return HIDDEN + whole[len(bare) :]
    return whole


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
