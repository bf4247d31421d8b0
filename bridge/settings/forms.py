"""The forms that a setting's text may take: addresses, hosts, durations, lists.

It must not know which setting it reads, and its messages never repeat what was typed: that may be a secret.
"""

import json
import re
from datetime import UTC, timedelta, tzinfo
from ipaddress import IPv6Address, ip_address, ip_network
from string import Formatter
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import SecretStr

_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_HOST = re.compile(r"\.?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_LISTENING = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")
_TABLE = re.compile(r"[a-z][a-z0-9_]{0,79}")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'" + r'|"(?:[^"\\]|\\.)*"')
_ORDER_BY = re.compile(r"\border\s+by\b", re.IGNORECASE)
_LONG = 32
_PLACEHOLDERS = frozenset({"address", "name"})


def duration(text: object) -> object:
    """Read `90s`, `30m`, `24h` or `7d`; anything but a text passes unchanged."""
    if not isinstance(text, str):
        return text
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError("must be a duration (such as 90s, 30m, 24h or 7d)")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def jql(text: str) -> str:
    """Check that a JQL is a condition that can stand in brackets beside another one."""
    bare = _QUOTED.sub("", text)
    if not text.strip() or '"' in bare or "'" in bare:
        raise ValueError("must be a JQL whose quotations end (such as project = SUP)")
    if _ORDER_BY.search(bare):
        raise ValueError("must not hold ORDER BY (the bridge asks for the newest change first)")
    depth = 0
    for char in bare:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth < 0:
            break
    if depth:
        raise ValueError("has brackets that do not match (each one closes what it opened)")
    return text


def ledger_address(text: SecretStr) -> SecretStr:
    """Check the ledger's address as far as its kind; it may hold a password."""
    if not text.get_secret_value().startswith(("sqlite:///", "postgresql://")):
        raise ValueError("must start with sqlite:/// or postgresql://")
    return text


def secrets(text: object) -> object:
    """Read a JSON list of texts, none of them empty; what is not a text passes unchanged."""
    if not isinstance(text, str):
        return text
    values = _json_list(text)
    # With an empty key anybody can compute a signature.
    if not values or not all(value.strip() for value in values):
        raise ValueError("must hold at least one secret, and none that is empty")
    return values


def _json_list(text: str) -> tuple[str, ...]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError('must be a JSON list of texts (such as ["the new one", "the old one"])')
    return tuple(values)


def words(text: object) -> object:
    """Read words separated by commas, or a JSON list of them; what is not a text passes unchanged."""
    if not isinstance(text, str):
        return text
    if text.lstrip().startswith("["):
        return _json_list(text)
    return tuple(word.strip() for word in text.split(",") if word.strip())


def base_address(text: str) -> str:
    """Check an address to which we send, and return it without the last slash."""
    parts = _split(text)
    if parts.query or parts.fragment:
        raise ValueError("must not hold a query or a fragment (give the address up to the path)")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be https unless loopback (passwords and commands travel on it)")
    return text.rstrip("/")


def issuer(text: str) -> str:
    """Check the address of an OpenID provider; its last slash, if any, is part of its name."""
    base_address(text)
    return text


def long_secret(text: SecretStr) -> SecretStr:
    """Check that a secret is too long to be guessed."""
    if len(text.get_secret_value()) < _LONG:
        raise ValueError(f"must have at least {_LONG} characters (such as `openssl rand -base64 36` prints)")
    return text


def peer(text: str) -> str:
    """Check one exact address, and return it as `as_peer` does."""
    found = as_peer(text)
    if found is None:
        raise ValueError("must hold exact addresses, such as 192.0.2.7 (no name, no network)")
    return found


def as_peer(text: str) -> str | None:
    """Return an IP address in the one form in which addresses are compared; None where it is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket for both kinds shows IPv4 as a part of IPv6.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def public_address(text: str) -> str:
    """Check the address under which this service is reached, and return it without the last slash."""
    address = base_address(text)
    parts = urlsplit(address)
    if parts.path:
        raise ValueError("must not hold a path (the service stands at the top of its host)")
    # It is shown in tickets, where a bracket or a bar would be markup.
    if not _HOST.fullmatch(parts.hostname or "") or (parts.hostname or "").startswith("."):
        raise ValueError("must name its host in letters, digits, dots and hyphens (no IPv6 address)")
    return address


def engine_template(text: str) -> str:
    """Check the template of an Engine's NXQL address; only {address} and {name} may stand in it."""
    try:
        pieces = tuple(Formatter().parse(text))
    except ValueError:
        raise ValueError(
            "has a brace that does not close (only {address} and {name} may stand in it)"
        ) from None
    names = {name for _, name, _, _ in pieces if name is not None}
    if names - _PLACEHOLDERS or any(spec or conversion for _, _, spec, conversion in pieces):
        raise ValueError("may hold only {address} and {name} in braces")
    parts = _split(text.replace("{address}", "engine").replace("{name}", "engine"))
    if parts.scheme == "http" and not (is_loopback(parts.hostname or "") or "{address}" in text):
        raise ValueError("must be https unless loopback (passwords travel on it)")
    return text


def uid_query(text: str) -> str:
    """Check the query for a UID: it holds {uid}, which is replaced by 32 hex digits and nothing else."""
    if "{uid}" not in text:
        raise ValueError("must hold {uid}")
    return text


def user_query(text: str) -> str:
    """Check the query for an account's devices.

    It holds "{user}" in quotes, which is replaced by a checked account, and may hold {days}. Its limit is the
    one at which an answer counts as cut.
    """
    if not text.isascii() or not text.isprintable() or not text.lstrip().startswith("(select"):
        raise ValueError("must be a query that starts with (select, in printable ASCII")
    if '"{user}"' not in text or "(limit 100)" not in text:
        raise ValueError('must hold "{user}" in quotes, and (limit 100)')
    if re.search(r"[{}]", text.replace("{user}", "").replace("{days}", "")):
        raise ValueError("may hold only {user} and {days} in braces")
    return text


def answer_fields(names: tuple[str, ...]) -> tuple[str, ...]:
    """Check the four names of an answer's fields."""
    if len(names) != 4 or len(set(names)) != 4:
        raise ValueError("must be four different names (device UID, device name, account, last use)")
    return names


def time_zone(text: str) -> str:
    """Check the name of a time zone that this host knows."""
    zone_named(text)
    return text


def zone_named(text: str) -> tzinfo:
    """Return a time zone by its name; raise ValueError for one that this host does not know."""
    if text.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError("is no time zone that this host knows (such as UTC or Europe/Zurich)") from None


def engine_host(text: str) -> str:
    """Check one entry of a list of hosts: a name, a suffix that starts with a dot, or a network."""
    word = text.strip().lower()
    if "/" in word or ":" in word or word.replace(".", "").isdigit():
        try:
            network = ip_network(word)
        except ValueError:
            raise ValueError("holds a network that cannot be read (such as 192.0.2.0/24)") from None
        if network.prefixlen == 0:
            raise ValueError("holds a network of all addresses, which fences nothing (name yours)")
        return word
    if not _HOST.fullmatch(word) or ".." in word:
        raise ValueError("holds an entry that is no host name, suffix (.example.com) or network")
    return word


def prefix(text: str) -> str:
    """Return a signature's prefix; `none` stands for nothing, as empty variables count as not set."""
    return "" if text == "none" else text


def listening_address(text: str) -> str:
    """Check `host:port`, the host a name or an address (IPv6 in brackets)."""
    if not _LISTENING.fullmatch(text):
        raise ValueError("must be host:port (such as 127.0.0.1:8080 or [::1]:8080)")
    return text


def header_name(text: str) -> str:
    """Check the name of an HTTP header and return it in lower case."""
    if not _HEADER.fullmatch(text):
        raise ValueError("must be the name of an HTTP header")
    return text.lower()


def table_name(text: str) -> str:
    """Check the name of a ServiceNow table."""
    if not _TABLE.fullmatch(text):
        raise ValueError("holds an entry that is no table name (lower case letters, digits, underscores)")
    return text


def is_loopback(host: str) -> bool:
    """Say whether a host, suffix or network can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        return ip_network(host).is_loopback
    except ValueError:
        return False


def _split(text: str) -> SplitResult:
    # The standard library drops tabs and new lines in silence, and its errors repeat the text.
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be an address of printable ASCII without spaces")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not an address (such as https://portal.example.com)") from None
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise ValueError("must be an address that starts with https:// (such as https://portal.example.com)")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password (they have settings of their own)")
    return parts
