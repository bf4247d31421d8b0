"""A simulated Nexthink, Jira and ServiceNow on loopback, for the demo and for tests.

It must not be reachable from another machine, and must not share code with the dialects that it checks.
"""
