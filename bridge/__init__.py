"""Turns ticket events into Nexthink remote actions, at most once, and tells the ticket what came of it."""
