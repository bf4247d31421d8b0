"""ServiceNow as a ticket system: a business rule calls us, the Table API takes our notes.

It must not know Jira or Nexthink.
"""

from bridge.ticketing.servicenow.config import ServiceNowConfig, problems
from bridge.ticketing.servicenow.system import ServiceNow

__all__ = ["ServiceNow", "ServiceNowConfig", "problems"]
