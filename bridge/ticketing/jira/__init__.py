"""Jira, Cloud and Data Center, as a ticket system.

It must not know ServiceNow or Nexthink.
"""

from bridge.ticketing.jira.config import JiraConfig, problems
from bridge.ticketing.jira.system import Jira

__all__ = ["Jira", "JiraConfig", "problems"]
