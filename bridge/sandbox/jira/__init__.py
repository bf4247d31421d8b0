"""The simulated Jira, Cloud and Data Center; it must not know Nexthink or ServiceNow."""
