"""Make the value of an Authorization header.

It must not choose which credentials are used.
"""

import base64


def basic(username: str, password: str) -> str:
    """Return HTTP Basic credentials, in UTF-8."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def bearer(token: str) -> str:
    """Return a bearer token."""
    return "Bearer " + token
