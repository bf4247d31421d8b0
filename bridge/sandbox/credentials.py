"""The accounts and secrets of the simulated systems: fixed, made up and public.

They must never open anything real; nothing outside the sandbox, the demo and tests uses them.
"""

import base64
import hmac

NEXTHINK_USERNAME = "svc.bridge"
NEXTHINK_PASSWORD = "sandbox-nexthink-password-0001"
# An account that may sign in and may neither run remote actions nor query.
NEXTHINK_VIEWER_USERNAME = "svc.viewer"
NEXTHINK_VIEWER_PASSWORD = "sandbox-nexthink-password-0002"

JIRA_CLOUD_USERNAME = "svc.bridge@example.com"
JIRA_CLOUD_TOKEN = "sandbox-jira-cloud-api-token-0001"
JIRA_DATACENTER_USERNAME = "svc.bridge"
JIRA_DATACENTER_PASSWORD = "sandbox-jira-datacenter-password-0001"
JIRA_DATACENTER_TOKEN = "sandbox-jira-datacenter-pat-0001"
JIRA_WEBHOOK_SECRET = "sandbox-jira-webhook-secret-0001"
JIRA_AUTOMATION_TOKEN = "sandbox-jira-automation-token-0001"

SERVICENOW_USERNAME = "svc.bridge"
SERVICENOW_PASSWORD = "sandbox-servicenow-password-0001"
SERVICENOW_TOKEN = "sandbox-servicenow-oauth-token-0001"
SERVICENOW_API_KEY = "sandbox-servicenow-api-key-0001"
# Standard Webhooks form: 32 bytes in base64 behind the prefix.
SERVICENOW_WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"sandbox-servicenow-webhook-key-1").decode()


def basic(username: str, password: str) -> str:
    """Return the value of an Authorization header of Basic authentication, in UTF-8."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def bearer(token: str) -> str:
    """Return the value of an Authorization header that carries a bearer token."""
    return f"Bearer {token}"


def same(left: str, right: str) -> bool:
    """Compare two credentials in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())
