"""The simulated ServiceNow instance; it must not know Nexthink or Jira."""
